"""Repeated frames left out."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from vidsr.filters.before.descriptor import FilterDescriptor, Retiming
from vidsr.filters.before.repeats import Match, gathered, repeats_of_blocks, without
from vidsr.filters.before.timeline import WEAVE, Timeline, Times
from vidsr.filters.detect import interlace
from vidsr.filters.detect.inspection import REPEATING, Inspection
from vidsr.filters.detect.pulldown import FieldChange
from vidsr.frames import Frame


def without_repeats(frames: Iterator[Frame], times: Times) -> Timeline:
    """Repeated frames left out; where one in five was one, the other four share the time evenly."""

    def own() -> Iterator[Match]:
        for n, frame in enumerate(frames):
            yield Match(n, n, WEAVE, interlace.prepare(frame.planes[0], frame.format.max_code), FieldChange())

    found, changes = gathered(own())
    return without(found, repeats_of_blocks(changes), times, "tff")


def _recommended(found: Inspection) -> bool:
    return found.scan == "progressive" and found.cadence is None and found.duplicate_ratio > REPEATING


FILTER: FilterDescriptor[None] = FilterDescriptor(
    name="dedupe",
    help="drops repeated frames; where one in five was a repeat, the other four share the time evenly",
    retiming=Retiming(
        rate=Fraction(1),  # how many repeats there are is known only after a look at all frames
        parts=4,
        table=lambda frames, times, _: without_repeats(frames, times),
    ),
    recommended=_recommended,
    whole=True,
)
