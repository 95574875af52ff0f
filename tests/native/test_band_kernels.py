"""The kernel for bands gives what NumPy gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vidsr.filters.banding.deband import changes


@pytest.mark.parametrize("shape", [(1, 1), (3, 70), (9, 5), (40, 300), (64, 65)])
@pytest.mark.parametrize("limit", [1, 4, 1000])
def test_changes(both: Any, shape: tuple[int, int], limit: int) -> None:
    """Gradients in steps, with noise on one side."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    noise = np.random.default_rng(shape[1]).normal(0, limit / 2, shape) * (columns > shape[1] // 2)
    codes = (np.rint((rows * 0.1 + columns * 0.07) + noise / limit) * limit).clip(0, 65535).astype(np.uint16)
    made, plain = both(lambda: changes(codes, limit))
    assert made.dtype == plain.dtype == np.float32
    assert np.abs(made - plain).max() <= 1e-5 * limit
    assert max(shape) < 64 or np.abs(plain).max() > 0.2 * limit
