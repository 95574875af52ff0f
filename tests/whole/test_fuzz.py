"""A few damaged files; benchmarks/robustness/fuzz.py runs as many as wanted."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.support.fuzz import SEEDS, mutate, run


@pytest.mark.long
@pytest.mark.timeout(600)
def test_damaged_files_end_in_a_verified_result_or_one_line() -> None:
    verdicts = run(count=len(SEEDS), seed=2026, jobs=1)
    wrong = [v for v in verdicts if v.state not in ("verified", "refused")]
    assert not wrong, wrong
    states = Counter(v.state for v in verdicts)
    assert states["verified"] >= 3, states
    assert states["refused"] >= 1, states


def test_the_same_seed_makes_the_same_damage() -> None:
    data, other = bytes(range(256)) * 20, b"other" * 500
    kinds = set()
    for number in range(60):
        first = mutate(data, other, random.Random(number))
        assert first == mutate(data, other, random.Random(number))
        kinds.add(first[0])
    assert len(kinds) == 9
