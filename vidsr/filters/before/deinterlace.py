"""Deinterlacing: one progressive frame for each interlaced frame, or for each field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import count

from vidsr.filters.before.descriptor import FilterDescriptor, Retiming, find_field_order, parse_field_order
from vidsr.filters.before.field_interpolation import REACH
from vidsr.filters.before.filter import windowed
from vidsr.filters.before.timeline import FIRST, SECOND, Timeline, TimelineEntry, Times
from vidsr.filters.detect.inspection import Inspection
from vidsr.filters.detect.interlace import FieldOrder
from vidsr.frames import Frame


class Deinterlace:
    """One progressive frame for each interlaced frame, at the moment of its first field.

    Args:
        order: "tff" or "bff".
    """

    name = "deinterlace"
    lookaround = (REACH, REACH)

    def __init__(self, order: str) -> None:
        self.order = order

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        from vidsr.filters.before.carried_fields import Moments

        moments = Moments(self.order)
        made = count()

        def make(window: Sequence[Frame], at: int) -> Frame:
            number = next(made)

            def frame_at(wanted: int) -> Frame | None:
                place = at + wanted - number
                return window[place] if 0 <= place < len(window) else None

            return moments.whole(number, frame_at, first=True)

        return windowed(frames, *self.lookaround, make)


def doubled(times: Times, order: str, kinds: tuple[int, int] = (FIRST, SECOND)) -> Timeline:
    """One new frame for each field, the second half-way to the next frame; ``kinds`` are those of the entries."""
    entries = []
    for n, (pts, duration) in enumerate(zip(times.pts, times.durations, strict=True)):
        half = duration // 2
        entries.append(TimelineEntry(n, n, kinds[0], pts, half))
        entries.append(TimelineEntry(n, n, kinds[1], pts + half, duration - half))
    return Timeline(tuple(entries), order, times.time_base, len(times.pts))


def _make(order: FieldOrder | None) -> Deinterlace:
    assert order is not None, "the field order is found before filters are made"
    return Deinterlace(order)


def _recommended(found: Inspection) -> bool:
    return found.scan == "interlaced" or (found.scan == "mixed" and not found.pattern)


FILTER: FilterDescriptor[FieldOrder] = FilterDescriptor(
    name="deinterlace",
    help="one frame for each frame, along the motion; with `--fields double` one for each field",
    syntax="tff|bff",
    parse=parse_field_order,
    make=_make,
    doubling=Retiming(rate=Fraction(2), parts=2, table=lambda _, times, order: doubled(times, order), looks=False),
    find=find_field_order,
    absent="the picture does not look interlaced (deinterlace=tff does it anyway)",
    recommended=_recommended,
    whole=True,
)
