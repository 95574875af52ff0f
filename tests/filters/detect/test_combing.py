"""Evidence of interlacing between two frames: order in time counts, combing alone does not."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.field_clips import moments, woven
from vidsr.filters.detect.combing import Evidence, evidence

Picture = npt.NDArray[np.float32]


def stripes(brightness: float) -> Picture:
    """Text-like fine lines, brighter on one field than on the other."""
    picture = np.full((96, 128), 20, np.float32)
    picture[12:80:3, 10:100] += np.float32(brightness)
    picture[13:80:6, 10:100] += np.float32(brightness / 2)
    return picture


def test_whole_pictures_are_clean_and_comb_alike_both_ways() -> None:
    for first, second in pairwise(moments(6, 3)):
        found = evidence(first, second, 3.0)
        assert found.clean > 4 * found.combed
        assert found.next_top == pytest.approx(found.next_bottom, rel=0.4, abs=2)


def test_fine_detail_that_climbs_by_one_line_a_frame_is_clean() -> None:
    detail = np.random.default_rng(3).integers(20, 230, (96, 128)).astype(np.float32)
    found = evidence(detail, np.roll(detail, -1, 0), 3.0)
    assert found.clean > 10 and found.combed == 0


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_fields_comb_more_with_the_field_that_is_three_steps_away(order: str) -> None:
    clip = woven(moments(12, 3), order)
    for first, second in pairwise(clip):
        found = evidence(first, second, 3.0)
        near, far = found.next_top, found.next_bottom
        if order == "bff":
            near, far = far, near
        assert found.combed > found.clean
        assert far > 1.15 * near


@given(seed=st.integers(0, 2**32 - 1))
def test_turned_round_in_time_the_two_ways_change_places(seed: int) -> None:
    small = np.random.default_rng(seed).integers(0, 256, (2, 32, 8)).astype(np.float32)
    first, second = small.repeat(8, 2)  # smooth along lines, as otherwise the first picture says how strong noise is
    there, back = evidence(first, second, 100.0), evidence(second, first, 100.0)
    assert there.combed == back.combed
    assert (there.next_top, there.next_bottom) == pytest.approx((back.next_bottom, back.next_top))


def test_what_is_still_says_nothing() -> None:
    picture = woven(moments(2, 5), "tff")[0]  # combed, but still
    assert evidence(picture, picture, 3.0) == Evidence()


def test_still_lines_that_fade_in_are_no_combing() -> None:
    """Brighter lines comb more with the field that has already become brighter, but nothing moves."""
    shown = [evidence(stripes(b), stripes(b + 12), 3.0) for b in range(20, 120, 12)]
    assert sum(e.combed for e in shown) == 0


def test_noise_moves_nothing() -> None:
    rng = np.random.default_rng(1)
    still = moments(1)[0]
    noisy = [(still + rng.normal(0, 12, still.shape)).astype(np.float32) for _ in range(4)]
    shown = [evidence(a, b, 3.0) for a, b in pairwise(noisy)]
    assert sum(e.combed + e.clean for e in shown) <= 3 * 3


def test_pictures_too_small_for_a_cell_say_nothing() -> None:
    small = np.zeros((8, 12), np.float32)
    assert evidence(small, small + 50, 3.0) == Evidence()
