"""Marks on the film: scratches that run along it over many frames, and dirt that one frame has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vidsr.frames import Floats
from vidsr.training.degradation.film import dusty
from vidsr.training.degradation.old_film.options import OldFilmOptions

#: Bounds of the drift, px a frame; of the waver, px; and of its period, frames.
_DRIFT, _WAVER, _PERIOD = 0.25, (0.3, 1.5), (4, 30)
#: Share of the scratches that are bright (scratches of the negative are dark on the print).
_BRIGHT = 0.6
#: Bounds of a hair's length, px; of its bend, as a share of the length; and of the deviation of its soft edges, px.
_HAIR_LENGTH, _HAIR_BEND, _HAIR_THICK = (10.0, 45.0), (0.0, 0.4), (0.6, 1.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchLine:
    """One scratch. Its path and depth are functions of the place along the film, in frames: a frame's lower edge is
    where the next frame begins.

    ``first`` and ``last`` are frames, with fractions; ``middle`` and ``width`` px; ``tone`` is the brightness it has.
    """

    first: float
    last: float
    middle: float
    width: float
    tone: float
    drift: float
    waver: tuple[float, float, float]
    depth: tuple[float, float, float, float]

    @classmethod
    def drawn(cls, frames: int, width: int, options: OldFilmOptions, rng: np.random.Generator) -> ScratchLine:
        """A scratch somewhere in a clip of ``frames`` frames of ``width`` px."""
        lasts = rng.uniform(min(options.scratch_frames, frames), max(frames, options.scratch_frames))
        first = rng.uniform(-0.2, max(0.0, frames - lasts))
        low, high = sorted(rng.uniform(*options.scratch_depth, size=2))
        return cls(
            first=first,
            last=first + lasts,
            middle=rng.uniform(0.06, 0.94) * width,
            width=rng.uniform(*options.scratch_width),
            tone=float(rng.uniform(0.85, 1) if rng.random() < _BRIGHT else rng.uniform(0, 0.15)),
            drift=rng.uniform(-_DRIFT, _DRIFT),
            waver=(rng.uniform(*_WAVER), rng.uniform(*_PERIOD), rng.uniform(0, 2 * np.pi)),
            depth=(low, high, rng.uniform(1, 8), rng.uniform(0, 2 * np.pi)),
        )

    def cover(self, number: int, shape: tuple[int, int], offset: tuple[float, float]) -> Floats:
        """How much of frame ``number`` it covers, ``[H, W]`` 0 to 1, the picture being moved by ``offset`` (x, y)."""
        height, width = shape
        along = number + (np.arange(height) - offset[1]) / height
        reach, period, phase = self.waver
        path = self.middle + self.drift * (along - self.first) + offset[0]
        path = path + reach * np.sin(2 * np.pi * along / period + phase)
        low, high, length, start = self.depth
        depth = low + (high - low) * (0.5 + 0.5 * np.sin(2 * np.pi * along / length + start))
        depth = np.where((along >= self.first) & (along <= self.last), depth, 0)
        away = np.abs(np.arange(width)[None] - path[:, None])
        return np.asarray(np.clip(self.width / 2 + 0.5 - away, 0, 1) * depth[:, None], np.float32)


def dirty(frame: Floats, density: float, rng: np.random.Generator, radius: tuple[float, float]) -> Floats:
    """``frame`` ``[H, W, 3]`` with ``density`` specks of ``radius`` px per 128×128 px on average."""
    picture = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)
    specks = dusty(picture, _drawn_count(frame, density, rng), rng, radius)
    return np.asarray(specks.permute(1, 2, 0).numpy(), np.float32)


def hairy(frame: Floats, density: float, rng: np.random.Generator) -> Floats:
    """``frame`` ``[H, W, 3]`` with ``density`` hairs per 128×128 px on average: curved lines with soft edges."""
    height, width = frame.shape[:2]
    picture = np.array(frame, np.float32)
    for _ in range(_drawn_count(frame, density, rng)):
        length, bend, angle = rng.uniform(*_HAIR_LENGTH), rng.uniform(*_HAIR_BEND), rng.uniform(0, np.pi)
        middle, thick = rng.uniform((0, 0), (height, width)), rng.uniform(*_HAIR_THICK)
        depth = rng.uniform(0.5, 1)
        tone = float(rng.uniform(0.8, 1) if rng.random() < 0.5 else rng.uniform(0, 0.2))
        along = np.linspace(-0.5, 0.5, int(2 * length) + 1)
        straight, aside = along * length, bend * length * (4 * along**2 - 1)
        y = middle[0] + straight * np.sin(angle) + aside * np.cos(angle)
        x = middle[1] + straight * np.cos(angle) - aside * np.sin(angle)
        top, left = (max(0, int(p.min() - 4 * thick)) for p in (y, x))
        part = picture[top : int(y.max() + 4 * thick) + 2, left : int(x.max() + 4 * thick) + 2]
        if not part.size:
            continue
        rows, columns = np.arange(part.shape[0]) + top, np.arange(part.shape[1]) + left
        squares = (rows[:, None, None] - y) ** 2 + (columns[None, :, None] - x) ** 2
        cover = depth * np.exp(-squares.min(2) / (2 * thick**2)).astype(np.float32)
        part += (tone - part) * cover[..., None]
    return picture


def _drawn_count(frame: Floats, density: float, rng: np.random.Generator) -> int:
    return int(rng.poisson(density * frame.shape[0] * frame.shape[1] / 128**2))
