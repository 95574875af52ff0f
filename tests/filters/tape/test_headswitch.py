"""The head-switching band: found by its growing displacement, rebuilt row by row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.field_clips import Clip, frames_of, moments, woven
from vidsr.filters.detect.head_switching import BandSearch
from vidsr.filters.tape.headswitch import HeadSwitch
from vidsr.frames import Frame
from vidsr.training.degradation.tape.lines import rows_moved

SHIFTS = (1, 3, 5, 8, 11, 14)


def displaced(frame: Frame, sign: int) -> Frame:
    """The last rows of luma displaced by SHIFTS, the new edge black."""
    plane = frame.planes[0].copy()
    for n, shift in enumerate(SHIFTS):
        row = plane.shape[0] - len(SHIFTS) + n
        plane[row] = np.roll(plane[row], sign * shift)
        plane[row, slice(0, shift) if sign > 0 else slice(-shift, None)] = 16
    return replace(frame, planes=(plane, *frame.planes[1:]))


def band_in(clip: Clip) -> int:
    search = BandSearch()
    for luma in clip:
        search.add(luma)
    return search.rows()


@pytest.mark.parametrize("sign", [1, -1])
def test_the_band_is_found_and_rebuilt_and_what_lies_above_stays(sign: int) -> None:
    clean = frames_of(moments(8, 1))
    source = [displaced(frame, sign) for frame in clean]
    rows = band_in([f.planes[0].astype(np.float32) for f in source])
    assert rows in (len(SHIFTS), len(SHIFTS) + 1)
    for true, before, after in zip(clean, source, HeadSwitch(rows)(iter(source)), strict=True):
        assert np.array_equal(after.planes[0][:-rows], before.planes[0][:-rows])
        errors = [((f.planes[0][-rows:].astype(float) - true.planes[0][-rows:]) ** 2).mean() for f in (before, after)]
        assert errors[1] < 0.2 * errors[0]


def test_pictures_without_a_band_have_none() -> None:
    for clip in (moments(8, 2), moments(8, 0), [np.roll(y, n * 7, 1) for n, y in enumerate(moments(8))]):
        assert band_in(clip) == 0
    y, x = np.mgrid[:96, :128]
    slanted = [(120 + 80 * np.sin((x + 2 * y + n) / 6)).astype(np.float32) for n in range(8)]
    assert band_in(slanted) == 0
    assert band_in([np.full((96, 128), 40, np.float32)] * 8) == 0


def test_a_slant_in_a_part_of_the_line_is_no_band() -> None:
    """A post leans, and stands in the picture's last rows only; all else stays."""
    clip = [y.copy() for y in moments(12, 0)]
    for picture in clip:
        for n, shift in enumerate(SHIFTS):
            picture[len(picture) - len(SHIFTS) + n, 40 + 2 * shift : 60 + 2 * shift] = 240
    assert band_in(clip) == 0


@pytest.mark.parametrize("sign", [1, -1])
def test_weak_evidence_adds_up_over_frames(sign: int) -> None:
    """Contrast below the noise: most groups of six frames say too little, all together enough."""
    faint = [60 + 0.05 * (y - 128) for y in moments(48, 3)]
    rng = np.random.default_rng(5)
    worn = [displaced(f, sign).planes[0] for f in frames_of(faint)]
    source: Clip = [(y + rng.normal(0, 4, y.shape)).astype(np.float32) for y in worn]
    for picture in source:
        # Without the black edge.
        edge = slice(0, 15) if sign > 0 else slice(-15, None)
        picture[:, edge] = 60 + rng.normal(0, 4, (96, 15))
    assert sum(band_in(source[n : n + 6]) > 0 for n in range(0, 48, 6)) < 4
    assert len(SHIFTS) - 2 <= band_in(source) <= len(SHIFTS)
    assert band_in([(y + rng.normal(0, 4, y.shape)).astype(np.float32) for y in faint]) == 0


