"""Ways to reduce pictures: by area, by interpolation, or after a Gaussian blur; what they show stays in place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

#: Taps reach this many pixels of the result to either side.
REACH = 4

Floats = npt.NDArray[np.float64]


def _area(x: Floats) -> Floats:
    return (np.abs(x) < 0.5).astype(np.float64)


def _bicubic(x: Floats) -> Floats:
    """Keys' kernel with a = -0.5 (Keys 1981, equation 15)."""
    t = np.abs(x)
    near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return np.where(t < 1, near, np.where(t < 2, far, 0.0))


def _lanczos(x: Floats) -> Floats:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


def _gaussian(sigma: float) -> Callable[[Floats], Floats]:
    """``sigma`` in pixels of the original where it is reduced by four."""
    return lambda x: np.exp(-0.5 * (4 * x / sigma) ** 2)


#: Kernels by name, as functions of the distance in pixels of the result; None leaves the picture as it is.
KERNELS: dict[str, Callable[[Floats], Floats] | None] = {
    "area": _area,
    "bicubic": _bicubic,
    "lanczos": _lanczos,
    "gaussian 0.8": _gaussian(0.8),
    "gaussian 1.2": _gaussian(1.2),
    "gaussian 1.6": _gaussian(1.6),
    "gaussian 2.0": _gaussian(2.0),
    "gaussian 2.4": _gaussian(2.4),
    "none": None,
}


def reduced_by(kind: str, pictures: Tensor, scale: int = 4) -> Tensor:
    """``[N, C, H, W]``, 0 to 1, reduced by ``scale`` with one of :data:`KERNELS` and rounded to 8 bits; borders repeat.
    Sides that are no multiples of ``scale`` lose the rest."""
    kernel = KERNELS[kind]
    if kernel is not None:
        margin = REACH * scale
        at = (np.arange(2 * margin + scale) + 0.5 - margin) / scale - 0.5
        weights = kernel(at)
        taps = torch.tensor(weights / weights.sum(), dtype=torch.float32)
        height, width = (side // scale * scale for side in pictures.shape[-2:])
        count, channels = pictures.shape[:2]
        planes = pictures[..., :height, :width].reshape(count * channels, 1, height, width)
        padded = F.pad(planes, (margin,) * 4, mode="replicate")
        across = F.conv2d(padded, taps.view(1, 1, 1, -1), stride=(1, scale))
        down = F.conv2d(across, taps.view(1, 1, -1, 1), stride=(scale, 1))
        pictures = down.view(count, channels, *down.shape[-2:])
    return (pictures * 255).round().clamp(0, 255).contiguous() / 255
