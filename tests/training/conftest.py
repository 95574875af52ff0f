"""A small dataset and options that train in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.training import textured
from vidsr.options.schema import from_data
from vidsr.training.dataset.patch_store import PatchWriter
from vidsr.training.options import TrainOptions


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of 12 patches of 48 px."""
    folder = tmp_path_factory.mktemp("data") / "set"
    with PatchWriter(folder, 48) as writer:
        for seed in range(12):
            writer.add(textured(seed))
    return folder


@pytest.fixture(scope="session")
def validation_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures to measure on."""
    folder = tmp_path_factory.mktemp("validation")
    for seed in (100, 101):
        Image.fromarray(textured(seed, 64, 80)).save(folder / f"{seed}.png")
    return folder


@pytest.fixture
def small_options(small_dataset: Path, tmp_path: Path) -> Callable[..., TrainOptions]:
    """``small_options(psnr={"steps": 5})``: options of a tiny run, tables overridden by name."""

    def make(**tables: dict[str, Any]) -> TrainOptions:
        data: dict[str, dict[str, Any]] = {
            "run": {
                "folder": str(tmp_path / "run"),
                "device": "cpu",
                "threads": 1,
                "log_every": 2,
                "validate_every": 10,
                "checkpoint_every": 10,
                "tensorboard": False,
            },
            "data": {"dataset": str(small_dataset), "patch": 32, "margin": 8, "batch": 2, "workers": 0},
            "generator": {"num_feat": 8, "num_block": 1, "num_grow_ch": 4},
            "psnr": {"steps": 4},
            "gan": {
                "steps": 0,
                "discriminator": "unet",
                "discriminator_feat": 4,
                "perceptual_weight": 0.0,
                "milestones": [],
            },
        }
        for name, values in tables.items():
            data.setdefault(name, {}).update(values)
        return from_data(data, TrainOptions)

    return make
