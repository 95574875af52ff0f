"""Losses of single pictures: Charbonnier, frequency, consistency with the source, and locally discriminative (LDL).

Pictures are ``[N, 3, H, W]``, RGB in 0..1; every loss is a scalar in fp32, a mean over all values.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

#: ε of the Charbonnier loss, as published.
EPSILON = 1e-3
#: Side in pixels of the window of LDL's local variance, as published.
WINDOW_PX = 7


def charbonnier(result: Tensor, target: Tensor) -> Tensor:
    """L = E √((x − y)² + ε²), ε = 1e-3: L1 that is smooth at 0.

    Source: Lai et al., "Deep Laplacian Pyramid Networks", CVPR 2017, section 3.3 (after Charbonnier et al., 1994).
    """
    return ((result.float() - target.float()).square() + EPSILON**2).sqrt().mean()


def frequency(result: Tensor, target: Tensor) -> Tensor:
    """L = E \\|F(x) − F(y)\\| over real and imaginary parts of the two-dimensional Fourier transform, orthonormal.

    Source: Cho et al., "Rethinking Coarse-to-Fine Approach in Single Image Deblurring" (MIMO-UNet), ICCV 2021,
    equation 7; here at one scale. Of a real picture's spectrum, half holds everything.
    """
    spectrum = torch.fft.rfft2(result.float() - target.float(), norm="ortho")
    return torch.view_as_real(spectrum).abs().mean()


def consistency(result: Tensor, source: Tensor) -> Tensor:
    """L = E \\|D(x) − s\\|, where D averages squares of ``scale`` pixels: the result, reduced again, is the source.

    ``source`` is ``[N, 3, H/scale, W/scale]``; only where it is undamaged is it worth matching. Source: the measure of
    ``--fidelity`` (``vidsr.filters.after.fidelity``); as a loss Lugmayr et al., "NTIRE 2021 Learning the
    Super-Resolution Space Challenge", section 3.
    """
    scale = result.shape[-1] // source.shape[-1]
    return F.l1_loss(F.avg_pool2d(result.float(), scale), source.float())


def artefacts(result: Tensor, target: Tensor, averaged: Tensor) -> Tensor:
    """L = E \\|M · (x − y)\\|: L1 weighted by how much a pixel's error looks like an artefact and not like detail.

    With R = Σ_c \\|y − x\\| of the result and R̄ that of the moving average's ``averaged`` result: M is the variance
    of R in the 7×7 pixels around, times the variance of R over the picture to the power of ⅕, and 0 where R < R̄
    (there the network improves on its average). M gets no gradient.

    Source: Liang, Zeng, Zhang, "Details or Artifacts: A Locally Discriminative Learning Approach to Realistic Image
    Super-Resolution", CVPR 2022, equations 3 to 7.
    """
    result, target = result.float(), target.float()
    with torch.no_grad():
        error = (target - result).abs().sum(1, keepdim=True)
        averaged_error = (target - averaged.float()).abs().sum(1, keepdim=True)
        weight = local_variance(error) * error.var((1, 2, 3), keepdim=True) ** 0.2
        weight = torch.where(error < averaged_error, 0.0, weight)
    return (weight * (result - target)).abs().mean()


def local_variance(picture: Tensor, side: int = WINDOW_PX) -> Tensor:
    """The unbiased variance in the ``side``×``side`` pixels around each of ``[N, 1, H, W]``; borders are mirrored."""
    half = side // 2
    windows = F.pad(picture, (half, half, half, half), mode="reflect").unfold(2, side, 1).unfold(3, side, 1)
    return windows.flatten(4).var(-1)
