"""The kernel for resizing does what the weights say, and what PyTorch does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.support.kernels import agree, noise
from vidsr.inference.resize import _weights, resize
from vidsr.native import resize_kernels

sides = st.integers(1, 150)
#: PyTorch computes the places of pixels in float32.
_BY_PLACE = 1e-4


def _matrix(inputs: int, outputs: int) -> Tensor:
    """The weights of one side, ``[outputs, inputs]`` float64."""
    side = _weights(inputs, outputs)
    matrix = np.zeros((outputs, inputs))
    for row, start, weights in zip(matrix, side.start, side.weights, strict=True):
        row[start : start + len(weights)] = weights
    return torch.from_numpy(matrix)


@given(height=sides, width=sides, rows=sides, columns=sides)
@settings(max_examples=60, deadline=None)
def test_any_resizing(height: int, width: int, rows: int, columns: int) -> None:
    if resize_kernels.library() is None:
        pytest.skip("no C compiler")
    picture = noise(1, 2, height, width)
    expected = _matrix(height, rows) @ picture.double() @ _matrix(width, columns).T
    agree((resize(picture, (rows, columns)), expected.float()), 2e-6)


@pytest.mark.parametrize("ratio", [(2, 1), (4, 1), (1, 2), (1, 4), (3, 2), (2, 3), (3, 4), (15, 8)])
def test_ratios_of_small_numbers(both: Any, ratio: tuple[int, int]) -> None:
    """They are resized in vectors, phase by phase, except near the borders."""
    up, down = ratio
    picture = noise(2, 3, 40 * down, 70 * down)
    size = (40 * up, 70 * up)
    native, plain = both(lambda: resize(picture, size))
    agree((native, plain), _BY_PLACE)
    expected = _matrix(40 * down, size[0]) @ picture.double() @ _matrix(70 * down, size[1]).T
    agree((native, expected.float()), 2e-6)


def test_a_resized_part_of_a_picture_is_that_of_its_copy(both: Any) -> None:
    picture = noise(1, 3, 30, 200)[:, :, 3:, 7:150]
    native, _ = both(lambda: resize(picture, (54, 143)))
    assert torch.equal(native, both(lambda: resize(picture.clone(), (54, 143)))[0])
