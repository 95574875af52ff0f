"""The frames of a result with another frame rate: when each is shown, and what it is made of.

All times are exact. The table depends on times only, not on pictures, so that it is made in a moment; it is made after
filters that change frames or times (:mod:`vidsr.filters.before.timeline`) and after the part of the source was cut out.

Where a frame of the source is shown at the time of a new frame, it is taken as it is. Where the source's frames are
farther apart than those of the result, frames in between are made; where they lie closer, the nearest is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import gcd
from typing import Any

from vidsr.filters.packed_rows import PackedRows

#: Clocks of containers are 32-bit fractions.
_FINEST = 2**31 - 1
#: Rates so close to the source's, or to a multiple of it, keep its frames: one is repeated or dropped now and then,
#: where otherwise nearly all would be made.
_NEARLY = Fraction(1, 100)
#: A frame shown longer than this is held, not moved: in seconds, and in median distances between frames of the source.
LONG_SECONDS, LONG_STEPS = Fraction(1, 4), Fraction(5, 2)
#: Stamps are rounded to whole ticks, or to milliseconds by containers that the source was in before.
_ROUNDED_SECONDS = Fraction(1, 1000)
#: How many numbers an entry has, and the places of some of them.
_WIDTH, _SOURCE, _SHARE, _PTS, _DURATION = 5, 0, 1, 3, 4


@dataclass(frozen=True, slots=True)
class RateEntry:
    """One frame of the result: frame ``source`` as it is, or where ``share`` is above 0, a frame made at this share of
    the way from it to the next. ``pts`` and ``duration`` count the table's time base."""

    source: int
    share: Fraction
    pts: int
    duration: int

    def numbers(self) -> tuple[int, ...]:
        """All fields, the share as numerator and denominator."""
        return self.source, self.share.numerator, self.share.denominator, self.pts, self.duration

    @classmethod
    def of_numbers(cls, source: int, numerator: int, denominator: int, pts: int, duration: int) -> RateEntry:
        """The inverse of :meth:`numbers`."""
        return cls(source, Fraction(numerator, denominator), pts, duration)


