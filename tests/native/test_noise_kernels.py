"""Noise and lost detail by the kernels are those that PyTorch finds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support.kernels import agree, noise
from tests.support.scenes import texture
from vidsr.filters.after import fidelity


@pytest.mark.parametrize("size", [(8, 8), (9, 41), (40, 33), (90, 160)])
@pytest.mark.parametrize("stride", [2, 4, 8])
def test_power_of_blocks(both: Any, size: tuple[int, int], stride: int) -> None:
    picture = noise(2, 2, *size)
    for band in ((2, 5), (10, 15), (11, 15), (0, 15), (3, 4)):
        native, plain = both(lambda band=band: fidelity._block_power(picture, stride, *band))
        torch.testing.assert_close(native, plain, rtol=1e-4, atol=1e-3)


def pictures() -> Tensor:
    """Two with noise (one of it in the lightness alone), without any, and of one colour."""
    clean = texture(64, 93)
    draw = torch.randn(1, 3, 64, 93, generator=torch.Generator().manual_seed(1))
    noisy = [clean * 0.3 + 4 / 255 * draw, clean * 0.1 + 6 / 255 * draw[:, :1]]
    return torch.cat((*noisy, clean, torch.full_like(clean, 0.5)))


def test_noise_of_each_channel(both: Any) -> None:
    native, plain = both(lambda: fidelity.noise(pictures()))
    agree((native, plain))
    assert (plain[:2] > 1.5 / 255).all() and float(plain[3].max()) < 1e-6  # the pictures show both


def test_noise_of_large_pictures(both: Any) -> None:
    """Their blocks are four pixels apart."""
    draw = torch.randn(1, 3, 270, 260, generator=torch.Generator().manual_seed(2))
    agree(both(lambda: fidelity.noise(0.5 + 3 / 255 * draw)))


def test_how_intact_pictures_are(both: Any) -> None:
    source = torch.cat((pictures(), torch.nn.functional.avg_pool2d(pictures(), 3, 1, 1)))
    native, plain = both(lambda: fidelity.intact(source))
    agree((native, plain), 1e-4)
    assert float(plain.min()) == 0 and float(plain.max()) == 1
