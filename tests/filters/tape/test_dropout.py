"""Dropouts: lost lines come back, everything else stays bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.field_clips import Clip, frames_of, moments
from vidsr.filters.tape.dropout import Dropout
from vidsr.frames import Frame

#: Frame, rows, columns, and what is shown there; None is noise.
LOST = ((2, (20, 21), (30, 90), 250), (4, (50,), (0, 128), 5), (5, (0,), (10, 60), 240), (6, (70, 72), (40, 110), None))


def damaged(truth: Clip) -> Clip:
    rng = np.random.default_rng(4)
    clip = [y.copy() for y in truth]
    for n, rows, (first, stop), value in LOST:
        for y in rows:
            clip[n][y, first:stop] = rng.integers(0, 256, stop - first) if value is None else value
    return clip


@pytest.mark.parametrize("motion", [(0, 0), (2, 0), (3, 1)])
def test_lost_lines_come_back_and_the_rest_stays(motion: tuple[int, int]) -> None:
    truth = moments(9, *motion)
    source = frames_of(damaged(truth))
    result = list(Dropout()(iter(source)))
    for n, (before, after, true) in enumerate(zip(source, result, truth, strict=True)):
        harmed = np.abs(before.planes[0] - np.rint(true)) > 2
        changed = before.planes[0] != after.planes[0]
        assert (changed & ~harmed).sum() <= 0.001 * harmed.size
        if n in {lost[0] for lost in LOST}:
            assert (changed & harmed).sum() >= 0.9 * harmed.sum()
            assert np.abs(after.planes[0] - true)[harmed].mean() < 0.15 * np.abs(before.planes[0] - true)[harmed].mean()


def test_what_lost_nothing_is_given_back_as_it_came() -> None:
    source = frames_of(moments(6, 3, 1))
    assert all(a is b for a, b in zip(Dropout()(iter(source)), source, strict=True))


@pytest.mark.parametrize("step", [2, 3, 5])
def test_a_thin_line_that_moves_otherwise_than_its_surroundings_stays(step: int) -> None:
    clip = moments(8, 2)
    for n, y in enumerate(clip):
        y[20 + step * n : 22 + step * n, 20:100] = 245
    source = frames_of(clip)
    for before, after in zip(source, Dropout()(iter(source)), strict=True):
        assert (before.planes[0] != after.planes[0]).sum() <= 0.001 * before.planes[0].size


def test_first_and_last_frame_and_the_frames_at_a_cut_stay() -> None:
    clip = damaged(moments(9, 2)) + moments(5, 1, seed=9)
    for n in (0, 13):
        clip[n][30, 10:100] = 250
    source = frames_of(clip)
    result = list(Dropout()(iter(source)))
    assert [n for n, (a, b) in enumerate(zip(source, result, strict=True)) if a is not b] == [2, 4, 5, 6]


def test_lost_colour_is_found_without_lost_luma() -> None:
    luma = moments(5, 2)
    colour = [y[::2, ::2] * 0.5 + 64 for y in luma]

    def coloured(frame: Frame, n: int, lost: bool) -> Frame:
        planes = [np.rint(colour[n]).astype(np.uint8) for _ in range(2)]
        if lost and n == 2:
            planes[0][20, 10:50], planes[1][20, 10:50] = 20, 230
        return replace(frame, planes=(frame.planes[0], *planes))

    clean, source = ([coloured(f, n, lost) for n, f in enumerate(frames_of(luma))] for lost in (False, True))
    result = list(Dropout()(iter(source)))[2]
    assert result.planes[0] is source[2].planes[0] or np.array_equal(result.planes[0], source[2].planes[0])
    for number in (1, 2):
        error = np.abs(result.planes[number].astype(int) - clean[2].planes[number])
        assert error[20, 10:50].mean() < 12 and error[:18].max() == 0


def test_luma_that_suffered_with_lost_colour_is_filled_and_only_there() -> None:
    """What clips the wrong colour changes luma by a few code values, which alone would not tell a fault."""
    luma = moments(5, 2)
    harmed = [y.copy() for y in luma]
    harmed[2][40:42, 20:100] += 4
    harmed[2][70:72, 20:100] += 4  # no colour is lost here
    colour = [y[::2, ::2] * 0.5 + 64 for y in luma]
    source = []
    for n, frame in enumerate(frames_of(harmed)):
        planes = [np.rint(colour[n]).astype(np.uint8) for _ in range(2)]
        if n == 2:
            planes[0][20, 10:50], planes[1][20, 10:50] = 20, 230
        source.append(replace(frame, planes=(frame.planes[0], *planes)))
    before, after = source[2].planes[0], list(Dropout()(iter(source)))[2].planes[0]
    changed = before != after
    assert changed[40:42, 20:100].mean() > 0.8
    changed[40:42, 20:100] = False
    assert not changed.any()
    errors = [np.abs(y[40:42, 20:100] - luma[2][40:42, 20:100]).mean() for y in (before, after)]
    assert errors[1] < 0.4 * errors[0]


def test_weak_colour_is_filled_where_the_picture_stands_still() -> None:
    luma = moments(5, 0)
    colour = [y[::2, ::2] * 0.5 + 64 for y in luma]
    source = []
    for n, frame in enumerate(frames_of(luma)):
        planes = [np.rint(colour[n]).astype(np.uint8) for _ in range(2)]
        if n == 2:
            planes[0][30, 12:32] += 9
        source.append(replace(frame, planes=(frame.planes[0], *planes)))
    result = list(Dropout()(iter(source)))[2]
    assert np.abs(result.planes[1][30, 12:32] - colour[2][30, 12:32]).max() <= 1
    assert np.array_equal(result.planes[0], source[2].planes[0])


@pytest.mark.parametrize("motion", [(0, 0), (2, 0)])
def test_weak_faults_are_filled_where_all_around_fits(motion: tuple[int, int]) -> None:
    truth = moments(5, *motion)
    clip = [y.copy() for y in truth]
    clip[2][40, 30:90] += 9
    source = frames_of(clip)
    result = list(Dropout()(iter(source)))
    changed = result[2].planes[0] != source[2].planes[0]
    assert changed[40, 34:86].mean() > 0.9 and changed.sum() <= 70
    assert all(a is b for n, (a, b) in enumerate(zip(result, source, strict=True)) if n != 2)
    errors = [np.abs(f.planes[0][40, 34:86] - truth[2][40, 34:86]).mean() for f in (source[2], result[2])]
    assert errors[1] < 0.3 * errors[0]


def test_a_thing_that_flies_through_a_still_picture_stays() -> None:
    """It is not a fault, however fast it is, as long as it is somewhere near in a neighbour."""
    clip = moments(7, 0)
    for n, y in enumerate(clip):
        y[44:47, 20 + 8 * n : 36 + 8 * n] = 240
    source = frames_of(clip)
    for before, after in zip(source, Dropout()(iter(source)), strict=True):
        assert (before.planes[0] != after.planes[0]).sum() <= 0.001 * before.planes[0].size


def test_two_faults_that_touch_are_both_filled() -> None:
    truth = moments(5, 0)
    clip = [np.tile(y, 3) for y in truth]
    whole = [y.copy() for y in clip]
    clip[2][40:42, 20:200] = 245
    clip[2][43, 185:360] = 8
    source = frames_of(clip)
    result = list(Dropout()(iter(source)))[2].planes[0]
    for place in (np.s_[40:42, 20:200], np.s_[43, 185:360]):
        assert np.abs(result[place] - whole[2][place]).mean() < 3
