"""The table of new frames that filters make which change how many frames there are, or when they are shown.

What each new frame is made of, and when it is shown, is decided once, in a pass over the whole source. Making frames
from the table needs only the source frames that it names and their neighbours; so segments, and a job that is resumed,
come out the same wherever they begin.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from vidsr.filters.before.field_interpolation import REACH, bob
from vidsr.filters.before.filter import with_planes
from vidsr.filters.packed_rows import PackedRows
from vidsr.frames import Frame, ReadFrames

if TYPE_CHECKING:
    from vidsr.filters.before.carried_fields import Moments

#: Kinds of table entries: two fields woven, or the first or second field of a frame with the lines between made, along
#: the motion or, quicker, from the neighbours in place.
WEAVE, FIRST, SECOND, QUICK_FIRST, QUICK_SECOND = 0, 1, 2, 3, 4
#: How many numbers an entry has, and the places of two of them.
_WIDTH, _PTS, _DURATION = 5, 3, 4


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One new frame: the source frames of its top and bottom field, its kind, and its place in time."""

    top: int
    bottom: int
    kind: int
    pts: int
    duration: int

    def numbers(self) -> tuple[int, ...]:
        """All fields, in their order."""
        return self.top, self.bottom, self.kind, self.pts, self.duration


@dataclass(frozen=True, slots=True)
class Timeline:
    """The table. ``order`` is the field order; ``sources`` the number of source frames. The ``entries`` are packed."""

    entries: Sequence[TimelineEntry]
    order: str
    time_base: Fraction
    sources: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "entries", self._rows())

    def _rows(self) -> PackedRows[TimelineEntry]:
        return PackedRows.of(self.entries, _WIDTH, TimelineEntry)

    def stamps(self) -> tuple[Sequence[int], Sequence[int]]:
        """The pts and the durations of all new frames."""
        rows = self._rows()
        return rows.column(_PTS), rows.column(_DURATION)

    def read(self, source: ReadFrames, first: int, stop: int) -> Iterator[Frame]:
        """New frames ``first`` to ``stop`` (not included). ``source(a, b)`` reads a range of source frames."""
        from vidsr.filters.before.carried_fields import Moments

        wanted = self.entries[first:stop]
        if not wanted:
            return
        low = max(0, min(min(e.top, e.bottom) for e in wanted) - REACH)
        high = min(self.sources, max(max(e.top, e.bottom) for e in wanted) + REACH + 1)
        held: dict[int, Frame] = {}
        moments = Moments(self.order)
        stream = source(low, high)
        try:
            for number, entry in enumerate(wanted, first):
                last = min(high - 1, max(entry.top, entry.bottom) + REACH)
                while last not in held:
                    frame = next(stream)
                    held[frame.index] = frame
                yield self._place(self._make(entry, held, moments), entry, number)
                for old in [n for n in held if n < min(entry.top, entry.bottom) - REACH - 1]:
                    del held[old]
        finally:
            close = getattr(stream, "close", None)
            if close is not None:
                close()

    def _make(self, entry: TimelineEntry, held: dict[int, Frame], moments: Moments) -> Frame:
        top = held[entry.top]
        if entry.kind == WEAVE:
            return top if entry.top == entry.bottom else woven(top, held[entry.bottom])
        if entry.kind in (QUICK_FIRST, QUICK_SECOND):
            before, after = held.get(entry.top - 1, top), held.get(entry.top + 1, top)
            return bob(before, top, after, first=entry.kind == QUICK_FIRST, order=self.order)
        return moments.whole(entry.top, held.get, first=entry.kind == FIRST)

    def _place(self, frame: Frame, entry: TimelineEntry, number: int) -> Frame:
        return replace(frame, index=number, pts=entry.pts, duration=entry.duration, time_base=self.time_base)

    def to_values(self) -> dict[str, Any]:
        """Text and numbers by name; the numbers of all entries in one packed row."""
        entries = self._rows().numbers
        return {"order": self.order, "time_base": str(self.time_base), "sources": self.sources, "entries": entries}

    @classmethod
    def from_values(cls, data: dict[str, Any]) -> Timeline:
        """The inverse of :meth:`to_values`."""
        entries = PackedRows(data["entries"], _WIDTH, TimelineEntry)
        return cls(entries, data["order"], Fraction(data["time_base"]), data["sources"])


def woven(top: Frame, bottom: Frame) -> Frame:
    """The even lines of one frame with the odd lines of another."""
    planes = []
    for even, odd in zip(top.planes, bottom.planes, strict=True):
        plane = np.array(even)
        plane[1::2] = odd[1::2]
        planes.append(plane)
    return with_planes(top, planes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When the source frames are shown, in a time base fine enough for the new times.

    ``rate`` is frames a second as the source states it; None where it states none.
    """

    pts: Sequence[int]
    durations: Sequence[int]
    time_base: Fraction
    rate: Fraction | None = None
