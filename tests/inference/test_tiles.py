"""Tiles cover every pixel, have one size, and join without a trace for a local operation."""

from __future__ import annotations

import itertools

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from vidsr.inference.tiles import run_tiled, tile_starts


@given(length=st.integers(1, 400), tile=st.integers(32, 200), overlap=st.integers(1, 16))
def test_starts_cover_and_overlap(length: int, tile: int, overlap: int) -> None:
    starts = tile_starts(length, tile, overlap)
    assert starts[0] == 0
    assert starts[-1] == max(0, length - tile)
    assert all(0 < b - a <= tile - overlap for a, b in itertools.pairwise(starts))


@given(height=st.integers(20, 150), width=st.integers(20, 150), tile=st.integers(32, 100))
@settings(max_examples=30, deadline=None)
def test_a_local_operation_shows_no_seam(height: int, width: int, tile: int) -> None:
    x = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(height))
    kernel = torch.randn(3, 3, 7, 7, generator=torch.Generator().manual_seed(1)) / 20

    def local(part: torch.Tensor) -> torch.Tensor:
        assert max(part.shape[-2:]) <= tile
        return F.interpolate(F.conv2d(part, kernel, padding=3), scale_factor=2.0, mode="nearest")

    whole = F.interpolate(F.conv2d(x, kernel, padding=3), scale_factor=2.0, mode="nearest")
    # Radius 3 lies within the outer quarter of the smallest overlap, 32 / 2 / 4 px.
    assert torch.allclose(run_tiled(local, x, tile, 2), whole, atol=1e-5)
