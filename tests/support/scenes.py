"""Small moving pictures for the filter tests, with known motion, grain and cuts."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.filters.flow import gaussian
from vidsr.frames import Colour, Frame, PixelFormat


def texture(height: int, width: int, seed: int = 0, coarse: float = 1.5) -> Tensor:
    """A smooth random texture ``[1, 3, H, W]`` around 0.5."""
    noise = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    smooth = gaussian(noise, coarse)
    return (0.5 + 0.15 * smooth / smooth.std()).clamp(0.05, 0.95)


def pan(count: int, dx: int, dy: int = 0, seed: int = 0, size: tuple[int, int] = (96, 128)) -> Tensor:
    """``[count, 3, H, W]``: a window that moves over one texture by whole pixels a frame."""
    height, width = size
    world = texture(height + abs(dy) * count, width + abs(dx) * count, seed)
    return torch.cat([world[..., dy * t : dy * t + height, dx * t : dx * t + width] for t in range(count)])


def shrink(picture: Tensor, factor: int = 2) -> Tensor:
    """Area-averaged by a whole factor."""
    return F.avg_pool2d(picture, factor)


def gray_frames(count: int, start: int = 0, shape: tuple[int, int] = (16, 16)) -> list[Frame]:
    """Frames that carry nothing but their number."""
    plane = np.zeros(shape, np.uint8)
    fmt = PixelFormat("gray", "gray", 8)
    return [
        Frame(planes=(plane,), format=fmt, colour=Colour(), index=i, pts=i, time_base=Fraction(1, 25))
        for i in range(start, start + count)
    ]
