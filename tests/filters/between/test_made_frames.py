"""From the frames of a source to those of a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from tests.support.frames import noise_frame, pixel_format
from tests.support.scenes import pan
from vidsr.filters.between.made_frames import FramesBetween
from vidsr.filters.between.rate_table import RateTable, SourceTimes, clock, on_grid
from vidsr.frames import Colour, Frame
from vidsr.inference.colour import planes_from_rgb, rgb_of
from vidsr.models.ifnet import load

TICK = Fraction(1, 1000)


def moving(count: int, name: str = "yuv420p", start: int = 0) -> list[Frame]:
    """Frames of a pan of two pixels a frame, 25 a second."""
    form, colour = pixel_format(name), Colour()
    pictures = pan(count, 2, 0, seed=start + 1, size=(48, 64))
    frames = []
    for number, picture in enumerate(pictures):
        planes = tuple(p[0].numpy().view(form.dtype) for p in planes_from_rgb(picture[None], form, colour))
        pts = 40 * (start + number)
        frames.append(Frame(planes=planes, format=form, colour=colour, index=start + number, pts=pts, time_base=TICK))
    return frames


def table_for(count: int, rate: Fraction) -> RateTable:
    source = SourceTimes.of([40 * n for n in range(count)], 40, TICK, Fraction(25))
    return on_grid(source, rate, clock(TICK, rate), count)


def maker(table: RateTable) -> FramesBetween:
    return FramesBetween(table=table, device=torch.device("cpu"), network=load(), rgb=rgb_of)


def made(frames: list[Frame], table: RateTable, first: int = 0, stop: int | None = None) -> list[Frame]:
    stop = len(table) if stop is None else stop
    low, high = table.needed(first, stop)
    return list(maker(table).frames(iter(frames[low:high]), first, stop))


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "gray", "gbrp"])
def test_frames_of_the_source_pass_untouched_and_others_lie_between(name: str) -> None:
    frames = moving(6, name)
    table = table_for(6, Fraction(50))
    result = made(frames, table)
    assert [f.index for f in result] == list(range(12)) and {f.time_base for f in result} == {table.time_base}
    for number, (frame, entry) in enumerate(zip(result, table.entries, strict=True)):
        assert (frame.pts, frame.duration) == (entry.pts, entry.duration)
        if not entry.share:
            assert all(a is b for a, b in zip(frame.planes, frames[entry.source].planes, strict=True))
        else:
            assert frame.planes[0].dtype == frames[0].planes[0].dtype and number % 2
            neighbours = (frames[entry.source].planes[0], frames[entry.source + 1].planes[0])
            assert not any(np.array_equal(frame.planes[0], plane) for plane in neighbours)


def test_the_same_whatever_the_segments_are() -> None:
    frames, table = moving(3), table_for(3, Fraction(60))
    whole = made(frames, table)
    for cut in (1, 3, 4):
        parts = [*made(frames, table, 0, cut), *made(frames, table, cut)]
        for a, b in zip(parts, whole, strict=True):
            assert a.pts == b.pts and all(np.array_equal(p, q) for p, q in zip(a.planes, b.planes, strict=True))


def test_nothing_is_made_across_a_cut() -> None:
    frames = [*moving(3), *(noise_frame("yuv420p", (64, 48), index=n, seed=n) for n in (3, 4))]
    table = table_for(5, Fraction(75))
    low, high = table.needed(0, len(table))
    between = maker(table)
    result = list(between.frames(iter(frames[low:high]), 0, len(table)))
    # Between frames 2 and 3 is a cut, and between 3 and 4, which are both noise.
    assert between.held == [7, 8, 10, 11]
    for number, source in ((7, 2), (8, 3), (10, 3), (11, 4)):
        assert all(a is b for a, b in zip(result[number].planes, frames[source].planes, strict=True))


def test_frames_that_are_alike_are_repeated() -> None:
    one = moving(1)[0]
    still = [replace(one, index=n, pts=40 * n) for n in range(3)]
    between = maker(table_for(3, Fraction(50)))
    assert all(frame.planes[0] is one.planes[0] for frame in between.frames(iter(still), 0, len(between.table)))
    assert not between.held


def test_frames_that_are_not_needed_are_passed_over() -> None:
    def source() -> Iterator[Frame]:
        yield from moving(9)

    table = table_for(9, Fraction(10))
    shown = list(maker(table).frames(source(), 0, len(table)))
    assert [frame.planes[0].tobytes() for frame in shown] == [
        moving(9)[entry.source].planes[0].tobytes() for entry in table.entries
    ]
