"""What reusing results of repeated frames saves: a clip with every frame doubled against as many distinct frames.

    python -m benchmarks.speed.reuse --model realesr-animevideov3 --frames 24 --rounds 3

Also checks that the doubled clip's result equals the one computed frame by frame, without reuse.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.speed.end_to_end import SAMPLE
from vidsr.frames import Frame
from vidsr.inference.upscaler import Upscaler
from vidsr.media.decode import read_frames
from vidsr.media.probe import probe
from vidsr.options.enhance_options import ModelOptions


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=SAMPLE)
    parser.add_argument("--model", default="realesr-animevideov3")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    distinct = list(islice(read_frames(probe(args.clip)), args.frames))
    doubled = [replace(distinct[i // 2], index=i, pts=i) for i in range(len(distinct))]
    upscaler = Upscaler(ModelOptions(model=args.model))
    size = (distinct[0].width * upscaler.scale, distinct[0].height * upscaler.scale)

    def enlarged(frames: list[Frame]) -> tuple[float, float, list[Frame]]:
        wall, cpu = time.perf_counter(), time.process_time()
        results = list(upscaler.stream(size, frames[0].format)(iter(frames)))
        return time.perf_counter() - wall, time.process_time() - cpu, results

    enlarged(distinct[:2])
    alone = [enlarged([frame])[2][0] for frame in doubled]
    walls, cpus = [], []
    for _ in range(args.rounds):
        wall_all, cpu_all, _ = enlarged(distinct)
        before = upscaler.stats.reused
        wall_half, cpu_half, results = enlarged(doubled)
        reused = upscaler.stats.reused - before
        walls.append(wall_half / wall_all)
        cpus.append(cpu_half / cpu_all)
        for a, b in zip(alone, results, strict=True):
            if not all(np.array_equal(p, q) for p, q in zip(a.planes, b.planes, strict=True)):
                raise SystemExit(f"frame {b.index} differs from the one computed without reuse")
    figures = {
        "model": args.model,
        "frames": len(distinct),
        "reused": reused,
        "time_ratio": round(statistics.median(walls), 3),
        "cpu_time_ratio": round(statistics.median(cpus), 3),
        "identical": True,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
