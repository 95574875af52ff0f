"""What the joints between segments cost: ten segments of 64 frames against one of 640, with a network that only sleeps.

    python -m benchmarks.speed.joints            # ratio of the times, in pairs run one right after the other

Decoder, filters, encoder, files and manifest are the product's own; the network takes 5 ms a frame and no processor.
What counts is how long the engine works, from the first order to the last news. ``--one-at-a-time`` measures the same
without overlap.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vidsr import enhance
from vidsr.frames import Frame
from vidsr.jobs.engines.engine import Inline
from vidsr.jobs.engines.overlap import Load
from vidsr.jobs.recipe.recipe_run import RecipeRun

FRAMES = 640
SEGMENTS = 10
SLEEP_SECONDS = 0.005


def sleeping(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Every frame as it is, after a while."""
    for frame in frames:
        time.sleep(SLEEP_SECONDS)
        yield frame


class Clock:
    """Seconds that :class:`Inline` worked in the last job."""

    def __init__(self) -> None:
        self.seconds = 0.0
        run = Inline.run

        def timed(engine: Inline, *args: Any) -> None:
            begin = time.perf_counter()
            run(engine, *args)
            self.seconds = time.perf_counter() - begin

        Inline.run = timed  # type: ignore[method-assign]


def main() -> None:
    """Measure in pairs and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--one-at-a-time", action="store_true")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    args = parser.parse_args()
    RecipeRun.upscale = lambda *_, **__: sleeping  # type: ignore[method-assign,assignment]
    if args.one_at_a_time:
        Load.has_room = lambda self: not self.busy()  # type: ignore[method-assign]
    clock = Clock()
    pairs: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "clip.mkv"
        picture = ("-f", "lavfi", "-i", f"testsrc2=s=160x90:r=24:d={FRAMES / 24}", "-frames:v", str(FRAMES))
        command = ["ffmpeg", "-v", "error", *picture, "-c:v", "libx264", "-preset", "ultrafast", str(source)]
        subprocess.run(command, check=True)
        for pair in range(args.pairs):
            seconds = {}
            for segments in (1, SEGMENTS):
                out = Path(folder) / f"{pair}-{segments}.mkv"
                flat: dict[str, Any] = {"model": "faithful", "scale": 1, "segment_frames": FRAMES // segments}
                enhance(source, out, **flat, preset="ultrafast")
                seconds[segments] = clock.seconds
            pairs.append(
                {
                    "one_seconds": round(seconds[1], 3),
                    "ten_seconds": round(seconds[SEGMENTS], 3),
                    "ratio": round(seconds[SEGMENTS] / seconds[1], 4),
                    "load": round(os.getloadavg()[0], 1),
                }
            )
            print(pairs[-1], flush=True)
    median = statistics.median(pair["ratio"] for pair in pairs)
    print(f"median ratio {median:.3f}")
    if args.out:
        kept = {"one_at_a_time": args.one_at_a_time, "median_ratio": round(median, 4), "pairs": pairs}
        args.out.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
