"""Pictures filmed by a made-up camera: sharp, continuous, at all speeds, the same for the same seed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.training import textured
from vidsr.training.dataset.clips.clip_motion import BINS, bin_of, measure
from vidsr.training.dataset.clips.moving_camera import film, parts_of

PICTURE = textured(5, 160, 220)


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**48), left=st.integers(0, 156), top=st.integers(0, 96), height=st.sampled_from([64, 80, 160])
)
def test_any_place_gives_a_whole_clip(seed: int, left: int, top: int, height: int) -> None:
    clip = film(PICTURE[:height], left, min(top, height - 64), 64, 7, [seed, left, top])
    assert clip.shape == (7, 64, 64, 3) and clip.dtype == np.uint8
    assert np.array_equal(clip, film(PICTURE[:height], left, min(top, height - 64), 64, 7, [seed, left, top]))
    low, high = int(PICTURE.min()), int(PICTURE.max())
    # Cubic interpolation overshoots at edges.
    assert low - 40 <= int(clip.min()) and int(clip.max()) <= high + 40 and clip.std() > PICTURE.std() / 4


def test_clips_show_the_picture_in_its_place() -> None:
    """The middle frame is near the square asked for: its best place in the picture lies within a few pixels."""
    picture = textured(8, 200, 200).astype(np.float32)
    clip = film(picture.astype(np.uint8), 60, 70, 96, 9, [3])
    middle = clip[4, 32:64, 32:64].astype(np.float32)
    errors = {
        (y, x): np.abs(picture[70 + 32 + y : 70 + 64 + y, 60 + 32 + x : 60 + 64 + x] - middle).mean()
        for y in range(-12, 13)
        for x in range(-12, 13)
    }
    y, x = min(errors, key=lambda at: errors[at])
    assert np.hypot(y, x) <= 6


def test_all_speeds_are_there() -> None:
    """Measured along the optical flow, most bins of motion are met by 24 clips."""
    picture = textured(9, 320, 320)
    counts = Counter(bin_of(measure(film(picture, 100, 100, 64, 7, [seed])).mean) for seed in range(24))
    assert sum(counts[number] > 0 for number in range(len(BINS))) >= 5
    assert max(counts.values()) <= 12


def test_large_pictures_are_filmed_from_afar() -> None:
    """Averaged over 2×2 samples, so that single pixels do not alias: a checkerboard turns grey."""
    board = np.indices((300, 300)).sum(0) % 2 * 255
    clip = film(np.repeat(board[..., None], 3, 2).astype(np.uint8), 100, 100, 96, 7, [1])
    assert clip.std() < 40 and abs(float(clip.mean()) - 127.5) < 5


def test_parts_without_detail_are_counted() -> None:
    picture = textured(2, 128, 192)
    picture[:64] = 40
    parts = parts_of(picture, 64, 8, 2.0)
    assert parts.flat == 3 and [(p.top, p.left) for p in parts.places] == [(64, 0), (64, 64), (64, 128)]
    assert all(p.frames == list(range(8)) and p.sharpness > 0 for p in parts.places)


@pytest.mark.parametrize("seed", [0, 1])
def test_another_seed_gives_another_clip(seed: int) -> None:
    assert not np.array_equal(film(PICTURE, 20, 20, 64, 7, [seed]), film(PICTURE, 20, 20, 64, 7, [seed + 2]))