@dataclass(frozen=True, slots=True)
class RateTable:
    """The table. ``sources`` is the number of frames that it was made from, beyond which nothing may be read. The
    ``entries`` are packed."""

    entries: Sequence[RateEntry]
    time_base: Fraction
    sources: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "entries", self._rows())

    def _rows(self) -> PackedRows[RateEntry]:
        return PackedRows.of(self.entries, _WIDTH, RateEntry.of_numbers)

    def stamps(self) -> tuple[Sequence[int], Sequence[int]]:
        """The pts and the durations of all frames."""
        rows = self._rows()
        return rows.column(_PTS), rows.column(_DURATION)

    def __len__(self) -> int:
        return len(self.entries)

    def made(self) -> list[int]:
        """The numbers of the frames that the source does not have."""
        return [number for number, share in enumerate(self._rows().column(_SHARE)) if share]

    def needed(self, first: int, stop: int) -> tuple[int, int]:
        """The half-open range of source frames that frames ``first`` to ``stop`` (not included) are made of."""
        entries = self.entries[first:stop]
        if not entries:
            return 0, 0
        return entries[0].source, max(e.source + (2 if e.share else 1) for e in entries[-2:])

    @property
    def stride(self) -> int:
        """How many source frames lie between two frames of the result at most; at least 1."""
        return max((b - a for a, b in pairwise(self._rows().column(_SOURCE))), default=1) or 1

    def to_values(self) -> dict[str, Any]:
        """Text and numbers by name; the numbers of all entries in one packed row."""
        return {"time_base": str(self.time_base), "sources": self.sources, "entries": self._rows().numbers}

    @classmethod
    def from_values(cls, data: Mapping[str, Any]) -> RateTable:
        """The inverse of :meth:`to_values`."""
        entries = PackedRows(data["entries"], _WIDTH, RateEntry.of_numbers)
        return cls(entries, Fraction(data["time_base"]), data["sources"])


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTimes:
    """When the frames that a table is made from are shown, in seconds.

    ``first`` is the number of the first of them. ``end`` is when the last one ends that belongs to the result;
    ``times`` may hold one more frame, shown at or after the end, which frames in between may be made of. Times that
    differ by up to ``slack`` mean the same moment. ``even``: the frames have a constant rate.
    """

    times: tuple[Fraction, ...]
    end: Fraction
    first: int = 0
    slack: Fraction = Fraction(0)
    even: bool = False

    @classmethod
    def of(
        cls,
        pts: Sequence[int],
        duration: int,
        time_base: Fraction,
        rate: Fraction,
        *,
        first: int = 0,
        following: int | None = None,
    ) -> SourceTimes:
        """From stamps of frames, the ``duration`` of the last, and the pts of the frame ``following`` it, if any.

        Stamps that differ from those of a constant ``rate`` by rounding only stand for these.
        """
        stamps = [p * time_base for p in pts]
        end = stamps[-1] + duration * time_base
        rounding = max(time_base, _ROUNDED_SECONDS)
        if time_base * 8 > 1 / rate:
            rounding = Fraction(0)  # ticks as long as frames are exact
        constant = [stamps[0] + n / rate for n in range(len(stamps) + 1)]
        even = all(abs(a - b) <= rounding for a, b in zip((*stamps, end), constant, strict=True))
        if even:
            stamps, end, rounding = constant[:-1], constant[-1], Fraction(0)
        if following is not None:
            stamps.append(max(end, following * time_base))
        return cls(times=tuple(stamps), end=end, first=first, slack=rounding, even=even)

    @property
    def longest(self) -> Fraction:
        """How long a frame may be shown and still move on to the next one."""
        steps = sorted(b - a for a, b in pairwise(self.times))
        median = steps[len(steps) // 2] if steps else Fraction(0)
        return max(LONG_SECONDS, LONG_STEPS * median)


def clock(time_base: Fraction, rate: Fraction, times: int = 1) -> Fraction:
    """A time base for the result: whole ticks for the source's stamps, their ``times``-th parts, and steps of ``rate``.

    Where none exists within 32 bits, steps of the rate are whole, and stamps are rounded by less than a nanosecond.
    """
    part, step = time_base / times, 1 / rate
    common = Fraction(
        gcd(part.numerator * step.denominator, step.numerator * part.denominator), part.denominator * step.denominator
    )
    if common.denominator <= _FINEST:
        return common
    return Fraction(1, step.denominator * max(1, _FINEST // step.denominator))


def on_grid(source: SourceTimes, rate: Fraction, time_base: Fraction, sources: int) -> RateTable:
    """Frames at even distances from the first frame's time on, until the source ends.

    The last one lasts as long as the source does: up to half a step longer or shorter than the others.
    """
    step, begin = 1 / rate, source.times[0]
    count = max(1, round((source.end - begin) * rate))
    longest, slack = source.longest, min(source.slack, step / 8)
    times = [begin + n * step for n in range(count)]
    found, at = [], 0
    for time in times:
        while at + 1 < len(source.times) and source.times[at + 1] <= time + slack:
            at += 1
        before, distance = time - source.times[at], _distance(source.times, at)
        if distance is None or before <= slack:
            found.append((at, Fraction(0)))
        elif distance > longest:
            found.append((at + (distance - before < step / 2), Fraction(0)))
        else:
            share = _share(before / distance, distance / step, source.even)
            found.append((at + 1, Fraction(0)) if share == 1 else (at, share))
    return _timed(found, times, source, time_base, sources)


def _share(share: Fraction, parts: Fraction, even: bool) -> Fraction:
    """The share of the way at which to make a frame, where two frames of the source are ``parts`` steps apart.

    Of up to about one step, the nearest frame is taken: 0 or 1.
    """
    if parts <= 1 + _NEARLY:
        return Fraction(int(share > Fraction(1, 2)))
    whole = round(parts)
    return Fraction(round(share * whole), whole) if even and abs(parts / whole - 1) <= _NEARLY else share


def _distance(times: Sequence[Fraction], at: int) -> Fraction | None:
    """From a frame to the next; None after the last one."""
    return times[at + 1] - times[at] if at + 1 < len(times) else None


def with_made(source: SourceTimes, made: Mapping[int, int], time_base: Fraction, sources: int) -> RateTable:
    """Every frame at its own time, and ``made[n]`` frames evenly between frame ``n`` (0 is the first of ``source``) and
    the next. After the last frame, and where one is shown for long, it is repeated."""
    longest = source.longest
    found: list[tuple[int, Fraction]] = []
    times: list[Fraction] = []
    for number, (start, stop) in enumerate(pairwise((*_own(source), source.end))):
        parts, distance = made.get(number, 0) + 1, _distance(source.times, number)
        for part in range(parts):
            later = (stop - start) * part / parts
            found.append((number, Fraction(0) if distance is None or distance > longest else later / distance))
            times.append(start + later)
    return _timed(found, times, source, time_base, sources)


#: Frames ``first``, ``first + step``, … before ``stop``.
Progression = tuple[int, int, int]


def progressions(numbers: Sequence[int]) -> tuple[Progression, ...]:
    """Ascending numbers as (first, stop, step), as ``range`` takes them; a few for millions of evenly spaced ones."""
    found: list[Progression] = []
    at = 0
    while at < len(numbers):
        first = numbers[at]
        step = numbers[at + 1] - first if at + 1 < len(numbers) else 1
        end = at + 1
        while end < len(numbers) and numbers[end] - numbers[end - 1] == step:
            end += 1
        if end - at == 2 and step > 1:
            end = at + 1  # two alone are not a progression: the second may begin one
        found.append((first, numbers[end - 1] + 1, step if end - at > 1 else 1))
        at = end
    return tuple(found)


def _own(source: SourceTimes) -> Iterator[Fraction]:
    """The times of the frames that belong to the result."""
    return (time for time in source.times if time < source.end)


def _timed(
    found: Sequence[tuple[int, Fraction]],
    times: Sequence[Fraction],
    source: SourceTimes,
    time_base: Fraction,
    sources: int,
) -> RateTable:
    ticks = [round(time / time_base) for time in (*times, source.end)]
    entries = [
        RateEntry(source.first + at, share, low, high - low)
        for (at, share), (low, high) in zip(found, pairwise(ticks), strict=True)
    ]
    return RateTable(tuple(entries), time_base, sources)
