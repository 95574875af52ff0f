"""Preferences from votes: Wilson's interval against SciPy, Bradley–Terry on votes of known strengths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsr.quality.preference import preferences, wilson

stats = pytest.importorskip("scipy.stats")


@given(st.integers(1, 200), st.floats(0, 1))
def test_wilson_equals_scipy(votes: int, share: float) -> None:
    wins = round(votes * share)
    wanted = stats.binomtest(wins, votes).proportion_ci(method="wilson")
    assert wilson(wins, votes) == pytest.approx((wanted.low, wanted.high), abs=1e-9)


def test_two_candidates() -> None:
    found = preferences(2, [(0, 1, 1.0)] * 7 + [(1, 0, 1.0)] * 2 + [(0, 1, 0.5)])
    assert (found[0].wins, found[0].votes, found[0].share) == (7.5, 10, 0.75)
    assert found[0].low == pytest.approx(1 - found[1].high) and found[0].low < 0.75 < found[0].high
    nobody = preferences(2, [])
    assert (nobody[0].share, nobody[0].low, nobody[0].high) == (0.5, 0.0, 1.0)
    with pytest.raises(ValueError, match="two candidates"):
        preferences(1, [])


STRENGTH = np.array([4.0, 2.0, 1.0, 0.5])
WANTED = [(one / (one + np.delete(STRENGTH, i))).mean() for i, one in enumerate(STRENGTH)]


def drawn(rng: np.random.Generator, count: int) -> list[tuple[int, int, float]]:
    votes = []
    for _ in range(count):
        one, another = (int(n) for n in rng.choice(4, 2, replace=False))
        votes.append((one, another, float(rng.random() < STRENGTH[one] / (STRENGTH[one] + STRENGTH[another]))))
    return votes


def test_strengths_are_found_again() -> None:
    votes = drawn(np.random.default_rng(5), 4000)
    found = preferences(4, votes)
    assert [one.share for one in found] == pytest.approx(WANTED, abs=0.02)
    assert all(one.high - one.low < 0.08 for one in found)
    few = preferences(4, votes[:20])
    assert all(b.high - b.low > 2 * (a.high - a.low) for a, b in zip(found, few, strict=True))


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(6)
    several = [preferences(4, drawn(rng, 120)) for _ in range(60)]
    hits = [one.low < wanted < one.high for found in several for one, wanted in zip(found, WANTED, strict=True)]
    assert 0.9 < np.mean(hits) < 0.99


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from([0.0, 0.5, 1.0])), max_size=30))
def test_any_votes(votes: list[tuple[int, int, float]]) -> None:
    given_votes = [vote for vote in votes if vote[0] != vote[1]]
    found = preferences(3, given_votes)
    assert sum(one.votes for one in found) == 2 * len(given_votes)
    assert all(0 <= one.low <= one.share <= one.high <= 1 for one in found)
    mirrored = preferences(3, [(b, a, 1 - share) for a, b, share in given_votes])
    assert [one.share for one in mirrored] == pytest.approx([one.share for one in found], abs=1e-6)
