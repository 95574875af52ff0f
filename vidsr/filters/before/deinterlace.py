"""Deinterlacing: one progressive frame for each interlaced frame, or for each field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count

import numpy as np

from vidsr.filters.before.descriptor import FilterDescriptor, Retiming, find_field_order, parse_field_order
from vidsr.filters.before.filter import windowed
from vidsr.filters.before.timeline import FIRST, SECOND, Timeline, TimelineEntry, Times
from vidsr.filters.detect.inspection import Inspection
from vidsr.filters.detect.interlace import FieldOrder, Luma, Pair, classify, measure_pair, prepare
from vidsr.filters.detect.statistics import thumbnail
from vidsr.frames import Floats, Frame

#: Frames on either side, of the same scene, in which a frame's scan is judged.
SIGHT = 12
#: Mean difference of two thumbnails, in 8-bit code values, between which a new scene begins.
_NEW_SCENE = 18.0
#: Cells that must have moved whole, and the share of those that moved that may be combed, of a progressive scene. Fine
#: detail combs too. Set on real clips: no window of an interlaced one and of four made from real ones was called
#: progressive at all, whatever the share.
_FEWEST_WHOLE, _COMBED = 60, 0.3


@dataclass(frozen=True, slots=True)
class PairedFrame:
    """A frame, and the measures of its fields between the frame before and it; None where a scene begins."""

    frame: Frame
    pair: Pair | None


class Deinterlace:
    """One progressive frame for each interlaced frame, at the moment of its first field.

    Frames of scenes that are clearly progressive, by the evidence that :mod:`vidsr.filters.detect.interlace` collects,
    pass as they are. A recording in which the two are mixed keeps the full detail of its progressive scenes.

    Args:
        order: "tff" or "bff".
    """

    name = "deinterlace"
    lookaround = (SIGHT, SIGHT)

    def __init__(self, order: str) -> None:
        self.order = order

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        from vidsr.filters.before.carried_fields import Moments

        moments = Moments(self.order)
        made = count()

        def make(window: Sequence[PairedFrame], at: int) -> Frame:
            number = next(made)
            if is_progressive(window, at):
                return window[at].frame

            def frame_at(wanted: int) -> Frame | None:
                place = at + wanted - number
                return window[place].frame if 0 <= place < len(window) else None

            return moments.whole(number, frame_at, first=True)

        return windowed(paired(frames), *self.lookaround, make)


def paired(frames: Iterator[Frame]) -> Iterator[PairedFrame]:
    """Each frame with the measures between the frame before and it."""
    before: tuple[Luma, Floats] | None = None
    for frame in frames:
        luma = prepare(frame.planes[0], frame.format.max_code)
        now = luma, thumbnail(luma)
        same = before is not None and float(np.abs(before[1] - now[1]).mean()) <= _NEW_SCENE
        yield PairedFrame(frame, measure_pair(before[0], luma) if before is not None and same else None)
        before = now


def is_progressive(window: Sequence[PairedFrame], at: int) -> bool:
    """Whether the scene around frame ``at`` is clearly progressive, by the frames within :data:`SIGHT`."""
    first, last = at, at
    while first > max(0, at - SIGHT) and window[first].pair is not None:
        first -= 1
    while last + 1 < min(len(window), at + SIGHT + 1) and window[last + 1].pair is not None:
        last += 1
    pairs = [pair for paired in (window[n] for n in range(first + 1, last + 1)) if (pair := paired.pair) is not None]
    found = classify(pairs)
    enough = found.clean >= _FEWEST_WHOLE and found.combed <= _COMBED * (found.combed + found.clean)
    return found.scan == "progressive" and enough


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
    help="one frame for each frame, along the motion; progressive scenes pass as they are; "
    "with `--fields double` one for each field",
    syntax="tff|bff",
    parse=parse_field_order,
    make=_make,
    doubling=Retiming(rate=Fraction(2), parts=2, table=lambda _, times, order: doubled(times, order), looks=False),
    find=find_field_order,
    absent="the picture does not look interlaced (deinterlace=tff does it anyway)",
    recommended=_recommended,
    whole=True,
)
