"""Tiles cover every pixel, have one size, and join without a trace for a local operation."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional as F

from vidsr.inference.backends.backend_choice import choose_backend
from vidsr.inference.tiles import run_tiled, tile_starts
from vidsr.models.known_architectures import architecture_of
from vidsr.models.zoo import load_model


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
    # Radius 3 lies within the outer 3/8 of the smallest overlap, 32 / 2 px.
    assert torch.allclose(run_tiled(local, x, tile, 2, 48), whole, atol=1e-5)


def test_what_a_tile_spoils_at_its_inner_edges_is_not_seen() -> None:
    """The outer 3/8 of the overlap, 6 of 16 px, are context only; at the frame's own edge every pixel counts."""

    def spoiled(part: torch.Tensor) -> torch.Tensor:
        out = torch.ones_like(part)
        out[..., 6:-6, 6:-6] = 0
        return out

    seen = run_tiled(spoiled, torch.zeros(1, 1, 100, 90), 48, 1, 16)
    expected = torch.ones_like(seen)
    expected[..., 6:-6, 6:-6] = 0
    assert torch.equal(seen, expected)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("picture", ["005", "022"])  # of those tried, the least alike: fine texture
@pytest.mark.parametrize("name", ["realesr-animevideov3", "realesrgan-x4plus-anime-6B", "realesrgan-x4plus"])
def test_tiles_of_shipped_models_show_no_seam(shared: Path, name: str, picture: str) -> None:
    model = load_model(name)
    overlap = architecture_of(model.network).overlap_px(model.network)
    tile = overlap + 64
    with Image.open(shared / f"data/bsd100/{picture}.png") as photo:
        pixels = np.asarray(photo.convert("RGB"))[:72, : tile + 48].copy()
    x = torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0).float() / 255
    run = choose_backend("auto", model, torch.device("cpu"), "fp32")
    with torch.inference_mode():
        gap = (run_tiled(run, x, tile, model.scale, overlap) - run(x)).square().mean((0, 1, 2))
    decibels = -10 * torch.log10(gap.mean())
    # The seam: 4 source pixels in the middle of the blend. Elsewhere: the rest of the overlap.
    start = x.shape[-1] - tile
    near = gap[start * 4 : tile * 4]
    middle = len(near) // 2
    seam, elsewhere = near[middle - 8 : middle + 8].mean().sqrt(), near.mean().sqrt()
    print(f"{name}, {picture}: {decibels:.1f} dB, at the seam {seam / elsewhere:.2f} times the error elsewhere")
    assert decibels > 60
    assert seam <= 1.5 * max(elsewhere, torch.tensor(1e-4))
