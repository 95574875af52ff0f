"""Real-ESRGAN's second-order degradation, with codecs, tape and film added.

Order of events: film (grain, dust, scratches) → blur, resize, noise, JPEG → tape → blur, resize, noise → and then,
in random order, [resize to the final size with a sinc filter], JPEG, and a video codec → 8 bit.
Source: Real-ESRGAN, arXiv 2107.10833, figure 2 and its published training code. The published code degrades a
whole batch with one resize scale and needs a pool of pictures to compensate; here every patch draws its own.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from vidsr.frames import luma_weights
from vidsr.training.degradation import compression, film, kernels
from vidsr.training.degradation.options import DegradationOptions, OrderOptions
from vidsr.training.degradation.tape import patches

DegradationStep = Callable[[Tensor], Tensor]
#: A degradation of ``[T, 3, H, W]`` in 0..1 that draws from the generator it is given; same shape.
Defects = Callable[[Tensor, DegradationOptions, np.random.Generator], Tensor]
_LUMA = torch.tensor(luma_weights("smpte170m"))


@dataclass(frozen=True, slots=True, kw_only=True)
class MediumDefects:
    """What film, tape and codec do: to one picture, or to a clip whose frames hang together."""

    film: Defects
    tape: Defects
    codec: Defects


_ON_STILLS = MediumDefects(
    film=lambda x, options, rng: film.age(x[0], options.film, rng)[None],
    tape=lambda x, options, rng: patches.play(x[0], options.tape, rng)[None],
    codec=lambda x, options, rng: compression.compressed(x[0], options.codec, rng)[None],
)


def second_order(high: Tensor, scale: int, options: DegradationOptions, rng: np.random.Generator) -> Tensor:
    """``[3, H/scale, W/scale]`` uint8 of ``[3, H, W]`` float in 0..1."""
    return second_order_frames(high[None], scale, options, rng, _ON_STILLS)[0]


def second_order_frames(
    high: Tensor, scale: int, options: DegradationOptions, rng: np.random.Generator, defects: MediumDefects
) -> Tensor:
    """``[T, 3, H/scale, W/scale]`` uint8 of ``[T, 3, H, W]`` float in 0..1.

    Blur, sizes, strengths and qualities are drawn once for all frames; noise is new in each of them.
    """
    full, end = (high.shape[2], high.shape[3]), (high.shape[2] // scale, high.shape[3] // scale)
    x = defects.film(high, options, rng)
    x = _blurred(x, options.first, rng)
    x = resized(x, _random_size(full, options.first, rng), rng)
    x = jpeg(noisy(x, options.first, rng), int(rng.integers(options.first.jpeg[0], options.first.jpeg[1] + 1)))
    x = defects.tape(x, options, rng)
    x = _blurred(x, options.second, rng)
    x = resized(x, _random_size(end, options.second, rng), rng)
    x = noisy(x, options.second, rng)
    for step in _final_steps(end, options, rng, defects):
        x = step(x)
    return (x.clamp(0, 1) * 255).round().to(torch.uint8)


def _final_steps(
    end: tuple[int, int], options: DegradationOptions, rng: np.random.Generator, defects: MediumDefects
) -> list[DegradationStep]:
    """Resize with sinc, JPEG, and codec, in random order."""
    quality = int(rng.integers(options.second.jpeg[0], options.second.jpeg[1] + 1))
    ringing = None
    if rng.random() < options.final_sinc_chance:
        ringing = kernels.random_sinc(kernels.random_size(options.second.kernel_size, rng), rng)

    def back(x: Tensor) -> Tensor:
        x = resized(x, end, rng)
        return x if ringing is None else kernels.blur(x, ringing).clamp(0, 1)

    steps: list[DegradationStep] = [back, lambda x: jpeg(x, quality)]
    if rng.random() < options.codec.chance:
        steps.append(lambda x: defects.codec(x, options, rng))
    return [steps[i] for i in rng.permutation(len(steps))]


def _blurred(x: Tensor, options: OrderOptions, rng: np.random.Generator) -> Tensor:
    if rng.random() >= options.blur_chance:
        return x
    return kernels.blur(x, kernels.random_kernel(options, rng)).clamp(0, 1)


def _random_size(full: tuple[int, int], options: OrderOptions, rng: np.random.Generator) -> tuple[int, int]:
    """``full`` times a random scale above, below or at 1; at least 8 px. In the second order, relative to the final
    size."""
    weights = np.array(options.resize_weights)
    way = rng.choice(3, p=weights / weights.sum())
    low, high = options.resize
    scale = (rng.uniform(max(1, low), max(1, high)), rng.uniform(min(1, low), min(1, high)), 1.0)[way]
    return max(8, round(full[0] * scale)), max(8, round(full[1] * scale))


def resized(x: Tensor, size: tuple[int, int], rng: np.random.Generator) -> Tensor:
    """Resize ``[..., 3, H, W]`` by area means, bilinear or bicubic, chosen at random; clipped to 0..1."""
    way = ("area", "bilinear", "bicubic")[int(rng.integers(3))]
    if tuple(x.shape[-2:]) == size:
        return x
    # Without antialiasing, as published: jagged edges are part of what the network must learn.
    corners = None if way == "area" else False
    pictures = x.reshape(-1, *x.shape[-3:])
    return F.interpolate(pictures, size, mode=way, align_corners=corners).reshape(*x.shape[:-2], *size).clamp(0, 1)


def noisy(x: Tensor, options: OrderOptions, rng: np.random.Generator) -> Tensor:
    """Gaussian or Poisson noise, in colour or grey, chosen at random; new in each picture; clipped to 0..1."""
    gauss = rng.random() < options.gaussian_chance
    grey = rng.random() < options.gray_noise_chance
    if gauss:
        return gaussian_noise(x, float(rng.uniform(*options.gaussian)) / 255, grey, rng)
    return poisson_noise(x, float(rng.uniform(*options.poisson)), grey, rng)


def gaussian_noise(x: Tensor, sigma: float, grey: bool, rng: np.random.Generator) -> Tensor:
    """Add normal noise of standard deviation ``sigma`` (of 1) to ``[..., 3, H, W]``."""
    shape = (*x.shape[:-3], 1 if grey else 3, *x.shape[-2:])
    noise = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
    return (x + noise * sigma).clamp(0, 1)


def poisson_noise(x: Tensor, strength: float, grey: bool, rng: np.random.Generator) -> Tensor:
    """Add ``strength`` times Poisson (photon) noise, whose variance grows with brightness, to ``[..., 3, H, W]``.

    White corresponds to as many photons as the next power of two above the picture's number of distinct values.
    """
    if x.dim() > 3:
        return torch.stack([poisson_noise(picture, strength, grey, rng) for picture in x])
    source = torch.tensordot(_LUMA, x, 1)[None] if grey else x
    levels = (source.clamp(0, 1) * 255).round()
    photons = 2.0 ** np.ceil(np.log2(max(2, len(np.unique(levels.numpy())))))
    expected = (levels / 255).double().numpy() * photons
    noise = torch.from_numpy(((rng.poisson(expected) - expected) / photons).astype(np.float32))
    return (x + noise * strength).clamp(0, 1)


def jpeg(x: Tensor, quality: int) -> Tensor:
    """A round trip of ``[..., 3, H, W]`` through JPEG of this quality, 4:2:0, each picture by itself."""
    if x.dim() > 3:
        return torch.stack([jpeg(picture, quality) for picture in x])
    pixels = (x.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=quality, subsampling=2)
    with Image.open(file) as read:
        back = np.array(read)
    return torch.from_numpy(back).permute(2, 0, 1).float() / 255
