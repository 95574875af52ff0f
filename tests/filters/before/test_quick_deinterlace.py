"""Quick deinterlacing: the neighbours in place, whatever the window; both moments in a table."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.field_clips import frames_of, moments, woven
from vidsr.filters.before.descriptor import descriptor, make_filter
from vidsr.filters.before.field_interpolation import bob
from vidsr.filters.before.timeline import Times
from vidsr.frames import Frame
from vidsr.options.filter_choices import FilterSelection


def bobbed(frames: list[Frame], number: int, *, first: bool, order: str) -> Frame:
    around = frames[max(0, number - 1)], frames[number], frames[min(len(frames) - 1, number + 1)]
    return bob(*around, first=first, order=order)


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_each_frame_and_each_field(order: str) -> None:
    source = frames_of(woven(moments(12, 3, 1), order))
    (choice,) = FilterSelection.parse(f"deinterlace-quick={order}").choices
    for number, frame in enumerate(make_filter(choice)(iter(source))):
        wanted = bobbed(source, number, first=True, order=order)
        assert np.array_equal(frame.planes[0], wanted.planes[0]) and frame.index == number
    double = descriptor("deinterlace-quick").doubling
    assert double is not None
    times = Times(pts=range(0, 24, 4), durations=[4] * 6, time_base=source[0].time_base)
    table = double.table(iter(source), times, order)
    for cut in (0, 5):
        for at, frame in enumerate(table.read(lambda a, b: iter(source[a:b]), cut, 12), cut):
            wanted = bobbed(source, at // 2, first=at % 2 == 0, order=order)
            assert np.array_equal(frame.planes[0], wanted.planes[0]) and frame.pts == 2 * at
