"""What segments cost: file size and time of a job in segments of 256 frames against the same job in one piece.

    python -m benchmarks.speed.segments [--join FILE …] [--frames 2000] [--crf 18]

Size: the clip is encoded by x264 (medium) as one segment and as the plan cuts it, with vidsr's own encoder. Time:
`enhance` with a small network, in one piece and in segments, each several times in turn; the least time of each
counts. The source is the clips of --join one after the other, scaled to 320x180, then the same mirrored, until there
are enough frames; without --join it is `testsrc2` under film-like noise that moves.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import imageio_ffmpeg


def join_clips(clips: list[Path], path: Path, frames: int, size: str) -> None:
    """The clips in a row, then mirrored, over and over, nearly lossless."""
    program, parts = imageio_ffmpeg.get_ffmpeg_exe(), []
    keep = ["-an", "-c:v", "libx264", "-crf", "4", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-y"]
    for number, clip in enumerate(clips * 2):
        part = path.with_name(f"part{number}.mkv")
        mirror = ",hflip" if number >= len(clips) else ""
        picture = f"scale={size.replace('x', ':')},setsar=1,setpts=N/24/TB{mirror}"
        subprocess.run(
            [program, "-v", "error", "-i", str(clip), "-vf", picture, "-r", "24", *keep, str(part)], check=True
        )
        parts.append(part)
    listing = path.with_name("parts.txt")
    listing.write_text("".join(f"file '{part}'\n" for part in parts * (1 + frames // 100)))
    command = [program, "-v", "error", "-f", "concat", "-safe", "0", "-i", str(listing), "-frames:v", str(frames)]
    subprocess.run([*command, "-c", "copy", "-y", str(path)], check=True)


def make_source(path: Path, frames: int, size: str) -> None:
    """A moving picture with temporal noise, nearly lossless."""
    picture = f"testsrc2=s={size}:r=24:d={frames / 24},noise=alls=6:allf=t"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", picture, "-frames:v", str(frames)]
    command += ["-c:v", "libx264", "-crf", "4", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-y", str(path)]
    subprocess.run(command, check=True)


def main() -> int:
    """Print both costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--join", type=Path, nargs="+", default=[])
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--size", default="320x180")
    parser.add_argument("--crf", type=float, default=18)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="vidsr-segments-") as name:
        folder = Path(name)
        os.environ["VIDSR_STATE"] = str(folder / "state")
        source = folder / "source.mkv"
        if chosen.join:
            join_clips(chosen.join, source, chosen.frames, chosen.size)
        else:
            make_source(source, chosen.frames, chosen.size)
        size_cost(source, folder, chosen.crf, chosen.frames)
        if chosen.rounds:
            time_cost(source, folder, chosen.rounds)
    return 0


def size_cost(source: Path, folder: Path, crf: float, limit: int) -> None:
    """Bytes of the encoded video, whole and in segments; the frames go to the encoder as they are."""
    from vidsr.jobs.state.segments import plan_segments
    from vidsr.media.decode import read_frames
    from vidsr.media.encode.encoder import SegmentEncoder
    from vidsr.media.encode.encoder_plan import prepare
    from vidsr.media.index import index_video
    from vidsr.media.probe import probe
    from vidsr.media.source import ShapedInfo
    from vidsr.options.enhance_options import EnhanceOptions

    info = probe(source)
    index = index_video(info)
    frames = min(limit, len(index))
    settings = prepare(ShapedInfo(info), EnhanceOptions.from_flat({"crf": crf, "scale": 1.0}), 1).settings
    sizes = {}
    for length in (frames, 256, 128, 64):
        total = 0
        for segment in plan_segments(frames, length):
            path = folder / segment.file_name
            with SegmentEncoder(path, settings) as encoder:
                for frame in read_frames(info, segment.start, segment.stop, index):
                    encoder.write(frame)
            total += path.stat().st_size
        sizes[length] = total
        print(
            f"size: {frames} frames {settings.width}x{settings.height}, x264 medium crf {crf:g}, segments of at most "
            f"{length}: {total} bytes ({100 * (total / sizes[frames] - 1):+.2f} %)",
            flush=True,
        )


def time_cost(source: Path, folder: Path, rounds: int) -> None:
    """Seconds of `enhance` with a small network, whole and in segments, in turn."""
    from vidsr import enhance

    wall: dict[int, list[float]] = {65536: [], 256: []}
    work: dict[int, list[float]] = {65536: [], 256: []}
    for _ in range(rounds):
        for length in (65536, 256):
            begin, spent = time.perf_counter(), time.process_time()
            result = enhance(
                source,
                folder / f"out{length}.mkv",
                overwrite=True,
                model="realesr-animevideov3",
                scale=2.0,
                segment_frames=length,
                device="cpu",
            )
            wall[length].append(time.perf_counter() - begin)
            work[length].append(time.process_time() - spent)
    print(f"time: {result.frames} frames to x2 with realesr-animevideov3, one thread, best of {rounds}, in turn:")
    for name, seconds in (("wall clock", wall), ("processor", work)):
        whole, cut = min(seconds[65536]), min(seconds[256])
        print(
            f"  {name}: {whole:.2f} s in one piece, {cut:.2f} s in segments of 256 ({100 * (cut / whole - 1):+.2f} %)"
        )


if __name__ == "__main__":
    sys.exit(main())
