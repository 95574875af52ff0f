"""Displacement between frames: to hundredths of a pixel, whatever moves in front."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.field_clips import moments
from vidsr.filters.film.moved_plane import Area, covered, moved_area
from vidsr.filters.film.registration import Registered, registered_shift
from vidsr.frames import Floats

PICTURE = moments(1, seed=4)[0]
WHOLE = Area(0, 0, 128, 96)


def noisy(picture: Floats, seed: int) -> Registered:
    grain = np.random.default_rng(seed).normal(0, 2, picture.shape)
    return Registered(np.clip(np.rint(picture + grain), 0, 255).astype(np.uint8), 255)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(x=st.floats(-6, 6), y=st.floats(-6, 6))
def test_any_displacement_is_measured(x: float, y: float) -> None:
    found = registered_shift(noisy(PICTURE, 1), noisy(moved_area(PICTURE, x, y, WHOLE), 2))
    assert abs(found.x - x) < 0.06 and abs(found.y - y) < 0.06
    assert found.trust > 0.8 and not found.repeat


def test_a_subject_that_moves_on_its_own_has_no_say() -> None:
    before, now = PICTURE.copy(), moved_area(PICTURE, 0.4, -0.3, WHOLE)
    subject = moments(1, seed=9)[0]
    before[20:70, 30:75], now[20:70, 33:78] = subject[:50, :45], subject[:50, :45]
    found = registered_shift(noisy(before, 1), noisy(now, 2))
    assert abs(found.x - 0.4) < 0.08 and abs(found.y + 0.3) < 0.08


def test_brightness_does_not_matter_and_depth_is_scaled() -> None:
    moved = moved_area(PICTURE, 1.3, 0.6, WHOLE)
    deep = Registered((moved * 0.9 * 257).astype(np.uint16), 65535)
    found = registered_shift(Registered(PICTURE.astype(np.uint8), 255), deep)
    assert abs(found.x - 1.3) < 0.06 and abs(found.y - 0.6) < 0.06


def test_repeats_and_cuts_are_seen() -> None:
    assert registered_shift(noisy(PICTURE, 1), noisy(PICTURE, 1)).repeat
    assert registered_shift(noisy(PICTURE, 1), noisy(moments(1, seed=30)[0], 2)).trust < 0.2


def test_a_picture_without_texture_is_not_trusted() -> None:
    flat = np.full((96, 128), 90, np.float32)
    assert registered_shift(noisy(flat, 1), noisy(flat, 2)).trust < 0.2


@settings(max_examples=20, deadline=None)
@given(x=st.floats(-3, 3), y=st.floats(-3, 3))
def test_a_part_is_what_it_is_in_the_whole_and_lies_within_what_is_covered(x: float, y: float) -> None:
    whole = moved_area(PICTURE, x, y, WHOLE)
    part = Area(11, 7, 40, 90)
    assert np.array_equal(moved_area(PICTURE, x, y, part), whole[part.rows, part.columns])
    inner = covered(128, 96, x, y)
    assert inner.common(WHOLE) == inner
    assert sum((s.right - s.left) * (s.bottom - s.top) for s in inner.missing(128, 96)) >= 128 * 96 - (
        inner.right - inner.left
    ) * (inner.bottom - inner.top)
