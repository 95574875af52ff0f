"""How a source was reduced: found for reductions made by Pillow, whatever the picture's size and place."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from tests.support.places import STILL
from vidsr.filters.after import reduction
from vidsr.filters.after.reduction import EVIDENCE, KINDS, aliasing, evidence, shipped_model


@pytest.fixture(autouse=True)
def _no_grad() -> Iterator[None]:
    with torch.inference_mode():
        yield


def grey(picture: Image.Image) -> Tensor:
    """``[1, 1, h, w]``, 0 to 1."""
    return torch.from_numpy(np.asarray(picture.convert("L"), np.float32))[None, None] / 255


def still() -> Image.Image:
    return Image.open(STILL).convert("RGB")


def reduced(way: Image.Resampling, by: int = 2) -> Tensor:
    """The picture reduced by Pillow, which is not what the network was fitted to."""
    whole = still()
    return grey(whole.resize((whole.width // by, whole.height // by), way))


def blurred(sigma: float, by: int = 2) -> Tensor:
    """The picture blurred by ``sigma`` of its pixels, then every second one of it."""
    return grey(still().filter(ImageFilter.GaussianBlur(sigma)))[..., ::by, ::by]


def test_areas_leave_aliases_and_interpolation_does_not() -> None:
    assert float(aliasing(reduced(Image.Resampling.BOX))) > 1
    assert float(aliasing(reduced(Image.Resampling.BICUBIC))) < 0
    assert float(aliasing(reduced(Image.Resampling.LANCZOS))) < -1


def test_a_strong_blur_leaves_none() -> None:
    assert float(aliasing(blurred(0.5))) > 1
    assert float(aliasing(blurred(1.0))) < 0


def test_interpolation_is_named() -> None:
    odds = shipped_model()(evidence(reduced(Image.Resampling.LANCZOS))[None])[0]
    assert KINDS[int(odds.argmax())] == "lanczos"


def test_light_and_direction_do_not_count() -> None:
    picture = reduced(Image.Resampling.BOX)
    found = evidence(picture)
    assert torch.allclose(evidence(picture.transpose(2, 3)), found, atol=0.02)
    assert torch.allclose(evidence(picture.flip(3)), found, atol=0.25)
    assert torch.allclose(evidence(1 - picture), found, atol=0.02)


@pytest.mark.parametrize("size", [(16, 16), (16, 700), (700, 16), (641, 650)])
def test_any_size_is_judged(size: tuple[int, int]) -> None:
    picture = torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(0))
    found = evidence(picture)
    assert found.shape == (EVIDENCE,) and bool(found.isfinite().all())


def test_a_flat_picture_is_judged() -> None:
    assert bool(evidence(torch.full((1, 1, 40, 40), 0.5)).isfinite().all())


def test_of_a_large_picture_tiles_are_looked_at_that_reach_its_borders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduction, "_TILE_PX", 8)
    picture = torch.arange(60 * 90).float().view(1, 1, 60, 90)
    tiles = reduction._tiles(picture)
    assert tiles.shape == (25, 1, 8, 8)
    assert float(tiles[0, 0, 0, 0]) == 0 and float(tiles[-1, 0, -1, -1]) == 60 * 90 - 1
    assert reduction._tiles(picture[..., :40, :40]).shape == (1, 1, 40, 40)
