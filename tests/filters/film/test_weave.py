"""The filter weave: steady pictures from trembling ones, the same in any segment, and sound pictures untouched."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.field_clips import Clip, frames_of, moments
from vidsr.filters.film.moved_plane import Area, moved_area
from vidsr.filters.film.registration import Registered, registered_shift
from vidsr.filters.film.weave import Weave
from vidsr.frames import Frame

WHOLE = Area(0, 0, 128, 96)


@lru_cache(maxsize=2)
def trembling(pan: int = 0) -> tuple[Clip, Clip, npt.NDArray[np.float64]]:
    """60 true pictures, the same displaced, and the displacements."""
    truth = moments(60, pan, seed=4)
    path = np.random.default_rng(7).normal(0, 0.6, (60, 2))
    return truth, [moved_area(y, x_, y_, WHOLE) for y, (x_, y_) in zip(truth, path, strict=True)], path


@lru_cache(maxsize=2)
def steadied(pan: int) -> list[Frame]:
    return list(Weave()(iter(frames_of(trembling(pan)[1]))))


def lies(frame: Frame, truth: npt.NDArray[np.float32]) -> tuple[float, float]:
    """How far the picture of a frame is from where it belongs."""
    shift = registered_shift(Registered(np.rint(truth), 255), Registered(frame.planes[0], 255))
    return (0.0, 0.0) if shift.repeat else (shift.x, shift.y)


@pytest.mark.parametrize("pan", [0, 2])
def test_a_trembling_picture_is_steadied(pan: int) -> None:
    truth, _, _ = trembling(pan)
    rest = np.array([lies(frame, y) for frame, y in zip(steadied(pan), truth, strict=True)])[8:-8]
    departures = rest[1:-1] - (rest[:-2] + rest[2:]) / 2
    assert np.sqrt((departures**2).mean() * 2 / 3) < 0.06
    assert np.abs(rest).max() < 0.45


def test_what_a_moved_picture_lacks_comes_from_its_neighbours() -> None:
    """Of a pan that trembles, the outermost columns are true, not repeated."""
    truth, clip, _ = trembling(2)
    made = zip(steadied(2), truth, strict=True)
    edges = [np.abs(f.planes[0][:, :1].astype(float) - y[:, :1]).mean() for f, y in made]
    plain = [np.abs(d[:, :1].astype(float) - y[:, :1]).mean() for d, y in zip(clip, truth, strict=True)]
    assert np.mean(edges[8:-8]) < np.mean(plain[8:-8])


@pytest.mark.parametrize("pan", [0, 3])
def test_sound_frames_pass_untouched(pan: int) -> None:
    source = frames_of(moments(20, pan, seed=2))
    for one, other in zip(Weave()(iter(source)), source, strict=True):
        assert all(a is b for a, b in zip(one.planes, other.planes, strict=True))


def test_a_cut_ends_the_path() -> None:
    _, clip, path = trembling()
    other = moments(12, 0, seed=21)
    result = list(Weave()(iter(frames_of(clip[:24] + other))))
    assert all(np.array_equal(f.planes[0], g.planes[0]) for f, g in zip(result[24:], frames_of(other), strict=True))
    assert any(not np.array_equal(f.planes[0], g.planes[0]) for f, g in zip(result, frames_of(clip[:24]), strict=False))
    assert np.abs(path).max() > 1


def test_segments_give_the_bytes_of_the_whole() -> None:
    _, clip, _ = trembling(2)
    source, whole = frames_of(clip), steadied(2)
    before, after = Weave.lookaround
    for start, stop in ((30, 31), (50, 60)):
        low, high = max(0, start - before), min(60, stop + after)
        part = list(Weave()(iter(source[low:high])))[start - low : stop - low]
        for one, other in zip(part, whole[start:stop], strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one.planes, other.planes, strict=True))
