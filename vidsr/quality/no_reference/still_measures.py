"""What single pictures show without an original: block edges, sharpness, and how much of the source they kept.

Pictures are ``[1, 3, H, W]``, RGB in 0..1, on any device.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.quality.bicubic import resize_bicubic
from vidsr.quality.full_reference import luma601, psnr

#: PSNR of pictures that are equal, where the formula gives infinity.
MOST_DB = 100.0
#: Block sides that are looked for where the enlargement is unknown: 8 pixels of the source enlarged by 1 to 4.
_GRIDS_PX = (8, 16, 24, 32)
#: Neighbouring gradients that one is compared with, on either side.
_AROUND = 3
#: Code values below which a gradient says nothing.
_QUIET = 1.0
#: Fewer edges of blocks in one direction are too few for a mean.
_FEWEST_EDGES = 2


def blockiness(rgb: Tensor, scale: float | None = None) -> float | None:
    """How much stronger luma steps are at the edges of 8×8 blocks than elsewhere; 1 means that no grid is seen.

    Each step between neighbours is divided by the mean of those around it, so that the picture's own edges do not
    count; then the mean on the grid is divided by the mean off it. The grid begins in the upper left corner. Blocks
    have ``8 · scale`` pixels where the enlargement since the damage is known (rounded); otherwise the strongest grid
    of 8, 16, 24 and 32 pixels counts. None where the picture holds too few blocks.

    Source: Muijs, Kirenko, "A No-Reference Blocking Artifact Measure for Adaptive Video Processing", EUSIPCO 2005.
    """
    grey = luma601(rgb) * 255
    sides = _GRIDS_PX if scale is None else (max(2, round(8 * scale)),)
    steps = [_steps(grey), _steps(grey.transpose(-1, -2))]
    found = [
        value
        for side in sides
        if (ratios := [r for line in steps if (r := _on_grid(line, side)) is not None])
        and (value := sum(ratios) / len(ratios))
    ]
    return max(found, default=None)


def _steps(grey: Tensor) -> Tensor:
    """Mean over the rows of each column's step to the next, over its surroundings': ``[W - 1]``."""
    step = grey.diff(dim=-1).abs()
    kernel = torch.ones(2 * _AROUND + 1, dtype=grey.dtype, device=grey.device)
    kernel[_AROUND] = 0
    width = (1, 1, 1, 2 * _AROUND + 1)
    padded = F.pad(step, (_AROUND, _AROUND, 0, 0), mode="replicate")
    around = F.conv2d(padded, (kernel / kernel.sum()).view(width))
    return ((step + _QUIET) / (around + _QUIET)).mean((0, 1, 2))


def _on_grid(steps: Tensor, side: int) -> float | None:
    edges = torch.zeros(len(steps), dtype=torch.bool, device=steps.device)
    edges[side - 1 :: side] = True
    if int(edges.sum()) < _FEWEST_EDGES:
        return None
    return float(steps[edges].mean() / steps[~edges].mean())


def sharpness(rgb: Tensor) -> float:
    """Mean length of the luma's gradient (Sobel), in code values per pixel: Tenengrad without its threshold.

    It counts noise and block edges as detail too.
    """
    grey = F.pad(luma601(rgb) * 255, (1, 1, 1, 1), mode="replicate")
    across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=grey.dtype, device=grey.device) / 8
    both = torch.stack((across, across.T)).unsqueeze(1)
    return float(F.conv2d(grey, both).square().sum(1).sqrt().mean())


def sharpness_gained(rgb: Tensor, enlarged: Tensor) -> float | None:
    """Sharpness over that of the source enlarged to the same size; None where the source is flat."""
    plain = sharpness(enlarged)
    return sharpness(rgb) / plain if plain > 0.01 else None


def consistency(rgb: Tensor, source: Tensor) -> float:
    """PSNR in dB of the result, reduced to the source's size (bicubic, antialiased), against the source; 100 at most.

    It shows what was changed of what the source holds, and nothing of what was added above its resolution.
    """
    size = (source.shape[-2], source.shape[-1])
    reduced = resize_bicubic(rgb, 1, size=size) if tuple(rgb.shape[-2:]) != size else rgb
    value = psnr(reduced.clamp(0, 1), source).item()
    return MOST_DB if math.isinf(value) else min(MOST_DB, value)
