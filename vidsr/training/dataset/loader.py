"""The patches of each training step: random, but reproducible.

Every patch is a function of (seed, stage, step, position in the step) alone. So a resumed run sees what the
uninterrupted one saw, and two processes with a batch of 8 see what one sees with a batch of 16.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from vidsr.errors import TrainingError
from vidsr.frames import Rgb8
from vidsr.training.dataset.patch_store import PatchStore
from vidsr.training.degradation.degrade import degrade
from vidsr.training.degradation.options import DegradationOptions
from vidsr.training.losses import sharpened
from vidsr.training.options import DataOptions

Key = tuple[int, int]
STAGES = ("psnr", "gan")


def generator_for(seed: int, stage: str, step: int, place: int) -> np.random.Generator:
    """The random numbers of one patch; independent of those of every other patch."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, STAGES.index(stage), step, place))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Parameters of the draw: the seed, the stage, the scale; ``sharpen`` sharpens pictures before degrading them."""

    seed: int
    stage: str
    scale: int
    sharpen: bool = False


class Patches(Dataset[tuple[Tensor, Tensor]]):
    """``patches[step, place]`` is (low ``[3, p/s, p/s]``, high ``[3, p, p]``), uint8 RGB.

    Raises:
        TrainingError: clips are asked for; or the dataset's patches are too small, or its pairs are missing or of
            another scale.
    """

    def __init__(self, store: PatchStore, data: DataOptions, degradation: DegradationOptions, draw: Draw) -> None:
        self._store, self._data, self._degradation, self._draw = store, data, degradation, draw
        paired = degradation.recipe == "paired"
        if paired and store.index.scale != draw.scale:
            has = f"pairs of scale {store.index.scale}" if store.index.scale else "no pairs"
            raise TrainingError(f"{store.folder}: has {has}, [generator] scale is {draw.scale}")
        if data.frames > 1:
            raise TrainingError(
                f"{store.folder}: holds patches of stills, [data] frames = {data.frames} needs clips: make them with "
                "`vidsr dataset make --clips`, or set frames = 1"
            )
        if store.index.patch < data.patch:
            raise TrainingError(
                f"{store.folder}: its patches are {store.index.patch} px, [data] patch = {data.patch} needs larger ones"
            )
        self._margin = 0 if paired else min(data.margin, (store.index.patch - data.patch) // 2)
        self._margin -= self._margin % draw.scale

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        rng = generator_for(self._draw.seed, self._draw.stage, *key)
        high, low = self._store[int(rng.integers(len(self._store)))]
        scale, margin = self._draw.scale, self._margin
        side = self._data.patch + 2 * margin
        paired = low is not None and self._degradation.recipe == "paired"
        grid = scale if paired else 1
        top, left = (int(rng.integers((high.shape[0] - side) // grid + 1)) * grid for _ in range(2))
        turns = rng.integers(2, size=3) * (self._data.flip, self._data.turn, self._data.turn)
        high_patch = _oriented(high[top : top + side, left : left + side], turns)
        if low is not None and paired:
            end = ((top + side) // scale, (left + side) // scale)
            return _oriented(low[top // scale : end[0], left // scale : end[1]], turns), high_patch
        source = _sharpened(high_patch) if self._draw.sharpen else high_patch
        low_patch = degrade(source, scale, self._degradation, rng)
        inner, m = self._data.patch, margin // scale
        cut = slice(m, m + inner // scale)
        return low_patch[:, cut, cut], high_patch[:, margin : margin + inner, margin : margin + inner]

    def __getitems__(self, keys: list[Key]) -> list[tuple[Tensor, Tensor]]:
        return [self[key] for key in keys]


def _oriented(picture: Rgb8, turns: npt.NDArray[Any]) -> Tensor:
    """``[3, H, W]`` of a square ``[H, W, 3]``: mirrored across, mirrored down, transposed, where ``turns`` is not 0."""
    picture = picture[:, ::-1] if turns[0] else picture
    picture = picture[::-1] if turns[1] else picture
    return torch.from_numpy(np.array(picture.transpose((2, 1, 0) if turns[2] else (2, 0, 1))))


def _sharpened(picture: Tensor) -> Tensor:
    return (sharpened(picture[None].float() / 255)[0] * 255).round().to(torch.uint8)


class _Steps(Sampler[list[Key]]):
    """The keys of every batch: for each step its micro-batches, from each the part of this rank."""

    def __init__(self, start: int, stop: int, data: DataOptions, rank: int, ranks: int) -> None:
        self._range, self._data, self._rank, self._ranks = range(start, stop), data, rank, ranks

    def __iter__(self) -> Iterator[list[Key]]:
        batch = self._data.batch
        for step in self._range:
            for micro in range(self._data.accumulate):
                first = (micro * self._ranks + self._rank) * batch
                yield [(step, first + i) for i in range(batch)]

    def __len__(self) -> int:
        return len(self._range) * self._data.accumulate


@dataclass(frozen=True, slots=True, kw_only=True)
class StepShare:
    """A range of steps, and the rank of this process among ``ranks`` processes."""

    start: int
    stop: int
    rank: int = 0
    ranks: int = 1


def batches(
    examples: Dataset[tuple[Tensor, Tensor]], data: DataOptions, part: StepShare
) -> Iterator[tuple[Tensor, Tensor]]:
    """Micro-batches (low, high) uint8, in the order of the steps.

    Args:
        examples: :class:`Patches` (batches ``[B, 3, p/s, p/s]`` and ``[B, 3, p, p]``) or
            :class:`vidsr.training.dataset.clips.clip_loader.Clips` (``[B, T, 3, …]``).
        data: sizes of batches, and how many processes load them.
        part: which steps, and whose part of them.
    """
    loader = DataLoader(
        examples,
        batch_sampler=_Steps(part.start, part.stop, data, part.rank, part.ranks),
        num_workers=data.workers,
        prefetch_factor=4 if data.workers else None,
        multiprocessing_context="spawn" if data.workers else None,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # a generator of its own, so that loading does not change the global random state
    )
    with _deaf_to_ctrl_c():
        running = iter(loader)
    yield from running


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes started in this block ignore Ctrl-C, which a terminal sends to all: the loop stops them itself.

    It first finishes its step, for which it needs them.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Its start would let Ctrl-C through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
