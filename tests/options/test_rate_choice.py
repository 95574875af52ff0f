"""The value of --rate."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsr.errors import OptionsError
from vidsr.options.rate_choice import Rate

NUMBERS = st.fractions(1, 1000, max_denominator=10**6).map(lambda number: Rate(number=number))
RATES = NUMBERS | st.integers(2, 16).map(lambda times: Rate(times=times)) | st.just(Rate(film=True))


@given(RATES)
def test_a_rate_is_read_as_it_is_written(rate: Rate) -> None:
    assert Rate.parse(str(rate)) == rate


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("24000/1001", Fraction(24000, 1001)),
        ("23.976", Fraction(24000, 1001)),
        ("29.97", Fraction(30000, 1001)),
        ("59.94", Fraction(60000, 1001)),
        ("12.5", Fraction(25, 2)),
        ("60", Fraction(60)),
        (" 25 ", Fraction(25)),
    ],
)
def test_numbers_are_exact_and_ntsc_rates_are_meant(text: str, number: Fraction) -> None:
    assert Rate.parse(text) == Rate(number=number)


@pytest.mark.parametrize("text", ["", "x", "1x", "17x", "0", "24/0", "2.5x", "1001", "-5", "23.976/2", "fast", "1e3"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(OptionsError, match=r"--rate"):
        Rate.parse(text)


def test_a_multiple_is_of_the_source() -> None:
    assert Rate(times=3).of(Fraction(25)) == 75
    assert Rate(number=Fraction(60)).of(Fraction(25)) == 60
