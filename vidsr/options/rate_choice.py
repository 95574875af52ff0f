"""The value of ``--rate``: how many frames a second the result has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from vidsr.errors import OptionsError

#: Most frames for each frame of the source.
MOST_TIMES = 16
#: Frames a second that are accepted.
LEAST, MOST = 1, 1000


@dataclass(frozen=True, slots=True)
class Rate:
    """Frames a second, as a number; or for each frame of the source (``times``); or those of the film (``film``), which
    is looked for in the source.

    Exactly one of the three is set.
    """

    number: Fraction | None = None
    times: int | None = None
    film: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "60", "23.976", "24000/1001", "2x" or "film".

        Raises:
            OptionsError: it is none of these, or too low or high.
        """
        given = text.strip().lower()
        if given == "film":
            return cls(film=True)
        times = re.fullmatch(r"(\d{1,3})x", given)
        if times is not None:
            if not 2 <= int(times[1]) <= MOST_TIMES:
                raise OptionsError(f"--rate {text}: give 2x to {MOST_TIMES}x")
            return cls(times=int(times[1]))
        number = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(?:/(\d{1,9}))?", given)
        if number is None or (number[2] is not None and ("." in number[1] or int(number[2]) == 0)):
            raise OptionsError(
                f"--rate {text}: write frames a second as a number or fraction (60, 24000/1001), a multiple of the "
                "source's (2x), or film"
            )
        rate = _exact(number[1]) if number[2] is None else Fraction(int(number[1]), int(number[2]))
        if not LEAST <= rate <= MOST:
            raise OptionsError(f"--rate {text}: give {LEAST} to {MOST} frames a second")
        return cls(number=rate)

    def __str__(self) -> str:
        """The inverse of :meth:`parse`."""
        if self.film:
            return "film"
        return f"{self.times}x" if self.times is not None else str(self.number)

    def of(self, source: Fraction) -> Fraction:
        """Frames a second of the result, from the nominal ones of the source; ``film`` must have been resolved."""
        assert not self.film, "resolved before"
        return source * self.times if self.times is not None else self.number or source


def _exact(decimal: str) -> Fraction:
    """A decimal number; 23.976, 29.97, 59.94 and the like stand for N·1000/1001."""
    rate = Fraction(decimal)
    whole = -(-rate // 1)
    ntsc = Fraction(whole * 1000, 1001)
    digits = len(decimal.partition(".")[2])
    return ntsc if digits >= 2 and round(ntsc, digits) == rate else rate


def write_rate(rate: Rate | None) -> str | None:
    """A rate as JSON has it."""
    return None if rate is None else str(rate)
