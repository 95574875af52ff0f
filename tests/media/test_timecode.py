"""Timecode: counting on, with and without drop frames, against a plain count of every name of a day."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsr.media.timecode import Timecode


@lru_cache(maxsize=4)
def names_of_ten_minutes(base: int, drop: bool) -> tuple[str, ...]:
    """Every timecode of ten minutes without their tens, in order (SMPTE ST 12-1, 5.2): 144 times that is a day."""
    left_out = range(base // 15) if drop else range(0)
    mark = ";" if drop else ":"
    return tuple(
        f"{minute}:{second:02}{mark}{frame:02}"
        for minute in range(10)
        for second in range(60)
        for frame in range(base)
        if not (second == 0 and minute and frame in left_out)
    )


def name_in_a_day(number: int, base: int, drop: bool) -> str:
    """The timecode of a frame, counted from midnight; after a day it begins again."""
    names = names_of_ten_minutes(base, drop)
    tens, within = divmod(number % (144 * len(names)), len(names))
    return f"{tens // 6:02}:{tens % 6}{names[within]}"


@pytest.mark.parametrize(
    ("rate", "drop"),
    [(Fraction(24), False), (Fraction(25), False), (Fraction(24000, 1001), False), (Fraction(30000, 1001), True)],
)
@given(start=st.integers(0, 2_000_000), count=st.integers(0, 3_000_000))
def test_counting_on_gives_the_names_of_a_day(rate: Fraction, drop: bool, start: int, count: int) -> None:
    first = Timecode.parse(name_in_a_day(start, round(rate), drop))
    assert first is not None
    assert str(first.later(count, rate)) == name_in_a_day(start + count, round(rate), drop)


def test_sixty_frames_drop_four() -> None:
    last = Timecode.parse("00:00:59;59")
    assert last is not None and str(last.later(1, Fraction(60000, 1001))) == "00:01:00;04"


@pytest.mark.parametrize("text", ["", "soon", "99:99:99:99", "24:00:00:00", "1:2:3:4", "01:02:03"])
def test_what_is_no_timecode(text: str) -> None:
    assert Timecode.parse(text) is None
