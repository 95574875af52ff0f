"""Resizing on the device by any factor, for what lies between a model's own scale and the size asked for."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """``[N, C, H, W]`` float resized to ``size`` = (height, width).

    Bicubic (Keys, a = -0.5), widened when reducing so that nothing aliases; pixel centres keep their relative
    place, so that a picture does not shift. Values may overshoot the input's range; nothing is clamped. If
    the size is already right, the input is returned.
    """
    if (x.shape[-2], x.shape[-1]) == size:
        return x
    return F.interpolate(x, size=size, mode="bicubic", align_corners=False, antialias=True)
