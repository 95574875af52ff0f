"""Feed vidsr damaged files: ``python -m benchmarks.robustness.fuzz [--count 1000] [--seed 1] [--jobs 2]``.

Mutants are made from small clips in twelve containers by bit flips, cuts, spliced heads, swapped blocks, zeroed and
repeated ranges, with fixed seeds. Each runs through the real ``enhance`` in a process with a limit on memory and time,
and must end in a verified result or in one ``VidsrError`` of one line, and leave no file behind. Prints what came of
them; exits with 1 if any did anything else.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.support.fuzz import SEEDS, run


def main() -> int:
    """Run, print, and give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    begin = time.perf_counter()
    verdicts = run(asked.count, asked.seed, asked.jobs)
    wrong = [v for v in verdicts if v.state not in ("verified", "refused")]
    for verdict in wrong:
        print(f"{verdict.state}: {verdict.name}: {verdict.text}")
    slowest = max(verdicts, key=lambda v: v.seconds)
    print(f"{len(verdicts)} mutants of {len(SEEDS)} clips in {time.perf_counter() - begin:.0f} s, seed {asked.seed}")
    print(", ".join(f"{n} {state}" for state, n in Counter(v.state for v in verdicts).most_common()))
    print(f"slowest: {slowest.seconds:.1f} s ({slowest.name})")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
