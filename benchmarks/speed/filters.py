"""What each filter ahead of the network costs on standard definition: milliseconds a frame, on one thread.

    OMP_NUM_THREADS=1 python -m benchmarks.speed.filters [--frames 24]

The clip is 720x576 with noise, interlaced, made of the repository's sample. `ivtc` and `dedupe` are measured for their
pass over the whole source, which comes before the job; making the frames from its table costs almost nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path

import imageio_ffmpeg

from vidsr.filter_choices import FilterSelection
from vidsr.filters.before.descriptor import descriptor, make_filter
from vidsr.filters.before.timeline import Times
from vidsr.frames import Frame
from vidsr.media.decode import read_frames
from vidsr.media.probe import probe

SAMPLE = Path(__file__).parents[2] / "samples" / "bigbuckbunny-160x90.mp4"
NAMES = ("deinterlace=tff", "crop=8:8:704:560", "deblock", "dust", "deflicker", "denoise", "grey", "ivtc", "dedupe")


def frames_of(count: int) -> list[Frame]:
    """Interlaced, noisy frames."""
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "sd.mkv"
        chain = "fps=50,scale=720:576,noise=alls=12:allf=t,tinterlace=interleave_top"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-stream_loop", "3", "-i", str(SAMPLE), "-vf", chain]
        subprocess.run([*command, "-an", "-c:v", "ffv1", "-pix_fmt", "yuv420p", str(clip)], check=True)
        return list(islice(read_frames(probe(clip)), count))


def work_of(name: str) -> Callable[[list[Frame]], object]:
    """What is timed."""

    def timeline(frames: list[Frame]) -> object:
        times = Times(pts=range(0, 4 * len(frames), 4), durations=[4] * len(frames), time_base=Fraction(1, 100))
        assert retiming is not None
        return retiming.table(iter(frames), times, "tff")

    (choice,) = FilterSelection.parse(name).choices
    retiming = descriptor(choice.name).retiming
    if retiming is not None:
        return timeline
    return lambda frames: list(make_filter(choice)(iter(frames)))


def main() -> None:
    """Print a line for each filter."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=24)
    frames = frames_of(parser.parse_args().frames)
    print(f"{len(frames)} frames of {frames[0].width}x{frames[0].height}, 4:2:0, 8 bits")
    for name in NAMES:
        work = work_of(name)
        work(frames[:4])
        begin, used = time.perf_counter(), time.process_time()
        work(frames)
        wall, cpu = time.perf_counter() - begin, time.process_time() - used
        print(
            f"{name:<18} {1e3 * wall / len(frames):7.1f} ms a frame ({1e3 * cpu / len(frames):.1f} ms CPU)", flush=True
        )


if __name__ == "__main__":
    main()
