"""What each filter ahead of the network costs on standard definition, against ffmpeg's filter of that kind.

    OMP_NUM_THREADS=1 python -m benchmarks.speed.filters [--frames 24] [--only deinterlace=tff deflicker …]

CPU milliseconds a frame on one thread; each of ours is followed at once by ffmpeg's, so that other programs on the
machine slow both alike. Of ffmpeg the time of the same command without a filter is taken off. The clip is 720x576 with
noise, interlaced, made of the repository's sample. `film`, `ivtc`, `dedupe` and `refill` are measured for
their pass over the whole source, which comes before the job; making the frames from its table costs almost nothing, but
for frames that are new. ffmpeg's filters differ in
what they do: `hqdn3d` and `tmedian` compare places that do not move, `denoise` and `dust` follow the motion. Frames are
freed as they are made, as in a job.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path

import imageio_ffmpeg

from vidsr.filters.before.descriptor import descriptor, make_filter
from vidsr.filters.before.timeline import Times
from vidsr.frames import Frame
from vidsr.media.decode import read_frames
from vidsr.media.probe import probe
from vidsr.options.filter_choices import FilterSelection

SAMPLE = Path(__file__).parents[2] / "samples" / "bigbuckbunny-160x90.mp4"
#: Ours, ffmpeg's, and how many frames ffmpeg's slow ones are measured with.
PAIRS: tuple[tuple[str, str, int], ...] = (
    ("deinterlace=tff", "bwdif=mode=send_frame:parity=tff", 240),
    ("deinterlace-quick=tff", "bwdif=mode=send_frame:parity=tff", 240),
    ("denoise", "nlmeans", 6),
    ("denoise", "hqdn3d", 240),
    ("dust", "tmedian=radius=1", 240),
    ("dropout", "tmedian=radius=1", 240),
    ("headswitch=8", "null", 240),
    ("dotcrawl=ntsc", "dedot=m=dotcrawl", 240),
    ("rainbow=ntsc", "dedot=m=rainbows", 240),
    ("dehalo=1:6", "unsharp=lx=7:ly=3:la=-0.4", 240),
    ("deband=4", "gradfun=strength=4.8", 240),
    ("wobble", "null", 240),
    ("scratch", "removegrain=m0=18", 240),
    ("breathing", "deflicker", 240),
    ("weave", "deshake", 240),
    ("fade=0.7:0.5:0:0.3", "null", 240),
    ("bleed=0.4", "null", 240),
    ("chroma=4", "chromashift=cbh=-2:crh=-2", 240),
    ("deflicker", "deflicker", 240),
    ("ivtc", "fieldmatch=order=tff,decimate", 240),
    ("dedupe", "mpdecimate", 240),
    ("film=18", "mpdecimate", 240),
    ("refill", "mpdecimate", 240),
    ("deblock", "deblock", 240),
    ("crop=8:8:704:560", "crop=704:560:8:8", 240),
    ("grey", "hue=s=0", 240),
)


def clip_in(folder: Path) -> Path:
    """Interlaced, noisy, 720x576, not compressed."""
    clip = folder / "sd.nut"
    # Each field another moment: of repeats, deinterlacing would take the frames for progressive, and pass them.
    chain = "scale=720:576,noise=alls=12:allf=t,tinterlace=interleave_top"
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-stream_loop",
        "3",
        "-r",
        "50",
        "-i",
        str(SAMPLE),
        "-vf",
        chain,
    ]
    coding = ["-an", "-c:v", "rawvideo", "-pix_fmt", "yuv420p", "-frames:v", "48"]
    subprocess.run([*command, *coding, str(clip)], check=True)
    return clip


def work_of(name: str) -> Callable[[list[Frame]], object]:
    """What is timed."""

    def timeline(frames: list[Frame]) -> object:
        times = Times(pts=range(0, 4 * len(frames), 4), durations=[4] * len(frames), time_base=Fraction(1, 100))
        assert retiming is not None
        return retiming.table(iter(frames), times, choice.parameter or "tff")

    (choice,) = FilterSelection.parse(name).choices
    retiming = descriptor(choice.name).retiming
    if retiming is not None:
        return timeline
    return lambda frames: deque(make_filter(choice)(iter(frames)), maxlen=0)


def own_ms(name: str, frames: list[Frame]) -> float:
    """CPU milliseconds a frame of our filter."""
    work = work_of(name)
    work(frames[:4])
    begin = time.process_time()
    work(frames)
    return 1e3 * (time.process_time() - begin) / len(frames)


def ffmpeg_ms(clip: Path, chain: str, count: int) -> float:
    """CPU milliseconds a frame of ffmpeg's filter."""

    def seconds(with_filter: str) -> float:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-threads", "1", "-filter_threads", "1"]
        source = ["-stream_loop", "-1", "-i", str(clip), "-t", f"{count / 25}"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*command, *source, "-vf", with_filter, "-f", "null", "-"], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    alone = seconds("null")
    return 1e3 * (seconds(chain) - alone) / count


def main() -> None:
    """Print a line for each pair."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--only", nargs="+", help="of our filters, as in the table")
    asked = parser.parse_args()
    count = asked.frames
    with tempfile.TemporaryDirectory() as folder:
        clip = clip_in(Path(folder))
        frames = list(islice(read_frames(probe(clip)), count))
        print(f"{len(frames)} frames of {frames[0].width}x{frames[0].height}, 4:2:0, 8 bits; CPU ms a frame")
        for name, chain, most in (pair for pair in PAIRS if asked.only is None or pair[0] in asked.only):
            own, theirs = own_ms(name, frames), ffmpeg_ms(clip, chain, most)
            ratio = f"{own / theirs:7.2f}" if theirs > 0.05 else "      –"
            print(f"{name:<18} {own:8.2f}   {chain:<34} {theirs:8.2f} {ratio}", flush=True)


if __name__ == "__main__":
    main()
