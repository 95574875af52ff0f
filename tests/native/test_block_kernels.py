"""The kernel for deblocking gives what NumPy gives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.scenes import gray_frames
from vidsr.filters.before.deblock import Deblock


@pytest.mark.parametrize("depth", [8, 10, 16])
@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (10, 11), (11, 10), (18, 19), (35, 75), (64, 128)])
@pytest.mark.parametrize("strength", [0.1, 0.5, 1.0])
def test_deblocking(both: Any, depth: int, shape: tuple[int, int], strength: float) -> None:
    """With rows that are further apart than they are long; blocks of different levels, with some noise."""
    most, random = (1 << depth) - 1, np.random.default_rng(sum(shape))
    blocks = random.integers(0, 12, (16, 32)).repeat(8, 0).repeat(8, 1)[: shape[0], : shape[1] + 5]
    codes = ((blocks + random.normal(0, 0.3, blocks.shape) + 90) * (most / 255)).clip(0, most)
    codes = codes.astype(np.uint8 if depth == 8 else np.uint16)[:, : shape[1]]
    frame = gray_frames(1)[0]
    frame = replace(frame, planes=(codes,), format=replace(frame.format, depth=depth))
    made, plain = both(lambda: next(Deblock(strength)(iter([frame]))).planes[0])
    gap = np.abs(made.astype(int) - plain.astype(int))
    assert made.dtype == plain.dtype and gap.max() <= 1 and (gap > 0).mean() < 0.002
    assert max(shape) < 64 or strength < 0.5 or not np.array_equal(made, codes)
