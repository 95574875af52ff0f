"""A made-up filter that changes which frames there are."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from vidsr.filters.before.descriptor import FilterDescriptor, Retiming
from vidsr.filters.before.timeline import WEAVE, Timeline, TimelineEntry, Times
from vidsr.frames import Frame


def every_other(frames: Iterator[Frame], times: Times, _: None) -> Timeline:
    """Each second source frame, shown until the next one."""
    count = len(times.pts)
    numbers = range(0, count, 2)
    ends = [*(times.pts[n] for n in numbers[1:]), times.pts[-1] + times.durations[-1]]
    entries = [
        TimelineEntry(n, n, WEAVE, times.pts[n], end - times.pts[n]) for n, end in zip(numbers, ends, strict=True)
    ]
    return Timeline(tuple(entries), "tff", times.time_base, count)


FILTER: FilterDescriptor[None] = FilterDescriptor(
    name="halve",
    help="leaves every second frame out",
    retiming=Retiming(rate=Fraction(1, 2), parts=1, table=every_other, looks=False),
)
