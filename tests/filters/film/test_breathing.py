"""The filter breathing: light that wavers over the picture is steadied; pans, steps and sound clips stay."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.support.field_clips import Clip, frames_of, moments
from vidsr.filters.detect.inspection import BREATHING
from vidsr.filters.film.breathing import SteadyLight, breathing_of
from vidsr.filters.film.light_field import field, light_change
from vidsr.filters.film.lit_pictures import lit_picture
from vidsr.filters.film.rgb_planes import changed_colours, small_colours
from vidsr.frames import Floats, Frame

COUNT = 36


def bright(pan: int, seed: int = 6) -> Clip:
    """A texture without very dark places, which say nothing of a gain."""
    return [90 + 0.45 * y for y in moments(COUNT, pan, seed=seed)]


def crossing() -> Clip:
    """A camera that pans by 2 px, and before it a column as wide as a third of the picture that goes the other way."""
    behind, before = bright(2), bright(2, seed=9)[::-1]
    for number, (picture, column) in enumerate(zip(behind, before, strict=True)):
        left = 85 - 2 * number
        picture[:, max(0, left) : max(0, left + 43)] = column[:, max(0, left) : max(0, left + 43)]
    return behind


def wavering(number: int) -> Floats:
    """A gain that wavers by 5 %, in other ways at the left than at the right, and for blue than for red."""
    coefficients = np.zeros((3, 12))
    coefficients[:, 1] = 0.05 * np.sin(2 * np.pi * number / 11) * np.array([1.0, 0.9, 0.7])
    coefficients[:, 4] = 0.03 * np.sin(2 * np.pi * number / 17 + 1)
    return field(coefficients, 96, 128)


def in_wavering_light(truth: list[Frame]) -> list[Frame]:
    """Frames in light that wavers."""

    def lit(frame: Frame) -> Frame:
        gain = wavering(frame.index)

        def change(colours: Floats) -> Floats:
            return colours * (gain if gain.shape == colours.shape else gain[::2, ::2])

        return changed_colours(frame, change)

    return [lit(frame) for frame in truth]


@lru_cache(maxsize=4)
def damaged(pan: int) -> tuple[list[Frame], list[Frame]]:
    """True frames, and the same in wavering light."""
    truth = frames_of(bright(pan))
    return truth, in_wavering_light(truth)


def error(one: list[Frame], other: list[Frame], plane: int = 0) -> float:
    pairs = zip(one, other, strict=True)
    squares = [((a.planes[plane].astype(float) - b.planes[plane]) ** 2).mean() for a, b in pairs]
    return float(np.sqrt(np.mean(squares)))


@pytest.mark.parametrize("pan", [0, pytest.param(1, marks=pytest.mark.long)])
def test_wavering_light_is_steadied_in_luma_and_colour(pan: int) -> None:
    truth, clip = damaged(pan)
    made = list(SteadyLight()(iter(clip)))
    assert error(made, truth) < 0.5 * error(clip, truth)
    assert error(made, truth, 1) <= error(clip, truth, 1)


def test_light_is_steadied_along_the_motion_of_camera_and_subject() -> None:
    truth = frames_of(crossing())
    clip = in_wavering_light(truth)
    assert error(list(SteadyLight()(iter(clip))), truth) < 0.5 * error(clip, truth)


@pytest.mark.long
def test_a_sound_clip_a_fade_and_a_lamp_pass_bit_for_bit() -> None:
    sound = frames_of(bright(1))
    fading = frames_of([y * (1 - 0.008 * n) for n, y in enumerate(bright(0))])
    lamp = frames_of([y * (1.15 if n >= 16 else 1.0) for n, y in enumerate(bright(0))])
    passing = frames_of(crossing())
    for clip in (sound, fading, lamp, passing):
        for made, own in zip(SteadyLight()(iter(clip)), clip, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(made.planes, own.planes, strict=True))


def shine(at: float) -> Floats:
    """A gain that a light ``at`` a share of the width makes around it."""
    across, down = np.arange(128)[None] / 128, np.arange(96)[:, None] / 96
    return np.asarray(1 + 0.4 * np.exp(-((across - at) ** 2 + (down - 0.5) ** 2) / 0.08), np.float32)


@pytest.mark.parametrize("passes", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_light_that_passes_by_and_one_that_goes_on_and_off_stay(passes: bool) -> None:
    lights = [shine(n / 10 - 1.1) if passes else shine(0.4) ** (5 <= n < 12 or 20 <= n < 27) for n in range(COUNT)]
    clip = frames_of([picture * light for picture, light in zip(bright(0), lights, strict=True)])
    for made, own in zip(SteadyLight()(iter(clip)), clip, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(made.planes, own.planes, strict=True))


@settings(deadline=None, max_examples=12, derandomize=True)
@given(
    waves=arrays(np.float64, 12, elements=st.floats(-0.03, 0.03)),
    right=st.integers(-3, 3),
    below=st.integers(-2, 2),
)
def test_a_smooth_change_of_light_is_measured_whatever_moves(
    waves: npt.NDArray[np.float64], right: int, below: int
) -> None:
    whole = bright(0, seed=4)[0]
    one, other = whole[8:-8, 8:-8], whole[8 + below : 88 + below, 8 + right : 120 + right]
    dimmed = other * field(np.tile(waves, (3, 1)), *other.shape)[..., 0]
    found = light_change(*(lit_picture(frame) for frame in frames_of([one, dimmed])))
    assert found.trust > 0.8
    left = np.linalg.norm(found.coefficients - waves, axis=1)
    assert (left <= 0.4 * np.linalg.norm(waves) + 0.001).all(), "at most two fifths of the change are left"
    assert light_change(*(lit_picture(frame) for frame in frames_of([one, other]))).coefficients == pytest.approx(
        0, abs=0.003
    )


@pytest.mark.long
def test_it_is_found_where_it_is_and_only_there() -> None:
    truth, clip = damaged(0)
    assert breathing_of(clip) > BREATHING
    assert breathing_of(truth) == 0


def test_a_change_of_colours_that_changes_nothing_is_exact() -> None:
    rng = np.random.default_rng(1)
    (frame,) = frames_of([rng.integers(16, 236, (96, 128)).astype(np.float32)], chroma=140)
    same = changed_colours(frame, lambda colours: colours)
    assert all(np.array_equal(a, b) for a, b in zip(same.planes, frame.planes, strict=True))


def test_small_colours_are_the_means_of_the_large_ones() -> None:
    (frame,) = frames_of([np.full((96, 128), 126, np.float32)], chroma=128)
    assert np.allclose(small_colours(frame, 3), (126 - 16) / 219, atol=1e-6)
