"""A sheet of examples: patches or clips of a dataset before and after degradation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor

from vidsr.frames import Rgb8
from vidsr.training.dataset.clips.clip_loader import Clips
from vidsr.training.dataset.clips.clip_store import ClipStore, holds_clips
from vidsr.training.dataset.image_files import write_png
from vidsr.training.dataset.loader import Draw, Patches
from vidsr.training.dataset.patch_store import PatchStore
from vidsr.training.options import TrainOptions

GAP = 4
#: Frames of each clip that are shown.
_SHOWN = 4


def fitted(options: TrainOptions, dataset: Path) -> TrainOptions:
    """Options whose patches are no larger than the dataset's, and whose clips are as long as its clips.

    Raises:
        InputError: the dataset cannot be read.
    """
    index = ClipStore(dataset).index if holds_clips(dataset) else PatchStore(dataset).index
    data = options.data
    if index.patch < data.patch:
        data = replace(data, patch=index.patch // 16 * 16)
    return replace(options, data=replace(data, frames=getattr(index, "length", 1)))


def write_sheet(dataset: Path, out: Path, options: TrainOptions, rows: int) -> None:
    """Write a PNG with two pairs per row: an original patch, and its low-resolution picture, enlarged by repeating
    pixels. Of clips, a row is one clip: frames from its first to its last, above the same ones degraded.

    They are the examples that the first steps of the gan stage would see (of the psnr stage, if there is no other).

    Raises:
        InputError: the dataset cannot be read.
        TrainingError: its patches or clips do not fit the options.
    """
    stage = "gan" if options.gan.steps else "psnr"
    draw = Draw(seed=options.run.seed, stage=stage, scale=options.generator.scale)
    if holds_clips(dataset):
        clips = Clips(ClipStore(dataset), options.data, options.degradation, draw)
        lines = [_clip_row(*clips[divmod(row, options.data.batch)], options) for row in range(rows)]
    else:
        patches = Patches(PatchStore(dataset), options.data, options.degradation, draw)
        lines = [
            np.concatenate([_pair(patches, row * 2 + i, options) for i in range(2)], axis=1) for row in range(rows)
        ]
    write_png(out, np.concatenate(lines, axis=0))


def _pair(patches: Patches, number: int, options: TrainOptions) -> Rgb8:
    low, high = patches[divmod(number, options.data.batch)]
    return np.concatenate([_tile(high, 1), _tile(low, options.generator.scale)], axis=1)


def _clip_row(low: Tensor, high: Tensor, options: TrainOptions) -> Rgb8:
    shown = np.linspace(0, len(high) - 1, min(_SHOWN, len(high))).round().astype(int).tolist()
    above = np.concatenate([_tile(high[n], 1) for n in shown], axis=1)
    below = np.concatenate([_tile(low[n], options.generator.scale) for n in shown], axis=1)
    return np.concatenate([above, below], axis=0)


def _tile(picture: Tensor, times: int) -> Rgb8:
    """``[3, H, W]`` enlarged by repeating pixels, with a gap to its right and below."""
    grown = picture.repeat_interleave(times, 1).repeat_interleave(times, 2)
    return np.pad(grown.permute(1, 2, 0).numpy(), ((0, GAP), (0, GAP), (0, 0)))
