"""The filter scratch: lines that wander over a scene are filled, lines of the scene stay."""

from __future__ import annotations

import weakref
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from tests.support.field_clips import Clip, frames_of, moments
from vidsr.filters.film.registration import Shift
from vidsr.filters.film.scratch import Scratch
from vidsr.filters.film.scratch_fill import Bare, fill_line
from vidsr.filters.film.scratch_lines import BANDS, FilmLine, band_means, find_lines
from vidsr.filters.film.scratch_tracks import REACH, LinedFrame, lined_frames, scene_around, scratches, settled
from vidsr.filters.film.weave import Weave
from vidsr.frames import Frame
from vidsr.training.degradation.old_film.marks import ScratchLine

COUNT, HEIGHT, WIDTH = 36, 96, 128
LINE = ScratchLine(
    first=-1,
    last=COUNT + 1,
    middle=64.0,
    width=2.0,
    tone=0.95,
    drift=0.1,
    waver=(0.8, 14, 1.0),
    depth=(0.6, 0.8, 5, 0.0),
)


@lru_cache(maxsize=4)
def scratched(pan: int) -> tuple[Clip, Clip, list[np.ndarray]]:
    """True pictures, the same with a line, and where it covers them."""
    truth = moments(COUNT, pan, seed=4)
    covers = [LINE.cover(n, (HEIGHT, WIDTH), (0.0, 0.0)) for n in range(COUNT)]
    return truth, [y + (LINE.tone * 255 - y) * c for y, c in zip(truth, covers, strict=True)], covers


@lru_cache(maxsize=4)
def filled(pan: int) -> list[Frame]:
    return list(Scratch()(iter(frames_of(scratched(pan)[1]))))


def same(one: Frame, other: Frame) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.planes, other.planes, strict=True))


@pytest.mark.parametrize("pan", [0, 2])
def test_a_scratch_is_filled_and_nothing_else_changes(pan: int) -> None:
    truth, clip, covers = scratched(pan)
    before = after = 0.0
    for frame, y, damaged, cover in zip(filled(pan), truth, clip, covers, strict=True):
        harmed = cover > 0
        before += float(((damaged - y)[harmed] ** 2).mean())
        after += float(((frame.planes[0] - y)[harmed] ** 2).mean())
        beside = np.abs(frame.planes[0] - np.rint(damaged))[~harmed] > 2
        assert beside.mean() < 0.01
    assert after < before / 10


@pytest.mark.parametrize("pan", [0, 2])
def test_a_pole_of_the_scene_stays(pan: int) -> None:
    """A thin bright line that moves with the picture, from top to bottom."""
    clip = [y.copy() for y in moments(COUNT, pan, seed=4)]
    for number, picture in enumerate(clip):
        column = 100 - pan * number
        if column > 1:
            picture[:, column : column + 2] = 235
    source = frames_of(clip)
    assert all(same(a, b) for a, b in zip(Scratch()(iter(source)), source, strict=True))


@pytest.mark.long
def test_a_line_that_was_drawn_stays() -> None:
    """It stands at exactly the same column, whatever moves behind it."""
    clip = [y.copy() for y in moments(COUNT, 2, seed=4)]
    for picture in clip:
        picture[:, 63:65] = 235
    source = frames_of(clip)
    assert all(same(a, b) for a, b in zip(Scratch()(iter(source)), source, strict=True))


@pytest.mark.long
def test_a_line_of_few_frames_stays() -> None:
    truth, damaged, _ = scratched(2)
    source = frames_of(truth[:15] + damaged[15:20] + truth[20:])
    assert all(same(a, b) for a, b in zip(Scratch()(iter(source)), source, strict=True))


