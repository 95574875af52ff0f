"""Which frames a result of another rate has, and when they are shown."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidsr.filters.between.rate_table import (
    RateTable,
    SourceTimes,
    clock,
    on_grid,
    progressions,
    with_made,
)

TIME_BASES = st.sampled_from([Fraction(1, 1000), Fraction(1, 90000), Fraction(1, 25), Fraction(1001, 30000)])
RATES = st.sampled_from([Fraction(24), Fraction(25), Fraction(24000, 1001), Fraction(60000, 1001), Fraction(50)])


def constant(rate: Fraction, count: int, time_base: Fraction, start: int = 0) -> SourceTimes:
    """Times of frames at a constant rate, whose stamps are rounded to ticks."""
    stamps = [start + round(n / rate / time_base) for n in range(count + 1)]
    return SourceTimes.of(stamps[:-1], stamps[-1] - stamps[-2], time_base, rate)


def grid(source: SourceTimes, rate: Fraction, time_base: Fraction) -> RateTable:
    return on_grid(source, rate, clock(time_base, rate), len(source.times))


@settings(max_examples=30)
@given(
    steps=st.lists(st.integers(1, 400), min_size=1, max_size=40),
    start=st.integers(0, 10**6),
    time_base=TIME_BASES,
    rate=RATES,
)
def test_a_grid_is_even_keeps_the_length_and_takes_only_neighbours(
    steps: list[int], start: int, time_base: Fraction, rate: Fraction
) -> None:
    stamps = list(accumulate(steps, initial=start))
    source = SourceTimes.of(stamps[:-1], steps[-1], time_base, Fraction(25))
    table = grid(source, rate, time_base)
    begin, step = source.times[0], 1 / rate
    times = [entry.pts * table.time_base for entry in table.entries]
    assert times == [begin + n * step for n in range(len(table))]
    length = sum(entry.duration for entry in table.entries) * table.time_base
    assert length == source.end - begin or abs(length - (source.end - begin)) <= table.time_base
    assert all(entry.duration > 0 for entry in table.entries)
    for entry, time in zip(table.entries, times, strict=True):
        own = source.times[entry.source]
        if entry.share:
            next_ = source.times[entry.source + 1]
            assert own < time < next_ and 0 < entry.share < 1
            assert abs(own + entry.share * (next_ - own) - time) <= (step / 2 if source.even else 0)
        elif entry.source and time < own:
            assert own - time <= step  # never much early
    for first, stop in ((0, len(table)), (len(table) // 2, len(table) // 2 + 1)):
        low, high = table.needed(first, stop)
        used = {e.source for e in table.entries[first:stop]} | {
            e.source + 1 for e in table.entries[first:stop] if e.share
        }
        assert (low, high) == (min(used), max(used) + 1) and high <= len(source.times)


@pytest.mark.parametrize("time_base", [Fraction(1, 1000), Fraction(1, 90000), Fraction(1001, 30000)])
def test_twice_the_rate_keeps_every_frame_in_its_place(time_base: Fraction) -> None:
    rate = Fraction(30000, 1001)
    table = grid(constant(rate, 50, time_base), 2 * rate, time_base)
    assert [(e.source, e.share) for e in table.entries[:-1]] == [(n // 2, Fraction(n % 2, 2)) for n in range(99)]
    assert (table.entries[-1].source, table.entries[-1].share) == (49, Fraction(0))  # nothing follows the last frame
    assert table.made() == list(range(1, 98, 2))


def test_a_rate_that_is_nearly_a_multiple_keeps_the_frames() -> None:
    table = grid(constant(Fraction(30000, 1001), 1200, Fraction(1, 90000)), Fraction(60), Fraction(1, 90000))
    assert {entry.share for entry in table.entries} == {Fraction(0), Fraction(1, 2)}
    nearly = grid(constant(Fraction(24000, 1001), 1200, Fraction(1, 1000)), Fraction(24), Fraction(1, 1000))
    assert not nearly.made() and {entry.source for entry in nearly.entries} == set(range(1200))


def test_frames_at_the_time_of_a_frame_are_that_frame_and_others_are_made() -> None:
    table = grid(constant(Fraction(25), 50, Fraction(1, 90000)), Fraction(30), Fraction(1, 90000))
    assert len(table) == 60
    for number, entry in enumerate(table.entries[:55]):
        whole, share = divmod(Fraction(number * 5, 6), 1)
        assert (entry.source, entry.share) == (whole, share)


@given(rate=st.sampled_from([Fraction(10), Fraction(24), Fraction(24000, 1001), Fraction(25)]))
def test_of_a_lower_rate_the_nearest_frames_are_taken(rate: Fraction) -> None:
    source = constant(Fraction(30), 90, Fraction(1, 90000))
    table = grid(source, rate, Fraction(1, 90000))
    assert not table.made()
    for n, entry in enumerate(table.entries):
        gap = abs(source.times[entry.source] - n / rate)
        assert gap == min(abs(time - n / rate) for time in source.times)


def test_a_frame_shown_for_long_is_held() -> None:
    """A recording of a screen: four seconds in which nothing changes are not one slow motion."""
    stamps = [0, 40, 80, 120, 4120, 4160, 4200]
    source = SourceTimes.of(stamps, 40, Fraction(1, 1000), Fraction(25))
    table = on_grid(source, Fraction(50), clock(Fraction(1, 1000), Fraction(50)), len(stamps))
    long = [e for e in table.entries if 120 <= e.pts * table.time_base * 1000 < 4120]
    assert {(e.source, e.share) for e in long} == {(3, Fraction(0))}
    assert table.entries[1].share == Fraction(1, 2)


@settings(max_examples=30)
@given(steps=st.lists(st.integers(10, 60), min_size=2, max_size=30), times=st.integers(2, 5))
def test_a_multiple_of_a_variable_rate_keeps_every_frame_at_its_own_time(steps: list[int], times: int) -> None:
    stamps = list(accumulate(steps, initial=7))
    source = SourceTimes.of(stamps[:-1], steps[-1], Fraction(1, 1000), Fraction(25))
    base = clock(Fraction(1, 1000), Fraction(25 * times), times)
    table = with_made(source, dict.fromkeys(range(len(steps)), times - 1), base, len(steps))
    assert len(table) == times * len(steps)
    kept = table.entries[::times]
    assert [e.pts * table.time_base for e in kept] == list(source.times)
    assert [(e.source, e.share) for e in kept] == [(n, Fraction(0)) for n in range(len(steps))]
    assert sum(e.duration for e in table.entries) * table.time_base == source.end - source.times[0]
    assert all(a.pts + a.duration == b.pts for a, b in pairwise(table.entries))


def test_a_part_may_look_at_the_frame_after_it() -> None:
    source = SourceTimes.of([3600, 7200], 3600, Fraction(1, 90000), Fraction(25), first=1, following=10800)
    table = grid(source, Fraction(50), Fraction(1, 90000))
    assert [(e.source, e.share) for e in table.entries] == [(n, Fraction(k, 2)) for n in (1, 2) for k in (0, 1)]


@given(time_base=TIME_BASES, rate=RATES, times=st.integers(1, 4))
def test_the_clock_has_whole_ticks(time_base: Fraction, rate: Fraction, times: int) -> None:
    tick = clock(time_base, rate, times)
    assert (time_base / times / tick).denominator == 1 and (1 / rate / tick).denominator == 1
    assert tick.denominator < 2**31


def test_without_a_common_clock_the_steps_are_whole() -> None:
    tick = clock(Fraction(1, 10**9 + 7), Fraction(24000, 1001))
    assert (Fraction(1001, 24000) / tick).denominator == 1 and tick.denominator < 2**31


@given(st.lists(st.integers(0, 500), unique=True).map(sorted))
def test_progressions_hold_the_numbers(numbers: list[int]) -> None:
    assert [n for run in progressions(numbers) for n in range(*run)] == numbers


def test_even_numbers_are_one_progression() -> None:
    assert progressions(range(1, 200001, 2)) == ((1, 200000, 2),)


def test_a_table_comes_back_from_its_values() -> None:
    table = grid(constant(Fraction(25), 9, Fraction(1, 90000)), Fraction(60), Fraction(1, 90000))
    assert RateTable.from_values(table.to_values()) == table
