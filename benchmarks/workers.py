"""How well workers share a job: two against one, and what Ray adds to a segment.

    python benchmarks/workers.py [--rounds 3] [--frames 480] [--size 128x72]

One worker with one thread against two with one thread each, whole jobs in turn, the least time of each counts. Then
the same segments by one Ray actor: its overhead is the time from one finished segment to the next, less what the
worker itself took for it. Last, the sizes that the cost model in docs/scaling.md needs.
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

sys.path.insert(0, str(Path(__file__).parent))
from segments import make_source


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
    """Whole jobs with one and with two workers, in turn."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for workers in (1, 2):
            output = folder / f"workers{workers}.mkv"
            taken, _ = run(source, output, {**common, "workers": workers, "threads": 1, "restart": True})
            seconds[workers].append(taken)
            print(f"  {workers} worker{'s' * (workers > 1)}, one thread each: {taken:.1f} s", flush=True)
    one, two = min(seconds[1]), min(seconds[2])
    print(f"two workers against one: {one:.1f} s / {two:.1f} s = {one / two:.2f} times as fast (best of {rounds})")
    same = (folder / "workers1.mkv").read_bytes() == (folder / "workers2.mkv").read_bytes()
    print(f"results byte-identical: {same}")


def measure_engine(name: str, source: Path, folder: Path, options: dict[str, Any]) -> None:
    """Time between finished segments less the worker's own time for them."""
    from vidsr.jobs.manifest import Manifest
    from vidsr.jobs.store import job_folder

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
