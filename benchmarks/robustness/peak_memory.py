"""Peak memory of a whole job by the number of its frames, or by their size, each in a process of its own.

    python -m benchmarks.robustness.peak_memory --frames 200 2000 [--size 32x24 …] [-- --multiframe 0.5 …]

A detail wanders over a still picture, so that no two neighbouring frames are equal. The network is tiny and random;
what follows ``--`` are options of `vidsr enhance`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import imageio_ffmpeg

from benchmarks.robustness.chaos import make_model

STILL = Path(__file__).resolve().parents[2] / "samples" / "bigbuckbunny-320x180.png"
#: A peak of getrusage begins with that of the process that started this one.
JOB = """
import sys
from pathlib import Path
from vidsr.cli.main import run
code = run(sys.argv[1:])
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print("peak", status["VmHWM"].split()[0], file=sys.stderr)
sys.exit(code)
"""


def make_clip(path: Path, size: str, frames: int) -> None:
    """A lossless clip of this many different frames."""
    width, height = size.split("x")
    larger = max(1, -(-(260 + int(width)) // 320), -(-(130 + int(height)) // 180))
    crop = f"scale=iw*{larger}:ih*{larger},crop={width}:{height}:x='140+120*sin(n/23)':y='70+60*sin(n/17)'"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-loop", "1", "-r", "24", "-i", str(STILL)]
    subprocess.run([*command, "-vf", crop, "-frames:v", str(frames), "-c:v", "ffv1", "-y", str(path)], check=True)


def main() -> None:
    """Print one line per size and number of frames."""
    arguments = sys.argv[1:]
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--size", nargs="+", default=["32x24"])
    wanted = parser.parse_args(arguments[:split])
    first = 0.0
    with tempfile.TemporaryDirectory(prefix="vidsr-memory-") as name:
        folder = Path(name)
        make_model(folder / "tiny.safetensors")
        for size, frames in product(wanted.size, wanted.frames):
            clip, result = folder / f"{size}-{frames}.mkv", folder / f"{size}-{frames}.x4.mkv"
            make_clip(clip, size, frames)
            job = ["enhance", str(clip), "-o", str(result), "--model", str(folder / "tiny.safetensors"), "--quiet"]
            begin = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", JOB, *job, *arguments[split + 1 :]], check=False, capture_output=True, text=True
            )
            if done.returncode:
                sys.exit(done.stderr)
            peak = int(done.stderr.split()[-1]) / 1024
            first = first or peak
            print(
                f"{frames:6} frames of {size}  peak {peak:7.1f} MiB  ({peak / first - 1:+.1%})  "
                f"{time.perf_counter() - begin:6.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
