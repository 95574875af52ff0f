"""The filter breathing: light that wavers over the picture is steadied; pans, steps and sound clips stay."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from tests.support.field_clips import Clip, frames_of, moments
from vidsr.filters.detect.inspection import BREATHING
from vidsr.filters.film.breathing import SteadyLight, breathing_of
from vidsr.filters.film.light_field import field
from vidsr.filters.film.rgb_planes import changed_colours, small_colours
from vidsr.frames import Floats, Frame

COUNT = 36


def bright(pan: int) -> Clip:
    """A texture without very dark places, which say nothing of a gain."""
    return [90 + 0.45 * y for y in moments(COUNT, pan, seed=6)]


def wavering(number: int) -> Floats:
    """A gain that wavers by 5 %, in other ways at the left than at the right, and for blue than for red."""
    coefficients = np.zeros((3, 12))
    coefficients[:, 1] = 0.05 * np.sin(2 * np.pi * number / 11) * np.array([1.0, 0.9, 0.7])
    coefficients[:, 4] = 0.03 * np.sin(2 * np.pi * number / 17 + 1)
    return field(coefficients, 96, 128)


@lru_cache(maxsize=4)
def damaged(pan: int) -> tuple[list[Frame], list[Frame]]:
    """True frames, and the same in wavering light."""
    truth = frames_of(bright(pan))

    def lit(frame: Frame) -> Frame:
        gain = wavering(frame.index)

        def change(colours: Floats) -> Floats:
            return colours * (gain if gain.shape == colours.shape else gain[::2, ::2])

        return changed_colours(frame, change)

    return truth, [lit(frame) for frame in truth]


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


@pytest.mark.long
def test_a_sound_clip_a_fade_and_a_lamp_pass_bit_for_bit() -> None:
    sound = frames_of(bright(1))
    fading = frames_of([y * (1 - 0.008 * n) for n, y in enumerate(bright(0))])
    lamp = frames_of([y * (1.15 if n >= 16 else 1.0) for n, y in enumerate(bright(0))])
    for clip in (sound, fading, lamp):
        for made, own in zip(SteadyLight()(iter(clip)), clip, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(made.planes, own.planes, strict=True))


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
