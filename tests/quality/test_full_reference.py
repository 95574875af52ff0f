"""PSNR, SSIM, MS-SSIM against scikit-image and pytorch-msssim."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_msssim import ms_ssim as reference_ms_ssim
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from tests.support.places import STILL
from vidsr.quality import full_reference


@pytest.fixture(scope="module")
def pair() -> tuple[Tensor, Tensor]:
    """A picture, and it with noise and a shift of colour."""
    clean = torch.from_numpy(np.asarray(Image.open(STILL).convert("RGB")).copy()).permute(2, 0, 1)[None] / 255
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1)) * 0.05
    return clean, (clean * 0.9 + 0.03 + noise).clamp(0, 1)


def hwc(picture: Tensor) -> np.ndarray:
    return picture[0].permute(1, 2, 0).double().numpy()


def test_psnr(pair: tuple[Tensor, Tensor]) -> None:
    a, b = pair
    assert full_reference.psnr(a, b).item() == pytest.approx(
        peak_signal_noise_ratio(hwc(a), hwc(b), data_range=1), abs=1e-4
    )
    both = full_reference.psnr(torch.cat([a, b]), torch.cat([b, b]))
    assert both.shape == (2,) and both[1].isinf() and both[0].isfinite()


def test_ssim(pair: tuple[Tensor, Tensor]) -> None:
    a, b = pair
    wanted = structural_similarity(
        hwc(a), hwc(b), channel_axis=2, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert full_reference.ssim(a.double(), b.double()).item() == pytest.approx(wanted, abs=1e-6)
    assert full_reference.ssim(a, b).item() == pytest.approx(wanted, abs=1e-5)
    assert full_reference.ssim(a, a).item() == pytest.approx(1)


@pytest.mark.parametrize("crop", [(180, 320), (163, 171)])
def test_ms_ssim(pair: tuple[Tensor, Tensor], crop: tuple[int, int]) -> None:
    a, b = (picture[..., : crop[0], : crop[1]] for picture in pair)
    wanted = reference_ms_ssim(a.double(), b.double(), data_range=1, size_average=False).item()
    assert full_reference.ms_ssim(a.double(), b.double()).item() == pytest.approx(wanted, abs=1e-6)
    assert full_reference.ms_ssim(a, b).item() == pytest.approx(wanted, abs=1e-5)


def test_luma_is_the_one_of_the_literature(pair: tuple[Tensor, Tensor]) -> None:
    wanted = rgb2ycbcr(hwc(pair[0]))[..., 0] / 255
    assert np.abs(full_reference.luma601(pair[0].double())[0, 0].numpy() - wanted).max() < 1e-6


def test_too_small_is_said() -> None:
    small = torch.rand(1, 3, 10, 30)
    with pytest.raises(ValueError, match="at least 11 px, got 30x10"):
        full_reference.ssim(small, small)
    with pytest.raises(ValueError, match="at least 161 px"):
        full_reference.ms_ssim(torch.rand(1, 3, 160, 300), torch.rand(1, 3, 160, 300))


def test_shave() -> None:
    assert full_reference.shave(torch.zeros(1, 3, 20, 30), 4).shape == (1, 3, 12, 22)
    assert full_reference.shave(torch.zeros(1, 3, 20, 30), 0).shape == (1, 3, 20, 30)
