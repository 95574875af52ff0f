"""Pictures to train on, and the command line of a training run."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from vidsr.option_toml import to_toml
from vidsr.training.options import TrainOptions


def textured(seed: int, height: int = 48, width: int = 48) -> np.ndarray:
    """A picture with edges and texture, [H, W, 3] uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 24
    a, b, c = rng.uniform(1, 6, 3)
    base = 0.5 + 0.25 * np.sin(a * x + b * y) + 0.15 * np.sign(np.sin(c * y - a * x))
    colours = np.stack([base, np.roll(base, 3, 0), np.roll(base, 5, 1)], -1) + rng.normal(0, 0.03, (height, width, 3))
    return (colours.clip(0, 1) * 255).round().astype(np.uint8)


def train_command(options: TrainOptions, folder: Path, word: str, *before: str) -> list[str]:
    """``vidsr train run`` or ``resume`` (``word``) with options written into ``folder``; ``before`` is a launcher."""
    file = folder / "options.toml"
    file.write_text(to_toml(options))
    return [sys.executable, *before, "-m", "vidsr", "train", word, str(file)]
