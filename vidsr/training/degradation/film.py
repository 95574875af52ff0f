"""Defects of aged film on single pictures: grain, dust, scratches, faded dyes, uneven light.

Whole clips, whose faults hang together in time, are aged by :mod:`vidsr.training.degradation.old_film.simulator`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from vidsr.frames import Floats
from vidsr.training.degradation.kernels import KernelShape, blur, gaussian
from vidsr.training.degradation.old_film import light
from vidsr.training.degradation.old_film.options import OldFilmOptions
from vidsr.training.degradation.options import FilmOptions


def age(x: Tensor, options: FilmOptions, rng: np.random.Generator) -> Tensor:
    """``[3, H, W]`` in 0..1 as from an old print; each defect with its own probability."""
    if rng.random() < options.grain_chance:
        x = grainy(x, float(rng.uniform(*options.grain)) / 255, rng)
    if rng.random() < options.dust_chance:
        specks = rng.poisson(rng.uniform(*options.dust) * x.shape[1] * x.shape[2] / 128**2)
        x = dusty(x, int(specks), rng)
    if rng.random() < options.scratch_chance:
        x = scratched(x, int(rng.integers(options.scratches[0], options.scratches[1] + 1)), rng)
    # Drawn only where it is asked for, so that runs of older options see the same pictures as before.
    if options.fade_chance and rng.random() < options.fade_chance:
        lost = rng.uniform(*options.fade, size=3)
        x = _picture(light.faded(_array(x), (float(lost[0]), float(lost[1]), float(lost[2]))))
    if options.breathing_chance and rng.random() < options.breathing_chance:
        breathing = OldFilmOptions(breathing=float(rng.uniform(*options.breathing)))
        gain = light.Breathing(1, breathing, rng).gain(0, (x.shape[1], x.shape[2]))
        x = (x * _picture(gain)).clamp(0, 1)
    return x


def _array(x: Tensor) -> Floats:
    return np.asarray(x.permute(1, 2, 0).numpy(), np.float32)


def _picture(values: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).permute(2, 0, 1)


def grainy(x: Tensor, sigma: float, rng: np.random.Generator) -> Tensor:
    """Noise of about 1.5 px, the same in all colours, strongest in the mid-tones: ``sigma``·√(4 y (1 − y))."""
    noise = torch.from_numpy(rng.standard_normal((1, *x.shape[1:]), dtype=np.float32))
    noise = blur(noise, gaussian(7, KernelShape(sigma_x=0.8, sigma_y=0.8)))
    noise = noise / noise.std().clamp_min(1e-6)
    luma = x.mean(0, keepdim=True).clamp(0, 1)
    return (x + noise * sigma * (4 * luma * (1 - luma)).sqrt()).clamp(0, 1)


def dusty(x: Tensor, specks: int, rng: np.random.Generator, radius: tuple[float, float] = (0.5, 3.0)) -> Tensor:
    """``specks`` ragged spots of ``radius`` px, bright (dust on a negative) or dark (on a print)."""
    height, width = x.shape[1:]
    cover, tone = torch.zeros(height, width), torch.zeros(height, width)
    rows, columns = torch.arange(height, dtype=torch.float32), torch.arange(width, dtype=torch.float32)
    for _ in range(specks):
        top, left = rng.uniform(0, height), rng.uniform(0, width)
        long, flat, angle = rng.uniform(*radius), rng.uniform(0.3, 1), rng.uniform(0, math.pi)
        lobes, phase = int(rng.integers(2, 6)), rng.uniform(0, 2 * math.pi)
        y, x_ = rows[:, None] - top, columns[None, :] - left
        along = x_ * math.cos(angle) + y * math.sin(angle)
        across = (y * math.cos(angle) - x_ * math.sin(angle)) / flat
        edge = long * (1 + 0.35 * torch.sin(lobes * torch.atan2(across, along) + phase))
        spot = (edge - torch.hypot(along, across) + 0.5).clamp(0, 1) * float(rng.uniform(0.5, 1))
        value = float(rng.uniform(0.8, 1) if rng.random() < 0.5 else rng.uniform(0, 0.2))
        tone = torch.where(spot > cover, value, tone)
        cover = torch.maximum(cover, spot)
    return x + (tone - x) * cover


def scratched(x: Tensor, scratches: int, rng: np.random.Generator) -> Tensor:
    """``scratches`` thin, slightly slanting and wavering lines along the film, bright or dark."""
    height, width = x.shape[1:]
    rows, columns = torch.arange(height, dtype=torch.float32), torch.arange(width, dtype=torch.float32)
    for _ in range(scratches):
        start, slant = rng.uniform(0, width), rng.uniform(-0.03, 0.03)
        waver, period = rng.uniform(0, 0.7), rng.uniform(20, 120)
        path = start + slant * rows + waver * torch.sin(2 * math.pi * rows / period + rng.uniform(0, 2 * math.pi))
        half = float(rng.uniform(0.2, 1.0))
        depth = float(rng.uniform(0.3, 0.9))
        first, last = sorted(rng.uniform(-0.3, 1.3, size=2) * height)
        there = ((rows >= first) & (rows <= last)).float() * depth
        cover = (half + 0.5 - (columns[None, :] - path[:, None]).abs()).clamp(0, 1) * there[:, None]
        value = float(rng.uniform(0.85, 1) if rng.random() < 0.6 else rng.uniform(0, 0.15))
        x = x + (value - x) * cover
    return x
