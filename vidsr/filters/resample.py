"""The two resizings that back-projection needs: exact area averaging down, bicubic up; any ratio, any device."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F


@lru_cache(maxsize=16)
def _box_weights(fine: int, coarse: int) -> Tensor:
    """``[coarse, fine]``: the share of each fine pixel in each coarse pixel's area; rows sum to 1."""
    ratio = fine / coarse
    edges = torch.arange(coarse, dtype=torch.float64)[:, None] * ratio
    pixels = torch.arange(fine, dtype=torch.float64)[None]
    overlap = torch.minimum(edges + ratio, pixels + 1) - torch.maximum(edges, pixels)
    return (overlap.clamp(min=0) / ratio).float()


def area_down(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """``picture`` ``[N, C, H, W]`` averaged to ``size`` (rows, columns), each pixel over exactly its own area.

    Unlike adaptive pooling the weights are right for ratios that are not whole numbers.
    """
    height, width = picture.shape[-2:]
    rows, columns = size
    if height % rows == 0 and width % columns == 0:
        return F.avg_pool2d(picture, (height // rows, width // columns))
    down = _box_weights(height, rows).to(picture)
    across = _box_weights(width, columns).to(picture)
    return down @ picture @ across.T


def cubic_up(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """``picture`` ``[N, C, h, w]`` enlarged to ``size`` (rows, columns) by bicubic interpolation, not clamped."""
    return F.interpolate(picture, size=size, mode="bicubic", align_corners=False)
