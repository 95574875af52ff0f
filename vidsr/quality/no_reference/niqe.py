"""NIQE, the distance of a picture's statistics from those of natural pictures; lower is more natural.

Source: Mittal, Soundararajan, Bovik, "Making a 'Completely Blind' Image Quality Analyzer", IEEE Signal Processing
Letters 20(3), 2013, with the statistics of the authors' release (125 pictures, blocks of 96 pixels, LICENSE-NIQE).
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.quality.bicubic import resize_matrix
from vidsr.quality.full_reference import luma601

#: Side of the blocks that the statistics were taken from.
BLOCK_PX = 96
#: Neighbours of a sample, as (down, right), whose products with it are looked at.
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))
_WINDOW, _SIGMA = 7, 7 / 6
#: A smaller difference from the local mean, in code values, is rounding; the least that one code value makes is 1e-4.
_ROUNDING = 1e-9


def measurable(width: int, height: int) -> bool:
    """Whether a picture holds the two whole blocks that its covariance needs at least."""
    return (width // BLOCK_PX) * (height // BLOCK_PX) >= 2


def niqe(rgb: Tensor) -> float | None:
    """NIQE of ``[1, 3, H, W]``, RGB in 0..1; None where fewer than two blocks have any structure.

    The luma is that of BT.601, limited range, rounded to code values, as the published code has it.

    Raises:
        ValueError: the picture holds fewer than two blocks of 96x96 pixels.
    """
    height, width = (side // BLOCK_PX * BLOCK_PX for side in rgb.shape[-2:])
    if not measurable(width, height):
        raise ValueError(f"NIQE needs two blocks of {BLOCK_PX}x{BLOCK_PX} px, got {rgb.shape[-1]}x{rgb.shape[-2]}")
    # Rounded in fp32 like the published code: a value that lies half-way must fall on the same side.
    grey = (luma601(rgb.float()) * 255).round().double()[..., :height, :width]
    found = []
    for block in (BLOCK_PX, BLOCK_PX // 2):
        found.append(_features(_normalised(grey), block))
        if block == BLOCK_PX:
            grey = _halved(grey)
    features = torch.cat(found, 1).cpu()
    whole = features[~features.isnan().any(1)]
    if len(whole) < 2:
        return None
    mean, covariance = _pristine()
    gap = mean - features.nanmean(0)
    pooled = (covariance + whole.T.cov()) / 2
    return float((gap @ torch.linalg.pinv(pooled) @ gap).sqrt())


@lru_cache(maxsize=1)
def _pristine() -> tuple[Tensor, Tensor]:
    """Mean ``[36]`` and covariance ``[36, 36]`` of the features of natural pictures."""
    with (
        files("vidsr.quality.no_reference").joinpath("niqe_pris_params.npz").open("rb") as file,
        np.load(file) as kept,
    ):
        mean, covariance = (torch.from_numpy(kept[f"{name}_pris_param"].copy()) for name in ("mu", "cov"))
    return mean.flatten(), covariance


def _normalised(grey: Tensor) -> Tensor:
    """Equation 1: ``[1, 1, H, W]`` less its local mean, over its local deviation plus one code value."""
    at = torch.arange(_WINDOW, dtype=grey.dtype, device=grey.device) - _WINDOW // 2
    taps = torch.exp(-(at**2) / (2 * _SIGMA**2))
    taps = taps / taps.sum()
    radius = _WINDOW // 2

    def blurred(picture: Tensor) -> Tensor:
        padded = F.pad(picture, (radius,) * 4, mode="replicate")
        return F.conv2d(F.conv2d(padded, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))

    mean = blurred(grey)
    deviation = (blurred(grey**2) - mean**2).abs().sqrt()
    # The features count values of either sign: in flat places those of rounding errors, which differ between machines.
    gap = grey - mean
    return torch.where(gap.abs() < _ROUNDING, 0.0, gap) / (deviation + 1)


def _halved(grey: Tensor) -> Tensor:
    """Half the size, antialiased bicubic, mirrored at the edges like MATLAB's ``imresize``."""
    down, across = (resize_matrix(side, side // 2, 0.5, "mirror").to(grey) for side in grey.shape[-2:])
    return down @ grey @ across.T


def _features(normalised: Tensor, block: int) -> Tensor:
    """The 18 features of every block of ``[1, 1, H, W]``, ``[blocks, 18]``; NaN where a block is flat."""
    blocks = normalised[0, 0].unfold(0, block, block).unfold(1, block, block).flatten(0, 1)
    alpha, left, right = _asymmetric(blocks)
    columns = [alpha, (left + right) / 2]
    for shift in _NEIGHBOURS:
        alpha, left, right = _asymmetric(blocks * blocks.roll(shift, (1, 2)))
        mean = (right - left) * (torch.lgamma(2 / alpha) - torch.lgamma(1 / alpha)).exp()  # equation 8
        columns += [alpha, mean, left, right]
    return torch.stack(columns, 1)


@lru_cache(maxsize=1)
def _shapes() -> tuple[Tensor, Tensor]:
    """Shapes 0.2, 0.201, … 10 of a generalised Gaussian, and the squared mean over mean square of each, rising."""
    shape = torch.arange(0.2, 10.001, 0.001, dtype=torch.float64)
    log = torch.lgamma
    return shape, (2 * log(2 / shape) - log(1 / shape) - log(3 / shape)).exp()


def _asymmetric(blocks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shape, and spread to the left and right, of the asymmetric generalised Gaussian of each ``[blocks, n, n]``."""
    values = blocks.flatten(1)
    squares = values**2
    left, right = (
        ((squares * side).sum(1) / side.sum(1)).sqrt() for side in ((values < 0).double(), (values > 0).double())
    )
    ratio = left / right
    flatness = values.abs().mean(1) ** 2 / squares.mean(1)
    wanted = flatness * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shapes, ratios = (table.to(values.device) for table in _shapes())
    above = torch.searchsorted(ratios, wanted.contiguous()).clamp(1, len(ratios) - 1)
    nearer = (wanted - ratios[above - 1]) <= (ratios[above] - wanted)
    alpha = torch.where(wanted.isnan(), torch.nan, shapes[torch.where(nearer, above - 1, above)])
    scale = ((torch.lgamma(1 / alpha) - torch.lgamma(3 / alpha)) / 2).exp()
    return alpha, left * scale, right * scale
