"""Blur kernels: Gaussian, generalised Gaussian and plateau shapes, round or stretched, and the sinc filter.

Source: Real-ESRGAN (arXiv 2107.10833, sections 3.1 and 3.2) after Liu et al., "Estimating generalized Gaussian
blur kernels for out-of-focus image deblurring". All kernels are float32 ``[k, k]``, k odd, and sum to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.training.degradation.options import OrderOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelShape:
    """Standard deviations along the kernel's own axes in px, the angle between them and the picture's in radians."""

    sigma_x: float
    sigma_y: float
    angle: float = 0.0


def _squared_distance(size: int, shape: KernelShape) -> Tensor:
    """xᵀ Σ⁻¹ x at every tap."""
    at = torch.arange(size, dtype=torch.float64) - size // 2
    y, x = torch.meshgrid(at, at, indexing="ij")
    cos, sin = math.cos(shape.angle), math.sin(shape.angle)
    along, across = x * cos + y * sin, y * cos - x * sin
    return (along / shape.sigma_x) ** 2 + (across / shape.sigma_y) ** 2


def gaussian(size: int, shape: KernelShape, beta: float = 1.0) -> Tensor:
    """exp(−½ (xᵀ Σ⁻¹ x)^β); β = 1 is the Gaussian, smaller is more pointed, larger flatter."""
    return _normalised(torch.exp(-0.5 * _squared_distance(size, shape) ** beta))


def plateau(size: int, shape: KernelShape, beta: float) -> Tensor:
    """1 / (1 + (xᵀ Σ⁻¹ x)^β): a flat top, like that of a defocused lens."""
    return _normalised(1 / (1 + _squared_distance(size, shape) ** beta))


def sinc(size: int, cutoff: float) -> Tensor:
    """Ideal low-pass of circular pass band: ω J₁(ω r) / (2π r), with ω²/(4π) at r = 0; rings and overshoots.

    ``cutoff`` ω is in radians per pixel, up to π.
    """
    at = torch.arange(size, dtype=torch.float64) - size // 2
    r = torch.hypot(at[:, None], at[None, :])
    kernel = cutoff * torch.special.bessel_j1(cutoff * r) / (2 * math.pi * r.clamp_min(1e-12))
    kernel[size // 2, size // 2] = cutoff**2 / (4 * math.pi)
    return _normalised(kernel)


def _normalised(kernel: Tensor) -> Tensor:
    return (kernel / kernel.sum()).float()


def random_sinc(size: int, rng: np.random.Generator, lowest: float = math.pi / 3) -> Tensor:
    """A sinc filter with a cut-off from ``lowest`` to π."""
    return sinc(size, float(rng.uniform(lowest, math.pi)))


def random_size(limits: tuple[int, int], rng: np.random.Generator) -> int:
    """An odd size within the limits."""
    return int(rng.integers(limits[0] // 2, limits[1] // 2 + 1)) * 2 + 1


def random_kernel(options: OrderOptions, rng: np.random.Generator) -> Tensor:
    """A random kernel, as the options specify."""
    size = random_size(options.kernel_size, rng)
    if rng.random() < options.sinc_chance:
        # Large kernels may blur more; the final filter never does.
        return random_sinc(size, rng, math.pi / (3 if size < 13 else 5))
    weights = np.array(list(options.kernels.values()))
    kind = str(rng.choice(list(options.kernels), p=weights / weights.sum()))
    sigma_x = float(rng.uniform(*options.sigma))
    round_one = kind.endswith("_iso") or kind == "iso"
    shape = KernelShape(
        sigma_x=sigma_x,
        sigma_y=sigma_x if round_one else float(rng.uniform(*options.sigma)),
        angle=0.0 if round_one else float(rng.uniform(-math.pi, math.pi)),
    )
    if kind.startswith("plateau"):
        return plateau(size, shape, _exponent(options.beta_plateau, rng))
    return gaussian(size, shape, _exponent(options.beta_gaussian, rng) if kind.startswith("generalised") else 1.0)


def _exponent(limits: tuple[float, float], rng: np.random.Generator) -> float:
    """Drawn uniformly below or above 1, within the limits; each part has probability ½ if 1 lies between the limits.

    As in the published code: of limits 1 to 2, half the exponents are exactly 1.
    """
    low, high = limits
    if low <= 1 <= high:
        low, high = (low, 1.0) if rng.random() < 0.5 else (1.0, high)
    return float(rng.uniform(low, high))


def blur(pictures: Tensor, kernel: Tensor) -> Tensor:
    """Convolve ``[..., H, W]`` with a kernel; the edge is reflected, or repeated where the pictures are too small."""
    half = kernel.shape[-1] // 2
    mode = "reflect" if min(pictures.shape[-2:]) > half else "replicate"
    # As channels of one picture, each in a group of its own: 12 times faster on a CPU than as so many pictures.
    flat = pictures.reshape(1, -1, *pictures.shape[-2:])
    padded = F.pad(flat, (half, half, half, half), mode=mode)
    count = flat.shape[1]
    return F.conv2d(padded, kernel.to(flat).expand(count, 1, -1, -1), groups=count).reshape(pictures.shape)
