"""What the verification at the end of a job costs: ``python -m benchmarks.speed.verify_cost [--model NAME] [SOURCE]``.

Enhances a clip and times the stage "verify" against the whole job, from the events that the job reports.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from vidsr.jobs.enhance import enhance
from vidsr.jobs.state.events import Event

SAMPLE = Path(__file__).parents[2] / "samples" / "bigbuckbunny-160x90.mp4"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--model", default="realesr-animevideov3")
    asked = parser.parse_args()
    stages: list[tuple[str, float]] = []

    def watch(event: Event) -> None:
        if event.kind in ("stage", "done"):
            stages.append((event.text or event.kind, time.perf_counter()))

    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        result = enhance(asked.source, Path(folder) / "out.mkv", model=asked.model, progress=watch)
        total = time.perf_counter() - begin
    at = next(i for i, (name, _) in enumerate(stages) if name == "verify")
    verify = stages[at + 1][1] - stages[at][1]
    print(f"{asked.source.name}, {asked.model}: {result.frames} frames in {total:.2f} s on {result.device}")
    print(f"verify: {verify:.3f} s, {100 * verify / total:.2f} % of the job")


if __name__ == "__main__":
    main()
