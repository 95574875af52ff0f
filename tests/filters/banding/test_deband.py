"""Debanding: gradients come back, quantising the result gives the source, edges and texture stay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.field_clips import frames_of, moments
from vidsr.errors import OptionsError
from vidsr.filters.banding.deband import FILTER, Deband, changes
from vidsr.filters.before.descriptor import StillPart
from vidsr.filters.detect.fault_places import FaultPlace, FaultPlaces
from vidsr.filters.detect.inspection_text import sentences
from vidsr.filters.inspector import Inspector
from vidsr.frames import Floats, Frame
from vidsr.options.filter_choices import FilterSelection


def hills(seed: int = 0, height: int = 96, width: int = 128) -> Floats:
    """A smooth landscape between 60 and 100."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    total = np.zeros((height, width))
    for _ in range(4):
        y, x, size = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(30, 80)
        total += rng.uniform(-1, 1) * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / size**2)
    made: Floats = (60 + 40 * (total - total.min()) / np.ptp(total)).astype(np.float32)
    return made


def quantised(picture: Floats, step: int) -> Floats:
    return (picture // step * step + step // 2).astype(np.float32)


def luma8(frame: Frame) -> Floats:
    """Luma in 8-bit code values, not rounded."""
    return frame.planes[0].astype(np.float32) / np.float32(1 << (frame.format.depth - 8))


def error(made: Floats, truth: Floats) -> float:
    return float(np.sqrt(((made - truth) ** 2).mean()))


@pytest.mark.parametrize("step", [4, 8])
def test_gradients_come_back(step: int) -> None:
    truth = hills()
    (frame,) = frames_of([quantised(truth, step)])
    (made,) = Deband(step)(iter([frame]))
    assert made.format.depth == 16 and made.pts == frame.pts
    assert error(luma8(made), truth) < 0.6 * error(luma8(frame), truth)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 12), st.floats(0, 8))
def test_the_source_is_the_result_quantised(seed: int, step: int, noise: float) -> None:
    rough = hills(seed, 40, 48) + np.random.default_rng(seed).normal(0, noise, (40, 48))
    codes = (rough.clip(0, 255) // step * step).astype(np.uint8)
    moved = changes(codes, step)
    assert np.abs(moved).max() < step / 2
    assert np.array_equal(np.floor((codes + moved) / step + 0.5) * step, codes)


def test_edges_lines_and_specks_stay_and_nothing_is_drawn_beside_them() -> None:
    picture = np.full((60, 80), 90, np.float32)
    picture[:, 40:] = 120
    picture[20, :40] = 93
    picture[40, 10] = 94
    (made,) = Deband(4)(iter(frames_of([picture])))
    assert np.abs(luma8(made) - picture)[45:, 32:].max() == 0
    assert np.abs(luma8(made) - picture).max() < 0.7
    assert np.abs(luma8(made) - picture)[20, :38].max() == 0 and luma8(made)[40, 10] == 94


def test_texture_stays() -> None:
    rough = moments(1)[0]
    (frame,) = frames_of([rough])
    (made,) = Deband(2)(iter([frame]))
    assert (np.abs(luma8(made) - frame.planes[0]) > 0.5).mean() < 0.001


def test_inspection_finds_the_step_and_the_places() -> None:
    clip = [
        quantised(hills(seed=3), 4) if n >= 20 else np.asarray(hills(seed=3) + moments(1)[0] / 4, np.float32)
        for n in range(40)
    ]
    inspector = Inspector()
    frames = frames_of(clip)
    for n in range(0, 40, 10):
        inspector.add(frames[n : n + 10])
    found = inspector.result(40)
    assert found.banding == 4
    assert "deband" in found.recommended["restore"]
    assert [place.strong for place in found.places.banding][-2:] == [4, 4]
    assert FILTER.find is not None and FILTER.find(found) == 4
    assert found.to_json()["banding"] == 4
    few = FaultPlaces(banding=(FaultPlace(start=found.places.banding[0].start, end=found.places.banding[0].end),))
    assert few.moved(found.places.banding[0].start).banding


def test_gradients_of_eight_bits_are_no_fault() -> None:
    inspector = Inspector()
    inspector.add(frames_of([hills(seed=5)] * 5 + moments(5)))
    found = inspector.result(10)
    assert found.banding == 1 and "deband" not in found.recommended.get("restore", "")
    assert not any(line.startswith("bands") for line in sentences(found))
    (frame,) = frames_of([hills(seed=5)])
    (made,) = Deband(found.banding)(iter([frame]))
    assert np.array_equal(np.rint(luma8(made)), frame.planes[0])


def test_a_still_picture_gets_the_same() -> None:
    codes = quantised(hills(), 8)
    (frame,) = frames_of([codes])
    (made,) = Deband(8)(iter([frame]))
    assert FILTER.still is not None
    part = FILTER.still.apply((codes / 255)[..., None].astype(np.float32), 8.0, StillPart(origin=(0, 0), noise=0.0))
    assert np.abs(part[..., 0] * 255 - luma8(made)).max() < 0.01


def test_the_parameter_is_written_as_it_is_read() -> None:
    (choice,) = FilterSelection.parse("deband=2.5").choices
    assert choice.parameter == 2.5 and str(choice) == "deband=2.5"
    for text in ("deband=0", "deband=x", "deband=99"):
        with pytest.raises(OptionsError, match="deband=4"):
            FilterSelection.parse(text)
