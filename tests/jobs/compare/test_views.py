"""Pairing frames by time."""

from __future__ import annotations

import itertools
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from vidsr.jobs.compare.views import pair_up

times = st.lists(st.integers(0, 400), min_size=1, max_size=40, unique=True).map(
    lambda xs: [Fraction(x, 24) for x in sorted(xs)]
)


def every(count: int, rate: Fraction, start: Fraction = Fraction(0)) -> list[Fraction]:
    return [start + i / rate for i in range(count)]


def test_rounded_to_milliseconds() -> None:
    film = every(100, Fraction(24000, 1001))
    matroska = [Fraction(round(t * 1000), 1000) for t in film]
    assert pair_up(film, matroska).pairs == tuple((i, i) for i in range(100))


def test_a_dropped_frame_shifts_nothing() -> None:
    film = every(10, Fraction(25))
    assert pair_up(film, film[:4] + film[5:]).pairs == tuple((i, i - (i > 4)) for i in range(10) if i != 4)


def test_another_start() -> None:
    film, late = every(10, Fraction(25)), every(10, Fraction(25), Fraction(21, 1000))
    found = pair_up(film, late)
    assert found.pairs == tuple((i, i) for i in range(10)) and found.shift == Fraction(-21, 1000)


def test_half_the_rate() -> None:
    found = pair_up(every(10, Fraction(50)), every(5, Fraction(25)))
    assert found.pairs == tuple((2 * i, i) for i in range(5))


def test_by_number() -> None:
    assert pair_up(every(4, Fraction(25)), every(3, Fraction(10)), "index").pairs == ((0, 0), (1, 1), (2, 2))


def test_nothing_in_common() -> None:
    assert pair_up([], every(3, Fraction(1))).pairs == ()


@settings(deadline=None)
@given(times, times)
def test_always_rising_near_and_whole_where_equal(a: list[Fraction], b: list[Fraction]) -> None:
    assert pair_up(a, a).pairs == tuple((i, i) for i in range(len(a)))
    found = pair_up(a, b)
    for (i, j), (k, m) in zip(found.pairs, found.pairs[1:], strict=False):
        assert i < k and j < m
    gaps = [y - x for times in (a, b) for x, y in itertools.pairwise(times)]
    reach = min(gaps, default=Fraction(1)) / 2
    for i, j in found.pairs:
        assert abs(a[i] - b[j] - found.shift) < reach