def flat(rows: int, noise: float, left: bool, right: bool) -> Clip:
    """An even picture with noise; more of it in the last rows, in which black grows from the sides."""
    rng = np.random.default_rng(2)
    clip = []
    for _ in range(12):
        picture = 55 + rng.normal(0, 1, (96, 160))
        picture[-rows:] += rng.normal(0, noise, (rows, 160))
        for n in range(rows):
            lost = slice(0, 3 * (n + 1)), slice(160 - 3 * (n + 1), None)
            for on, part in zip((left, right), lost, strict=True):
                if on:
                    picture[96 - rows + n, part] = 16
        clip.append(np.rint(picture).clip(0, 255).astype(np.float32))
    return clip


def test_a_flat_band_shows_by_its_edge_and_its_noise_together() -> None:
    assert band_in(flat(8, 6, left=True, right=False)) == band_in(flat(8, 6, left=False, right=True)) == 8
    assert band_in(flat(8, 0, left=True, right=False)) == 0  # a dark corner
    assert band_in(flat(8, 6, left=False, right=False)) == 0  # noise alone, nothing to move back
    assert band_in(flat(8, 6, left=True, right=True)) == 0  # a film gate's corners
    assert band_in(flat(24, 6, left=True, right=False)) == 0


def test_long_recordings_take_no_more_memory() -> None:
    search = BandSearch()
    for luma in [f.planes[0].astype(np.float32) for f in (displaced(f, 1) for f in frames_of(moments(10, 2)))] * 70:
        search.add(luma)
    assert len(search._bins) <= 64
    assert search.rows() in (len(SHIFTS), len(SHIFTS) + 1)


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


def test_noise_of_the_band_misleads_no_row() -> None:
    """Fields of two moments, whose rows differ, and noise in the band alone: each frame becomes much better."""
    clean = frames_of([y[:, :128] * 0.3 + 40 for y in woven(moments(8, 2), "tff")])
    rng = np.random.default_rng(3)
    for true in clean:
        worn = displaced(true, 1)
        plane = worn.planes[0].copy()
        band = plane[-len(SHIFTS) :] + rng.normal(0, 6, (len(SHIFTS), plane.shape[1]))
        plane[-len(SHIFTS) :] = np.rint(band).clip(0, 255)
        (made,) = HeadSwitch(len(SHIFTS))(iter([replace(worn, planes=(plane, *worn.planes[1:]))]))
        before, after = (
            np.square(p[-len(SHIFTS) :].astype(float) - true.planes[0][-len(SHIFTS) :]).mean()
            for p in (plane, made.planes[0])
        )
        assert after < 0.5 * before


@pytest.mark.parametrize("sign", [1, -1])
def test_black_that_came_in_does_not_ring_and_noise_on_what_goes_on_is_taken_off(sign: int) -> None:
    """Upright stripes that go on to the bottom, displaced by parts of a pixel too, with noise."""
    columns = np.arange(256)
    stripes = np.tile(150 + 60 * np.sin(columns / 9) + 20 * np.sin(columns / 2.1), (96, 1))
    clean = frames_of([stripes.astype(np.float32)] * 2)
    shifts = np.zeros(96)
    shifts[-len(SHIFTS) :] = sign * (np.array(SHIFTS) + 0.4)
    rng = np.random.default_rng(6)
    source = []
    for frame in clean:
        luma = rows_moved(frame.planes[0][..., None].astype(np.float32), shifts, black=True)[..., 0]
        luma[-len(SHIFTS) :] += rng.normal(0, 5, (len(SHIFTS), 256))
        source.append(replace(frame, planes=(luma.clip(0, 255).astype(np.uint8), *frame.planes[1:])))
    for true, after in zip(clean, HeadSwitch(len(SHIFTS))(iter(source)), strict=True):
        errors = np.abs(after.planes[0][-len(SHIFTS) :].astype(int) - true.planes[0][-len(SHIFTS) :])
        assert errors.max() <= 16
        assert errors.mean() < 2
