"""Bands are recognised by their steps; what a camera saw has none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.field_clips import moments
from vidsr.filters.banding.steps import band_edges, step_height


def slope(down: float, across: float) -> np.ndarray:
    return 60 + np.add.outer(np.arange(96) * down, np.arange(128) * across)


@given(st.sampled_from([2, 4, 8]), st.floats(0.02, 0.08), st.floats(0, 0.08))
def test_the_step_of_a_quantised_gradient_is_its_quantisers(step: int, down: float, across: float) -> None:
    codes = (slope(step * down, step * across) // step * step).astype(np.uint8)
    assert step_height(codes, 255) == step


def test_the_unit_is_that_of_eight_bits() -> None:
    codes = (slope(0.3, 0.1) // 4 * 4).astype(np.uint16)
    assert step_height(codes * 4, 1023) == pytest.approx(4, rel=0.01)
    assert step_height(codes.astype(np.uint8), 255) == 4


def test_steps_of_one_and_two_are_steps_of_two() -> None:
    fine = slope(0.2, 0.1).astype(np.uint8)
    fine[:, 64:] = fine[:, 64:] // 2 * 2
    assert step_height(fine, 255) == 2


def test_a_quantiser_of_eight_also_leaves_steps_of_sixteen() -> None:
    heights = np.array([8, 16, 8, -16, 8, 16])
    codes = np.repeat(100 + np.cumsum(heights), 20)[None].repeat(30, 0).astype(np.uint8)
    assert step_height(codes, 255) == 8


@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_texture_noise_and_flatness_have_no_bands(noise: float) -> None:
    rng = np.random.default_rng(0)
    for picture in (moments(1)[0], np.full((96, 128), 90.0), slope(0.2, 0.1) if noise else moments(1, seed=4)[0]):
        codes = (picture + rng.normal(0, noise, picture.shape)).clip(0, 255).astype(np.uint8)
        assert step_height(codes, 255) == 0
    assert step_height(np.zeros((5, 7), np.uint8), 255) == 0


def test_edges_lie_where_bands_meet() -> None:
    codes = np.repeat(np.array([40, 44, 48, 120], np.uint8), 20)[None].repeat(30, 0)
    edges = band_edges(codes, 255)
    assert np.array_equal(np.unique(np.nonzero(edges)[1]), [19, 39])
    assert edges[:, [19, 39]].all()
