"""The clips of each training step: random, but functions of (seed, stage, step, position in the step) alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from vidsr.errors import TrainingError
from vidsr.training.dataset.clips.clip_store import ClipStore
from vidsr.training.dataset.loader import Draw, Key, generator_for
from vidsr.training.degradation.options import DegradationOptions
from vidsr.training.degradation.over_time import degrade_clip, shake_path
from vidsr.training.losses import sharpened
from vidsr.training.options import DataOptions


class Clips(Dataset[tuple[Tensor, Tensor]]):
    """``clips[step, place]`` is (low ``[T, 3, p/s, p/s]``, high ``[T, 3, p, p]``), uint8 RGB, T = ``data.frames``.

    :func:`vidsr.training.dataset.loader.batches` makes batches ``[B, T, 3, …]`` of them, as of patches.

    Raises:
        TrainingError: the dataset's clips are too short or too small, or the recipe is ``paired``.
    """

    def __init__(self, store: ClipStore, data: DataOptions, degradation: DegradationOptions, draw: Draw) -> None:
        self._store, self._data, self._degradation, self._draw = store, data, degradation, draw
        index = store.index
        if degradation.recipe == "paired":
            raise TrainingError('[degradation] recipe = "paired": clips have no twins; use bicubic or second_order')
        if index.length < data.frames:
            raise TrainingError(
                f"{store.folder}: its clips have {index.length} frames, [data] frames = {data.frames} needs longer ones"
            )
        if index.patch < data.patch:
            raise TrainingError(
                f"{store.folder}: its clips are {index.patch} px, [data] patch = {data.patch} needs larger ones"
            )
        margin = min(data.margin, (index.patch - data.patch) // 2)
        self._margin = margin - margin % draw.scale

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        rng = generator_for(self._draw.seed, self._draw.stage, *key)
        high = self._cut(rng)
        turns = rng.integers(2, size=3) * (self._data.flip, self._data.turn, self._data.turn)
        axes = (0, 3, 2, 1) if turns[2] else (0, 3, 1, 2)
        high = high[:, :: -1 if turns[1] else 1, :: -1 if turns[0] else 1].transpose(axes)
        original = torch.from_numpy(np.ascontiguousarray(high))
        source = _sharpened(original) if self._draw.sharpen else original
        low = degrade_clip(source, self._draw.scale, self._degradation, rng)
        side, margin, scale = self._data.patch, self._margin, self._draw.scale
        wide, small = slice(margin, margin + side), slice(margin // scale, (margin + side) // scale)
        return low[..., small, small].contiguous(), original[..., wide, wide].contiguous()

    def _cut(self, rng: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        """``[T, side, side, 3]`` of a random clip: at a random time and place, which a shaken camera moves."""
        clip = self._store[int(rng.integers(len(self._store)))]
        frames, side = self._data.frames, self._data.patch + 2 * self._margin
        first = int(rng.integers(len(clip) - frames + 1))
        slack = clip.shape[1] - side
        path = shake_path(frames, self._degradation.over_time, slack, rng)
        corners = path + rng.integers(0, slack - path.max(0) + 1)
        views = [
            frame[top : top + side, left : left + side]
            for frame, (top, left) in zip(clip[first : first + frames], corners, strict=True)
        ]
        return np.stack(views)

    def __getitems__(self, keys: list[Key]) -> list[tuple[Tensor, Tensor]]:
        return [self[key] for key in keys]


def _sharpened(clip: Tensor) -> Tensor:
    return (sharpened(clip.float() / 255) * 255).round().to(torch.uint8)
