"""The table of frames without those that stand in for lost ones."""

from __future__ import annotations

from fractions import Fraction

from tests.support.field_clips import frames_of, moments
from vidsr.filters.before.refill import without_stand_ins
from vidsr.filters.before.timeline import Times


def test_what_stands_in_is_left_out_and_all_others_keep_their_times() -> None:
    pan = moments(30, 3, 1)
    shown = [*range(12), 11, *range(13, 20), 21, *range(21, 30)]
    times = Times(pts=[7 + 2 * n for n in range(30)], durations=[2] * 30, time_base=Fraction(1, 50))
    table = without_stand_ins(iter(frames_of([pan[n] for n in shown])), times)
    kept = [n for n in range(30) if n not in (12, 20)]
    assert [(e.top, e.bottom, e.pts) for e in table.entries] == [(n, n, 7 + 2 * n) for n in kept]
    assert [e.duration for e in table.entries] == [4 if n in (11, 19) else 2 for n in kept]
    assert table.sources == 30 and table.time_base == times.time_base
