"""A sheet of examples: patches of a dataset before and after degradation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vidsr.frames import Rgb8
from vidsr.training.dataset.image_files import write_png
from vidsr.training.dataset.loader import Draw, Patches
from vidsr.training.dataset.patch_store import PatchStore
from vidsr.training.options import TrainOptions

GAP = 4


def write_sheet(dataset: Path, out: Path, options: TrainOptions, rows: int) -> None:
    """Write a PNG with two pairs per row: an original patch, and its low-resolution picture, enlarged by repeating
    pixels.

    They are the patches that the first steps of the gan stage would see (of the psnr stage, if there is no other).

    Raises:
        InputError: the dataset cannot be read.
        TrainingError: its patches do not fit the options.
    """
    stage = "gan" if options.gan.steps else "psnr"
    draw = Draw(seed=options.run.seed, stage=stage, scale=options.generator.scale)
    patches = Patches(PatchStore(dataset), options.data, options.degradation, draw)
    lines = [np.concatenate([_pair(patches, row * 2 + i, options) for i in range(2)], axis=1) for row in range(rows)]
    write_png(out, np.concatenate(lines, axis=0))


def _pair(patches: Patches, number: int, options: TrainOptions) -> Rgb8:
    low, high = patches[divmod(number, options.data.batch)]
    scale = options.generator.scale
    grown = low.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    both = [np.pad(p.permute(1, 2, 0).numpy(), ((0, GAP), (0, GAP), (0, 0))) for p in (high, grown)]
    return np.concatenate(both, axis=1)
