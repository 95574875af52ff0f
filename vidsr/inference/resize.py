"""Resizing on the device by any factor, for what lies between a model's own scale and the size asked for."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn import functional as F

from vidsr.native import resize_kernels
from vidsr.native.resize_kernels import Weights

#: Pixels on either side that bicubic interpolation weighs.
_REACH_PX = 2


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """``[N, C, H, W]`` float resized to ``size`` = (height, width).

    Bicubic (Keys, a = -0.5), widened when reducing so that nothing aliases; pixel centres keep their relative
    place, so that a picture does not shift. Weights of pixels beyond the border are shared among the others. Values may
    overshoot the input's range; nothing is clamped. If the size is already right, the input is returned.
    """
    height, width = x.shape[-2:]
    if (height, width) == size:
        return x
    made = resize_kernels.resized(x, _weights(height, size[0]), _weights(width, size[1]))
    return F.interpolate(x, size=size, mode="bicubic", align_corners=False, antialias=True) if made is None else made


@lru_cache(maxsize=16)
def _weights(inputs: int, outputs: int) -> Weights:
    """What the pixels of a side of ``outputs`` pixels weigh, as ``F.interpolate`` does with ``antialias``."""
    ratio = inputs / outputs
    wide = max(ratio, 1.0)
    centre = (np.arange(outputs) + 0.5) * ratio
    first, end = ((centre + sign * _REACH_PX * wide + 0.5).astype(np.int64) for sign in (-1, 1))
    within = np.flatnonzero((centre - _REACH_PX * wide + 0.5 >= 0) & (end <= inputs))
    first, end = first.clip(0), end.clip(max=inputs)
    taps = int((end - first).max())
    start = np.minimum(first, inputs - taps)
    pixels = start[:, None] + np.arange(taps)
    weights = _keys((pixels + 0.5 - centre[:, None]) / wide) * ((pixels >= first[:, None]) & (pixels < end[:, None]))
    weights /= weights.sum(1, keepdims=True)
    # Moved windows near the far border hold other weights than those of their phase.
    whole = within[start[within] == first[within]]
    low, high = (int(whole[0]), int(whole[-1]) + 1) if len(whole) else (0, 0)
    return Weights(inputs=inputs, start=start.astype(np.int32), weights=weights.astype(np.float32), whole=(low, high))


def _keys(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Keys 1981, eq. 4, with a = -0.5."""
    d = np.abs(distance)
    near, far = (1.5 * d - 2.5) * d * d + 1, ((-0.5 * d + 2.5) * d - 4) * d + 2
    weights: npt.NDArray[np.float64] = np.where(d < 1, near, np.where(d < 2, far, 0.0))
    return weights
