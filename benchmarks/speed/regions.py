"""What ``--reuse-regions`` saves, and by how much its results differ from those of whole frames.

    python -m benchmarks.speed.regions CLIP… --models realesr-animevideov3 realesrgan-x4plus --frames 24

Of each clip so many frames at its own size, or what of it fits into ``--side`` pixels from the middle.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from vidsr.filters.before.crop import Crop
from vidsr.frames import Frame
from vidsr.inference.upscaler import Upscaler
from vidsr.media.decode import read_frames
from vidsr.media.probe import probe
from vidsr.options.enhance_options import ModelOptions


def first_frames(clip: Path, count: int, side: int) -> list[Frame]:
    """The middle of the first frames."""
    frames = list(islice(read_frames(probe(clip)), count))
    width, height = min(side, frames[0].width) // 2 * 2, min(side, frames[0].height) // 2 * 2
    left, top = (frames[0].width - width) // 4 * 2, (frames[0].height - height) // 4 * 2
    return list(Crop(left, top, width, height)(iter(frames)))


def enlarged(upscaler: Upscaler, frames: Sequence[Frame]) -> tuple[float, list[Frame]]:
    """CPU seconds of all threads, and the results."""
    size = (frames[0].width * upscaler.scale, frames[0].height * upscaler.scale)
    start = time.process_time()
    results = list(upscaler.stream(size, frames[0].format)(iter(frames)))
    return time.process_time() - start, results


def decibels(a: Frame, b: Frame) -> float:
    """PSNR of the first plane."""
    error = np.mean((a.planes[0].astype(float) - b.planes[0]) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(a.format.max_code**2 / error))


def main() -> None:
    """Measure and print one line per model and clip."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--models", nargs="+", default=["realesr-animevideov3"])
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--threshold", type=float, default=0.0)
    args = parser.parse_args()
    for model in args.models:
        whole = Upscaler(ModelOptions(model=model))
        parts = Upscaler(ModelOptions(model=model, reuse_regions=True, reuse_threshold=args.threshold))
        for clip in args.clips:
            frames = first_frames(clip, args.frames, args.side)
            enlarged(whole, frames[:1])
            long, expected = enlarged(whole, frames)
            kept = parts.stats.unchanged_frames
            short, results = enlarged(parts, frames)
            share = (parts.stats.unchanged_frames - kept) / len(frames)
            found = [decibels(a, b) for a, b in zip(expected, results, strict=True)]
            size = f"{frames[0].width}x{frames[0].height}"
            print(
                f"{model}, {clip.name}, {len(frames)} frames of {size}: {share:.0%} of the area reused, "
                f"{short / long:.2f} of the time, worst frame {min(found):.1f} dB"
            )


if __name__ == "__main__":
    main()
