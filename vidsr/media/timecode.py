"""SMPTE timecode: counting frames in hours, minutes, seconds and frames, with or without drop frames (ST 12-1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_TEXT = re.compile(r"(\d\d):([0-5]\d):([0-5]\d)([:;.])(\d\d)")


@dataclass(frozen=True, slots=True)
class Timecode:
    """A timecode. ``drop`` says that two frame numbers (four above 30) are left out each minute but every tenth, so
    that 29.97 and 59.94 frames per second keep pace with the clock."""

    hours: int
    minutes: int
    seconds: int
    frames: int
    drop: bool = False

    @classmethod
    def parse(cls, text: str) -> Timecode | None:
        """The timecode in "01:02:03:04", or "01:02:03;04" with drop frames; None for any other text."""
        found = _TEXT.fullmatch(text.strip())
        if found is None or int(found[1]) > 23:
            return None
        return cls(int(found[1]), int(found[2]), int(found[3]), int(found[5]), found[4] != ":")

    def __str__(self) -> str:
        mark = ";" if self.drop else ":"
        return f"{self.hours:02}:{self.minutes:02}:{self.seconds:02}{mark}{self.frames:02}"

    def later(self, count: int, rate: Fraction) -> Timecode:
        """The timecode ``count`` frames later at a ``rate`` in frames per second; it wraps around at midnight."""
        base = max(1, round(rate))
        dropped = 2 * round(base / 30) if self.drop else 0
        minutes = 60 * self.hours + self.minutes
        number = (minutes * 60 + self.seconds) * base + min(self.frames, base - 1)
        number -= dropped * (minutes - minutes // 10)
        ten, one = 600 * base - 9 * dropped, 60 * base - dropped
        number = (number + count) % (144 * ten)
        tens, rest = divmod(number, ten)
        # The first minute of ten is a whole one: the names that it keeps move the others up.
        missing = dropped * (9 * tens + (max(0, rest - dropped) // one if dropped else 0))
        seconds, frames = divmod(number + missing, base)
        return Timecode(seconds // 3600 % 24, seconds // 60 % 60, seconds % 60, frames, self.drop)
