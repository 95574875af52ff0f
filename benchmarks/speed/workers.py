"""How well workers share a job: two against one, and what Ray adds to a segment.

    python -m benchmarks.speed.workers [--rounds 3] [--frames 480] [--size 128x72]

One worker with one thread against two with one thread each and against one with two, whole jobs in turn, the least time
of each counts. Then the same segments by one Ray actor: its overhead is the time from one finished segment to the next,
less what the worker itself took for it.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.speed.segments import make_source


def main() -> int:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=480)
    parser.add_argument("--size", default="128x72")
    parser.add_argument("--segment-frames", type=int, default=60)
    parser.add_argument("--model", default="realesr-animevideov3")
    parser.add_argument("--no-ray", action="store_true")
    chosen = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory(prefix="vidsr-workers-") as name:
        folder = Path(name)
        os.environ["VIDSR_STATE"] = str(folder / "state")
        source = folder / "source.mkv"
        make_source(source, chosen.frames, chosen.size)
        common = {"model": chosen.model, "scale": 2.0, "segment_frames": chosen.segment_frames, "device": "cpu"}
        compare_workers(source, folder, common, chosen.rounds)
        if not chosen.no_ray:
            measure_engine("ray", source, folder, {**common, "engine": "ray", "workers": 1, "threads": 1})
            measure_engine(
                "ray, files shipped", source, folder, {**common, "engine": "ray", "workers": 1, "ship": True}
            )
        measure_engine("this process", source, folder, common)
    return 0


def run(source: Path, output: Path, options: dict[str, Any]) -> tuple[float, list[float]]:
    """Enhance; seconds of the whole job, and the moments at which segments were finished."""
    from vidsr import enhance

    moments: list[float] = []

    def hear(event: Any) -> None:
        if event.kind == "segment":
            moments.append(time.perf_counter())

    begin = time.perf_counter()
    enhance(source, output, overwrite=True, progress=hear, keep_segments=True, **options)
    return time.perf_counter() - begin, moments


def compare_workers(source: Path, folder: Path, common: dict[str, Any], rounds: int) -> None:
    """Whole jobs with one worker, with two, and with one that has the threads of two; in turn."""
    ways = {"one worker, one thread": (1, 1), "two workers, one thread each": (2, 1), "one worker, two threads": (1, 2)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for number, (name, (workers, threads)) in enumerate(ways.items()):
            output = folder / f"way{number}.mkv"
            taken, _ = run(source, output, {**common, "workers": workers, "threads": threads, "restart": True})
            seconds[name].append(taken)
            print(f"  {name}: {taken:.1f} s", flush=True)
    one, *others = (min(taken) for taken in seconds.values())
    for name, best in zip(list(ways)[1:], others, strict=True):
        print(f"{name}: {one:.1f} s / {best:.1f} s = {one / best:.2f} times as fast as one with one (best of {rounds})")
    results = [(folder / f"way{number}.mkv").read_bytes() for number in range(len(ways))]
    print(f"results byte-identical: {results[0] == results[1] == results[2]}")


def measure_engine(name: str, source: Path, folder: Path, options: dict[str, Any]) -> None:
    """Time between finished segments less the worker's own time for them."""
    from vidsr.jobs.state.job_folders import job_folder
    from vidsr.jobs.state.manifest import Manifest

    output = folder / "engine.mkv"
    taken, moments = run(source, output, {**options, "restart": True})
    manifest = Manifest.load(job_folder(output))
    own = [manifest.finished[number].seconds for number in sorted(manifest.finished)]
    gaps = [after - before for before, after in itertools.pairwise(moments)]
    extra = [gap - mine for gap, mine in zip(gaps, own[1:], strict=True)]
    print(
        f"{name}: {taken:.1f} s, {len(own)} segments of {sum(own) / len(own):.2f} s each; between two of them "
        f"{1000 * sum(extra) / len(extra):.0f} ms on average, {1000 * max(extra):.0f} ms at most "
        f"({100 * sum(extra) / sum(own[1:]):.2f} % of the work)",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