@pytest.mark.long
def test_colour_under_a_scratch_comes_back() -> None:
    _, clip, covers = scratched(2)
    frames = frames_of(clip, 90)
    for frame, cover in zip(frames, covers, strict=True):
        small = cover.reshape(HEIGHT // 2, 2, WIDTH // 2, 2).mean((1, 3))
        for plane in frame.planes[1:]:
            plane_ = np.rint(90 + (128 - 90) * small).astype(np.uint8)
            plane[:] = plane_
    result = list(Scratch()(iter(frames)))
    left = np.mean([np.abs(f.planes[1].astype(float) - 90).sum() for f in result[2:-2]])
    there = np.mean([np.abs(f.planes[1].astype(float) - 90).sum() for f in frames[2:-2]])
    assert left < 0.4 * there


def test_segments_give_the_bytes_of_the_whole() -> None:
    source, whole = frames_of(scratched(2)[1]), filled(2)
    before, after = Scratch.lookaround
    for start, stop in ((0, 3), (30, 36)):
        low, high = max(0, start - before), min(COUNT, stop + after)
        assert high - low < COUNT, "a part that is the whole shows nothing"
        part = list(Scratch()(iter(source[low:high])))[start - low : stop - low]
        assert all(same(a, b) for a, b in zip(part, whole[start:stop], strict=True))


def test_the_first_and_last_frames_of_a_scene_are_judged_with_as_many_frames_as_the_others() -> None:
    """A weak line, which nine frames do not show to be a scratch, begins and ends with its scene."""
    weak = {n: FilmLine(np.full(BANDS, 60 + 0.5 * n), 1, 0.65) for n in range(40)}
    window = still_window(weak, 40)
    for at in (0, 3, 20, 36, 39):
        first, stop = scene_around(window, at)
        assert stop - first == 2 * REACH + 1 and first <= at < stop
        assert scratches(window[first:stop], at - first)
    assert not scratches(window[:13], 0)


def test_a_frame_that_was_made_is_not_kept() -> None:
    frames = frames_of(scratched(2)[1])
    lumas = [weakref.ref(frame.planes[0]) for frame in frames]
    made = Scratch()(frames.pop(0) for _ in lumas)
    for _ in range(4):
        next(made)
    kept = [luma() is not None for luma in lumas]
    assert not any(kept[:3]) and all(kept[4:])


def test_a_line_is_found_to_a_fraction_of_a_pixel() -> None:
    _, clip, covers = scratched(0)
    for number in (3, 20):
        (line, *_) = find_lines(band_means(clip[number].astype(np.float32)))
        true = (covers[number] * np.arange(WIDTH)).sum(1) / covers[number].sum(1)
        assert line.sign == 1 and line.share > 0.9
        assert abs(line.middle - true.mean()) < 0.25


def test_a_picture_that_rushes_by_is_followed_step_by_step() -> None:
    """While a line is followed it moves farther than strips are searched, and as a whole it is not trusted."""
    _, clip, _ = scratched(2)
    window = [
        replace(lined, shift=replace(lined.shift, trust=0.0))
        for lined in lined_frames(picture.astype(np.float32) for picture in clip[:25])
    ]
    found = scratches(window, 12)
    assert len(found) == 1 and abs(found[0].middle - LINE.middle) < 3


@pytest.mark.parametrize("wanders", [0.0, 0.1])
def test_a_line_that_few_bands_show_must_wander_by_more_than_it_is_measured_to(wanders: float) -> None:
    """Its place is uncertain by half a pixel from frame to frame, which is no motion."""
    rng = np.random.default_rng(3)
    bands = band_means(moments(1, 0, seed=4)[0])
    still = Shift(x=0.0, y=0.0, trust=1.0, repeat=False)
    window = [
        LinedFrame(bands, (FilmLine(np.full(BANDS, 60 + wanders * n + 0.6 * rng.integers(2)), 1, 0.7),), still)
        for n in range(25)
    ]
    assert bool(scratches(window, 12)) == (wanders > 0)


def test_a_fast_pan_is_no_cut() -> None:
    """Its bands differ from frame to frame as much as those of two scenes, but it is seen to move on."""
    rng = np.random.default_rng(8)
    wide = np.repeat(rng.choice([20.0, 230.0], (12, 60)), 12, 0).repeat(12, 1).astype(np.float32)
    pan = list(lined_frames(wide[:, 7 * n : 7 * n + 240] for n in range(9)))
    assert np.abs(np.diff([lined.bands for lined in pan], axis=0)).mean() > 18
    assert scene_around(pan, 4) == (0, 9)
    other = list(lined_frames([wide[:, :240], wide[::-1, 300:540]]))
    assert scene_around(other, 0) == (0, 1)


def still_window(lines: dict[int, FilmLine], count: int) -> list[LinedFrame]:
    """Frames of one still picture with these lines."""
    bands = band_means(moments(1, 0, seed=4)[0])
    still = Shift(x=0.0, y=0.0, trust=1.0, repeat=False)
    return [LinedFrame(bands, (lines[n],) if n in lines else (), still) for n in range(count)]


def test_frames_that_do_not_show_a_scratch_are_bridged() -> None:
    lines = {n: FilmLine(np.full(BANDS, 60 + 0.5 * n), 1, 0.9) for n in range(9) if n not in (4, 5)}
    window = still_window(lines, 9)
    found = {n: [lines[n]] if n in lines else [] for n in range(9)}
    (line,) = settled(window, found, 4)
    assert np.allclose(line.path, 62)
    assert not settled(window, {n: lines for n, lines in found.items() if n < 5}, 4), "the end of a scratch"


def test_a_line_that_few_bands_show_belongs_to_a_scratch_that_more_show_around_it() -> None:
    lines = {n: FilmLine(np.full(BANDS, 60 + 0.2 * n), 1, 0.45 if 8 <= n < 16 else 0.9) for n in range(25)}
    assert scratches(still_window(lines, 25), 12) == [lines[12]]
    weak = {n: FilmLine(line.path, 1, 0.45) for n, line in lines.items()}
    assert not scratches(still_window(weak, 25), 12)


@pytest.mark.parametrize("sigma", [0.6, 1.0, 1.4])
@pytest.mark.parametrize("off", [0.0, 0.4])
def test_a_scratch_with_soft_edges_is_taken_off_up_to_its_edges(sigma: float, off: float) -> None:
    """Its path is known to 0.4 px, its profile is not that of the simulator, and the picture shows through."""
    truth = moments(1, 0, seed=4)[0].astype(np.float32)
    path = np.linspace(58.2, 60.1, HEIGHT)
    cover = 0.6 * np.exp(-(((np.arange(WIDTH) - path[:, None]) / sigma) ** 2) / 2)
    damaged = np.rint(truth + (0.95 * 255 - truth) * cover).astype(np.float32)
    made = damaged.copy()
    fill_line(damaged, made, path + off, Bare(0.95 * 255, 1), 1.0)
    seen = damaged - truth >= 10
    assert (made != damaged)[seen].mean() > 0.95
    assert ((made - truth)[seen] ** 2).mean() < 0.1 * ((damaged - truth)[seen] ** 2).mean()
    assert (np.abs(made - damaged) > 2)[cover < 0.002].mean() < 0.002


@pytest.mark.parametrize(("ends", "width"), [((60.3, 60.3), 3.5), ((60.0, 61.0), 2.4)])
def test_columns_beside_a_scratch_stay(ends: tuple[float, float], width: float) -> None:
    """Its profile is known to half a pixel, so that it may seem to reach a column farther than it does."""
    truth = moments(1, 0, seed=4)[0].astype(np.float32)
    path = np.linspace(*ends, HEIGHT)
    cover = 0.8 * np.clip(width / 2 + 0.5 - np.abs(np.arange(WIDTH) - path[:, None]), 0, 1)
    damaged = np.rint(truth + (0.95 * 255 - truth) * cover).astype(np.float32)
    made = damaged.copy()
    fill_line(damaged, made, path, Bare(0.95 * 255, 1), 1.0)
    seen = damaged - truth >= 10
    assert (made != damaged)[seen].mean() > 0.95
    assert (np.abs(made - damaged) > 2)[cover == 0].mean() < 0.0015


@pytest.mark.parametrize("shape", [(2, 2), (2, 40), (16, 18), (200, 8)])
@pytest.mark.parametrize("make", [Scratch, Weave])
def test_pictures_too_small_to_tell_pass(shape: tuple[int, int], make: type[Scratch] | type[Weave]) -> None:
    rng = np.random.default_rng(1)
    source = frames_of([rng.uniform(0, 255, shape).astype(np.float32) for _ in range(11)])
    assert all(same(a, b) for a, b in zip(make()(iter(source)), source, strict=True))
