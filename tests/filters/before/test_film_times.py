"""The table that brings film to its own times, from made pictures."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import floor

import pytest

from tests.support.field_clips import frames_of, moments
from vidsr.filters.before.descriptor import Clock
from vidsr.filters.before.film_times import FilmRate, film_clock, film_timeline
from vidsr.filters.before.timeline import Timeline, Times

RATES = [(Fraction(film), Fraction(rate)) for film in ("16", "18", "50/3") for rate in ("24", "25", "30000/1001")]


def timed(pictures: list[int], film: Fraction, rate: Fraction) -> Timeline:
    """The table for a clip whose frames show these pictures of a pan."""
    pan = moments(max(pictures) + 1, 3, 1)
    clock = film_clock(FilmRate(film), Clock(rate=rate, time_base=1 / rate))
    parts = int(1 / (rate * clock.time_base))
    times = Times(
        pts=[7 * parts + n * parts for n in range(len(pictures))],
        durations=[parts] * len(pictures),
        time_base=clock.time_base,
        rate=rate,
    )
    return film_timeline(iter(frames_of([pan[n] for n in pictures])), times, FilmRate(film))


@pytest.mark.parametrize(("film", "rate"), RATES)
def test_each_picture_once_on_the_grid_of_the_film(film: Fraction, rate: Fraction) -> None:
    pictures = [floor(n * film / rate) for n in range(60)]
    table = timed(pictures, film, rate)
    assert [pictures[e.top] for e in table.entries] == list(range(pictures[-1] + 1))
    start = table.entries[0].pts
    assert start == 7 / (rate * table.time_base)
    for number, entry in enumerate(table.entries):
        assert (entry.pts - start) * table.time_base == number / film or entry is table.entries[-1]
    last = table.entries[-1]
    assert (last.pts + last.duration) * table.time_base == 67 / rate
    assert all(a.pts + a.duration == b.pts for a, b in zip(table.entries, table.entries[1:], strict=False))


def test_an_edit_keeps_every_picture_and_sound_in_place() -> None:
    film, rate = Fraction(18), Fraction(25)
    whole = [floor(n * film / rate) for n in range(150)]
    pictures = [*whole[:60], *whole[67:]]
    table = timed(pictures, film, rate)
    shown = [pictures[e.top] for e in table.entries]
    assert shown == sorted(set(pictures))
    for entry in table.entries:  # none is shown more than about a picture earlier or later than in the transfer
        assert abs((entry.pts * table.time_base) - (7 + entry.top) / rate) < 1.1 / film


def test_frames_that_repeat_nothing_stay_with_their_own_times() -> None:
    film, rate = Fraction(18), Fraction(24)
    pictures = [floor(n * film / rate) for n in range(80)]
    video = list(range(pictures[-1] + 1, pictures[-1] + 81))
    table = timed([*pictures, *video], film, rate)
    tops = [e.top for e in table.entries]
    assert set(range(95, 160)) <= set(tops)
    for entry in table.entries:
        if entry.top >= 100:
            assert entry.pts * table.time_base == (7 + entry.top) / rate


def test_rates_are_read_and_written() -> None:
    for text in ("16", "18", "50/3"):
        assert str(FilmRate.parse(text)) == text
    for text in ("", "film", "0", "1/0", "100", "-18"):
        with pytest.raises(ValueError, match="pictures a second"):
            FilmRate.parse(text)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9, 24, 25])
def test_short_clips_have_a_table_too(count: int) -> None:
    film, rate = Fraction(18), Fraction(25)
    table = timed([floor(n * film / rate) for n in range(count)], film, rate)
    first, last = table.entries[0], table.entries[-1]
    assert first.top == 0 and table.sources == count
    assert (first.pts * table.time_base, (last.pts + last.duration) * table.time_base) == (7 / rate, (7 + count) / rate)
    assert all(a.pts + a.duration == b.pts and a.duration > 0 for a, b in pairwise(table.entries))
