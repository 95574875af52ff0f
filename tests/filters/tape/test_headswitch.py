"""The head-switching band: found by its growing displacement, rebuilt row by row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.field_clips import frames_of, moments
from vidsr.filters.detect.head_switching import band, steps
from vidsr.filters.tape.headswitch import HeadSwitch
from vidsr.frames import Frame

SHIFTS = (1, 3, 5, 8, 11, 14)


def displaced(frame: Frame, sign: int) -> Frame:
    """The last rows of luma displaced by SHIFTS, the new edge black."""
    plane = frame.planes[0].copy()
    for n, shift in enumerate(SHIFTS):
        row = plane.shape[0] - len(SHIFTS) + n
        plane[row] = np.roll(plane[row], sign * shift)
        plane[row, slice(0, shift) if sign > 0 else slice(-shift, None)] = 16
    return replace(frame, planes=(plane, *frame.planes[1:]))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_band_is_found_and_rebuilt_and_what_lies_above_stays(sign: int) -> None:
    clean = frames_of(moments(8, 1))
    source = [displaced(frame, sign) for frame in clean]
    rows = band([steps(f.planes[0].astype(np.float32)) for f in source])
    assert rows in (len(SHIFTS), len(SHIFTS) + 1)
    for true, before, after in zip(clean, source, HeadSwitch(rows)(iter(source)), strict=True):
        assert np.array_equal(after.planes[0][:-rows], before.planes[0][:-rows])
        errors = [((f.planes[0][-rows:].astype(float) - true.planes[0][-rows:]) ** 2).mean() for f in (before, after)]
        assert errors[1] < 0.2 * errors[0]


def test_pictures_without_a_band_have_none() -> None:
    for clip in (moments(8, 2), moments(8, 0), [np.roll(y, n * 7, 1) for n, y in enumerate(moments(8))]):
        assert band([steps(y) for y in clip]) == 0
    y, x = np.mgrid[:96, :128]
    slanted = [(120 + 80 * np.sin((x + 2 * y + n) / 6)).astype(np.float32) for n in range(8)]
    assert band([steps(p) for p in slanted]) == 0
    assert band([steps(np.full((96, 128), 40, np.float32))] * 8) == 0


def test_colour_is_moved_with_its_rows() -> None:
    (frame,) = frames_of(moments(1))
    colour = np.rint(frame.planes[0][::2, ::2]).astype(np.uint8)
    coloured = displaced(replace(frame, planes=(frame.planes[0], colour, colour)), 1)
    planes = [p.copy() for p in coloured.planes]
    for n, row in enumerate((45, 46, 47)):
        for number in (1, 2):
            planes[number][row] = np.roll(colour[row], round((SHIFTS[2 * n] + SHIFTS[2 * n + 1]) / 4))
    (result,) = HeadSwitch(6)(iter([replace(coloured, planes=tuple(planes))]))
    before, after = (np.abs(p[45:, 8:-8].astype(int) - colour[45:, 8:-8]).mean() for p in (planes[1], result.planes[1]))
    assert after < 0.5 * before
