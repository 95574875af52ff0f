"""Frames that a capture lost, made again between their neighbours.

This filter only leaves out what stands in for lost frames: repeats next to a jump of the motion. All other frames keep
their times. The gaps, and those that the source has in its time stamps, are filled after the other filters by the table
of frames in between (:mod:`vidsr.filters.between.rate_table`), as planned in
:func:`vidsr.jobs.recipe.restoration_plan.planned_frames`.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from vidsr.filters.before.descriptor import FilterDescriptor, Retiming
from vidsr.filters.before.timeline import WEAVE, Timeline, TimelineEntry, Times
from vidsr.filters.detect.lost_frames import StandIns
from vidsr.frames import Frame


def without_stand_ins(frames: Iterator[Frame], times: Times) -> Timeline:
    """Every frame at its own time, but for those that stand in for lost ones."""
    watch, count = StandIns(), 0
    for frame in frames:
        watch.add(frame.planes[0], frame.format.max_code)
        count += 1
    left_out = {number for run in watch.found() for number in run}
    kept = [n for n in range(count) if n not in left_out]
    ends = [*(times.pts[n] for n in kept[1:]), times.pts[count - 1] + times.durations[count - 1]]
    entries = [TimelineEntry(n, n, WEAVE, times.pts[n], end - times.pts[n]) for n, end in zip(kept, ends, strict=True)]
    return Timeline(tuple(entries), "tff", times.time_base, count)


FILTER: FilterDescriptor[None] = FilterDescriptor(
    name="refill",
    help="makes the frames again that a capture lost, where time stamps leave a gap or a repeated frame stands next to "
    "a jump of the motion",
    retiming=Retiming(rate=Fraction(1), parts=1, table=lambda frames, times, _: without_stand_ins(frames, times)),
    whole=True,
)
