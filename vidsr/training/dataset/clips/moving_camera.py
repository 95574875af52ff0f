"""Clips of single pictures, as a camera that pans, zooms, turns and shakes would film them.

In half of them, something in front moves on its own: an oval with another part of the same picture, so that the
background is covered and uncovered. Everything is drawn from a seed: the same seed gives the same clip.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.frames import Rgb8, luma_weights
from vidsr.training.dataset.clips.clip_motion import BINS
from vidsr.training.dataset.clips.clip_selection import ClipPlace, look_of
from vidsr.training.dataset.clips.clip_store import Clip8
from vidsr.training.dataset.make import detail_of, patch_starts
from vidsr.training.dataset.selection import sharpness_of

#: A picture with so many times the side of a clip is filmed from twice as far.
_FAR = 2.25
#: Standard deviations of the zoom's and the turn's (degrees) first value and of their change over the clip.
_ZOOM, _TURN = 0.03, 1.5
#: Mean of the shake's RMS, px.
_SHAKE = 0.3
#: How far a clip may reach beyond the picture, px for each frame.
_BEYOND = 0.5
#: Share of the clips in which something moves in front, and the range of its half-axes as shares of the clip's side.
_IN_FRONT, _AXES = 0.5, (0.1, 0.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureParts:
    """Parts of a picture that may become clips, and how many are too ``flat`` for that."""

    places: list[ClipPlace]
    flat: int


def parts_of(picture: Rgb8, side: int, length: int, least_detail: float) -> PictureParts:
    """Squares of ``side`` px that cover ``[H, W, 3]`` uint8; ``least_detail`` is the mean difference to the next pixel,
    0 to 255, that they must have."""
    height, width = picture.shape[:2]
    places, flat = list[ClipPlace](), 0
    for top in patch_starts(height, side, 1):
        for left in patch_starts(width, side, 1):
            part = picture[top : top + side, left : left + side]
            if detail_of(part) < least_detail:
                flat += 1
                continue
            luma = part.astype(np.float32) @ np.array(luma_weights("smpte170m"), np.float32)
            places.append(
                ClipPlace(
                    frames=list(range(length)),
                    left=left,
                    top=top,
                    scene=0,
                    sharpness=round(sharpness_of(luma), 5),
                    motion=0.0,
                    look=look_of(luma),
                )
            )
    return PictureParts(places=places, flat=flat)


def film(picture: Rgb8, left: int, top: int, side: int, length: int, seed: list[int]) -> Clip8:
    """``[length, side, side, 3]`` uint8 around the square of ``side`` px at ``left``, ``top`` of ``[H, W, 3]`` uint8.

    The camera's speed is drawn evenly from the bins of motion, as far as the picture has room for it; where a clip
    reaches beyond the picture, it shows the picture mirrored.
    """
    rng = np.random.default_rng(seed)
    height, width = picture.shape[:2]
    step = 2 if min(height, width) >= _FAR * side else 1
    moment = np.arange(length) - (length - 1) / 2
    zooms = step * np.exp(rng.normal(0, _ZOOM) + rng.normal(0, _ZOOM) * moment / length)
    turns = np.radians(rng.normal(0, _TURN) + rng.normal(0, _TURN) * moment / length)
    speed, way = _speed(rng), rng.uniform(0, 2 * math.pi)
    path = speed * step * moment[:, None] * np.array([math.cos(way), math.sin(way)])
    path += rng.normal(0, rng.exponential(_SHAKE) * step, path.shape)
    # Far pans get shorter in a small picture, and begin where there is room.
    room = np.maximum(0, np.array([width, height]) - side * step) + _BEYOND * length
    path *= np.minimum(1, room / np.maximum(np.ptp(path, axis=0), 1e-9)).min()
    half = side * step / 2
    least, most = half - path.min(0), np.array([width, height]) - half - path.max(0)
    centre = np.where(least <= most, np.clip([left + side / 2, top + side / 2], least, most), (least + most) / 2)
    front = _Front.drawn(rng, side, (height, width)) if rng.random() < _IN_FRONT else None

    source = torch.tensor(picture).permute(2, 0, 1)[None].float()
    frames = []
    for n in range(length):
        place = _seen(side, step, centre + path[n], float(zooms[n]), float(turns[n]))
        frame = _sampled(source, place, step)
        if front is not None:
            frame = front.before(frame, source, float(moment[n]))
        frames.append(frame.clamp(0, 255).round().to(torch.uint8)[0].permute(1, 2, 0))
    return torch.stack(frames).numpy()


def _speed(rng: np.random.Generator) -> float:
    """Px a frame; the last bin, which has no end, reaches to one and a half times its beginning."""
    ends = [*BINS[1:], 1.5 * BINS[-1]]
    number = int(rng.integers(len(BINS)))
    return float(rng.uniform(BINS[number], ends[number]))


class _Front:
    """An oval that moves by ``velocity``, px a frame, through the middle ``moment`` of a clip at ``middle``; it shows
    the picture around ``shown``."""

    def __init__(self, side: int, middle: Tensor, axes: Tensor, velocity: Tensor, shown: Tensor) -> None:
        self._side, self._middle, self._axes, self._velocity, self._shown = side, middle, axes, velocity, shown

    @classmethod
    def drawn(cls, rng: np.random.Generator, side: int, size: tuple[int, int]) -> _Front:
        """A random one for clips of ``side`` px, of a picture of ``size`` (rows, columns)."""
        speed, way = _speed(rng), rng.uniform(0, 2 * math.pi)
        return cls(
            side,
            torch.tensor(rng.uniform(0.2, 0.8, 2) * side),
            torch.tensor(rng.uniform(*_AXES, 2) * side),
            torch.tensor([speed * math.cos(way), speed * math.sin(way)]),
            torch.tensor(rng.uniform(0.2, 0.8, 2) * np.array([size[1], size[0]])),
        )

    def before(self, frame: Tensor, source: Tensor, moment: float) -> Tensor:
        """``frame`` ``[1, 3, side, side]`` with the oval in front, its edge a pixel wide."""
        away = _grid(self._side) - (self._middle + self._velocity * moment)
        distance = (away / self._axes).square().sum(-1).sqrt()
        cover = ((1 - distance) * self._axes.mean() + 0.5).clamp(0, 1).float()
        return torch.lerp(frame, _sampled(source, away + self._shown, 1), cover)


def _grid(side: int) -> Tensor:
    """Centres of the pixels, ``[side, side, 2]`` (x, y), px."""
    at = torch.arange(side, dtype=torch.float64) + 0.5
    return torch.stack(torch.meshgrid(at, at, indexing="xy"), -1)


def _seen(side: int, step: int, centre: npt.NDArray[np.float64], zoom: float, turn: float) -> Tensor:
    """Where in the picture the camera sees each of ``side·step`` × ``side·step`` samples: (x, y), px."""
    away = (_grid(side * step) / step - side / 2) * zoom
    cos, sin = math.cos(turn), math.sin(turn)
    x, y = away.unbind(-1)
    return torch.stack((cos * x - sin * y, sin * x + cos * y), -1) + torch.as_tensor(centre)


def _sampled(source: Tensor, place: Tensor, step: int) -> Tensor:
    """``[1, 3, h, w]`` of ``source`` ``[1, 3, H, W]`` at ``place`` ``[h·step, w·step, 2]``, cubically; ``step`` samples
    in each direction are averaged."""
    size = torch.tensor([source.shape[3], source.shape[2]])
    grid = (place / size * 2 - 1).float()[None]
    sampled = F.grid_sample(source, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
    return F.avg_pool2d(sampled, step) if step > 1 else sampled
