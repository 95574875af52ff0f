"""What filters changed is counted the same however a recording is cut into segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.field_clips import frames_of, moments
from vidsr.filters.before.crop import Crop
from vidsr.filters.before.filter import deepened, with_planes
from vidsr.filters.undo.change_count import STRETCH_FRAMES, FilterChanges, changed_pixels, together, watched
from vidsr.filters.undo.mask import FrameMask
from vidsr.frames import Frame

SOURCE = frames_of([np.full((16, 16), 90, np.float32)] * 120)


class Marked:
    """Brightens as many pixels of a frame as its number says in ``marks``; looks one frame ahead."""

    name = "marked"
    lookaround = (0, 1)

    def __init__(self, marks: Sequence[int]) -> None:
        self.marks = marks

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        ahead: list[Frame] = []
        for frame in frames:
            ahead.append(frame)
            if len(ahead) == 2:
                yield self._made(ahead.pop(0))
        yield from map(self._made, ahead)

    def _made(self, frame: Frame) -> Frame:
        if not self.marks[frame.index]:
            return frame
        luma = frame.planes[0].copy()
        luma.reshape(-1)[: self.marks[frame.index]] += 5
        return with_planes(frame, [luma, *frame.planes[1:]])


def counted(marks: Sequence[int], edges: Sequence[int]) -> FilterChanges:
    segments = []
    for start, stop in pairwise(edges):
        first, last = max(0, start - 3), min(len(SOURCE), stop + 3)
        changes = FilterChanges(name="marked")
        made = watched(Marked(marks), iter(SOURCE[first:last]), first, counted=range(start, stop), into=changes)
        assert [f.index for f in made] == list(range(first, last))
        segments.append([FilterChanges.from_json(changes.shortened().to_json())])
    (found,) = together(segments)
    return found


@given(
    st.lists(st.integers(0, 40), min_size=120, max_size=120),
    st.lists(st.integers(1, 119), unique=True, max_size=6).map(sorted),
)
def test_counts_do_not_depend_on_segments(marks: list[int], cuts: list[int]) -> None:
    found = counted(marks, [0, *cuts, 120])
    assert found == counted(marks, [0, 120])
    assert (found.frames, found.pixels) == (sum(m > 0 for m in marks), sum(marks))
    assert (found.seen, found.all_pixels) == (120, 120 * 256)


def test_the_stretches_changed_most_come_first_with_their_times() -> None:
    marks = [0] * 120
    marks[30], marks[31], marks[100] = 20, 4, 30
    first, second = counted(marks, [0, 40, 120]).most
    assert (first.first, first.stop, first.pixels) == (100, 101, 30)
    assert (second.first, second.stop, second.pixels) == (30, 32, 24)
    assert second.begin == pytest.approx(30 / 25)
    assert 30 // STRETCH_FRAMES == 31 // STRETCH_FRAMES


def test_a_pixel_counts_once_whichever_planes_differ() -> None:
    was = SOURCE[0]
    luma, chroma = was.planes[0].copy(), was.planes[1].copy()
    luma[0, 0] += 1
    chroma[0, 0] += 1
    assert changed_pixels(was, with_planes(was, [luma, *was.planes[1:]])) == 1
    assert changed_pixels(was, with_planes(was, [was.planes[0], chroma, was.planes[2]])) == 4
    assert changed_pixels(was, with_planes(was, [luma, chroma, chroma])) == 4
    assert changed_pixels(was, with_planes(was, [np.array(p) for p in was.planes])) == 0


def test_cropping_changes_no_pixel() -> None:
    clip = frames_of(moments(3))
    changes = FilterChanges(name="crop")
    deque = list(watched(Crop(8, 8, 64, 64), iter(clip), 0, counted=range(3), into=changes))
    assert len(deque) == 3 and (changes.frames, changes.seen) == (0, 3)


def test_what_a_mask_keeps_is_not_counted() -> None:
    share = np.ones((16, 16), np.float32)
    share[0] = 0
    changes = FilterChanges(name="marked")
    kept = FrameMask(share)
    made = watched(Marked([20] * 120), iter(SOURCE), 0, mask=lambda _: kept, counted=range(120), into=changes)
    assert all((frame.planes[0][0] == 90).all() for frame in made)
    assert (changes.frames, changes.pixels) == (120, 120 * 4)


def test_more_bits_alone_change_nothing() -> None:
    deep = deepened(SOURCE[0])
    assert changed_pixels(SOURCE[0], deep) == 0
    luma = deep.planes[0].copy()
    luma[3, 4:7] += 90
    assert changed_pixels(SOURCE[0], with_planes(deep, [luma, *deep.planes[1:]])) == 3
