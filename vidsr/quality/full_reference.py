"""PSNR, SSIM and MS-SSIM of pictures as tensors, in the field's standard forms.

Pictures are ``[N, C, H, W]`` floats in 0..1 on any device; every measure returns one value per picture, ``[N]``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

# Wang et al. 2004: an 11x11 Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03.
WINDOW, SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2
#: Weights of the five scales; Wang, Simoncelli, Bovik, "Multiscale structural similarity", 2003, section 3.2.
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
#: The smaller side that MS-SSIM needs, so that its coarsest scale still holds one window.
MS_SSIM_MIN_SIDE = (WINDOW - 1) * 2 ** (len(_SCALE_WEIGHTS) - 1) + 1


def luma601(rgb: Tensor) -> Tensor:
    """Y ``[N, 1, H, W]`` as MATLAB's rgb2ycbcr gives it, over 255: 16/255 for black to 235/255 for white.

    This is the "Y channel" of the super-resolution literature (BT.601, limited range), not rounded.
    """
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=rgb.dtype, device=rgb.device) / 255
    return torch.einsum("c,nchw->nhw", weights, rgb).unsqueeze(1) + 16 / 255


def shave(picture: Tensor, border: int) -> Tensor:
    """Without ``border`` pixels on every side, as papers leave them out."""
    return picture[..., border:-border, border:-border] if border else picture


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB for a peak of 1, over all channels together; infinite where equal."""
    return -10 * torch.log10((a.double() - b.double()).square().flatten(1).mean(1))


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity, mean over channels and over all places where the whole window fits.

    Source: Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13(4), 2004, equation 13.

    Raises:
        ValueError: a side is shorter than 11 pixels.
    """
    similarity, _ = _maps(a, b)
    return similarity.flatten(1).mean(1)


def ms_ssim(a: Tensor, b: Tensor) -> Tensor:
    """Multi-scale structural similarity over five scales.

    Raises:
        ValueError: a side is shorter than 161 pixels.
    """
    if min(a.shape[-2:]) < MS_SSIM_MIN_SIDE:
        raise ValueError(f"MS-SSIM needs sides of at least {MS_SSIM_MIN_SIDE} px, got {a.shape[-1]}x{a.shape[-2]}")
    product: Tensor | None = None
    for scale, weight in enumerate(_SCALE_WEIGHTS):
        whole, contrast = _maps(a, b)
        last = scale == len(_SCALE_WEIGHTS) - 1
        term = (whole if last else contrast).mean((2, 3)).relu() ** weight
        product = term if product is None else product * term
        if not last:
            odd = (a.shape[-2] % 2, a.shape[-1] % 2)
            a, b = (F.avg_pool2d(picture, 2, padding=odd) for picture in (a, b))
    assert product is not None
    return product.mean(1)


def _maps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """(SSIM, contrast-structure part) at every place where the window fits, ``[N, C, H-10, W-10]``."""
    if min(a.shape[-2:]) < WINDOW:
        raise ValueError(f"SSIM needs sides of at least {WINDOW} px, got {a.shape[-1]}x{a.shape[-2]}")
    mean_a, mean_b, of_aa, of_bb, of_ab = _blur(torch.cat((a, b, a * a, b * b, a * b), 1)).chunk(5, 1)
    var_a, var_b = of_aa - mean_a**2, of_bb - mean_b**2
    contrast = (2 * (of_ab - mean_a * mean_b) + _C2) / (var_a + var_b + _C2)
    return (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1) * contrast, contrast


def _blur(picture: Tensor) -> Tensor:
    """Gaussian-weighted means where the window fits; separable, channel by channel."""
    offsets = torch.arange(WINDOW, dtype=picture.dtype, device=picture.device) - WINDOW // 2
    kernel = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    kernel = kernel / kernel.sum()
    channels = picture.shape[1]
    # Channels last: depthwise convolutions are ten times as fast that way on a CPU.
    rows = kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1).contiguous()
    columns = kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1).contiguous()
    picture = picture.contiguous(memory_format=torch.channels_last)
    return F.conv2d(F.conv2d(picture, rows, groups=channels), columns, groups=channels)
