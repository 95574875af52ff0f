"""Clips are functions of seed, stage, step and position, and show the same place in both sizes."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.training import write_clips
from vidsr.cli.main import run
from vidsr.errors import InputError, TrainingError
from vidsr.options.toml import read_toml
from vidsr.quality.bicubic import resize_bicubic_uint8
from vidsr.training.dataset.clips.clip_loader import Clips
from vidsr.training.dataset.clips.clip_store import ClipStore, holds_clips
from vidsr.training.dataset.loader import Draw, StepShare, batches
from vidsr.training.dataset.patch_store import PatchStore
from vidsr.training.degradation.options import (
    CodecOptions,
    DegradationOptions,
    FilmOptions,
    OverTimeOptions,
    TapeOptions,
)
from vidsr.training.options import DataOptions, TrainOptions

#: Every defect there is.
EVERYTHING = DegradationOptions(
    recipe="second_order",
    codec=CodecOptions(chance=1.0, presets=("superfast",)),
    tape=TapeOptions(
        interlace_chance=0.5, bleed_chance=0.5, noise_chance=0.5, jitter_chance=0.5, composite_chance=0.3,
        ringing_chance=0.5, dropout_chance=0.5,
    ),
    film=FilmOptions(dust_chance=0.5, scratch_chance=0.5, grain_chance=0.5, fade_chance=0.5, breathing_chance=0.5),
    over_time=OverTimeOptions(shake_chance=0.7, flicker_chance=0.5, tracking_chance=0.5),
)  # fmt: skip
DATA = DataOptions(frames=5, patch=32, margin=8, batch=2, workers=0)
SHAKEN = DegradationOptions(over_time=OverTimeOptions(shake_chance=1, shake=(2, 4)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips") / "set", 4, 7, 64)


@pytest.fixture(scope="module")
def clips(folder: Path) -> Callable[..., Clips]:
    def make(degradation: DegradationOptions = EVERYTHING, data: DataOptions = DATA, seed: int = 0) -> Clips:
        return Clips(ClipStore(folder), data, degradation, Draw(seed=seed, stage="psnr", scale=4))

    return make


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), step=st.integers(0, 2**40), place=st.integers(0, 4095))
def test_a_clip_is_a_function_of_its_position(clips: Callable[..., Clips], seed: int, step: int, place: int) -> None:
    """Bit for bit, whatever was drawn before, with another store, and with another number of threads."""
    low, high = clips(seed=seed)[step, place]
    assert low.shape == (5, 3, 8, 8) and high.shape == (5, 3, 32, 32)
    assert low.dtype == high.dtype == torch.uint8
    other = clips(seed=seed)
    _ = other[step + 1, place]
    threads = torch.get_num_threads()
    torch.set_num_threads(3 - min(threads, 2))
    try:
        again = other[step, place]
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(low, again[0]) and torch.equal(high, again[1])
    assert not torch.equal(low, clips(seed=seed)[step, place + 1][0])


@pytest.mark.long
def test_processes_that_load_give_the_same_batches(clips: Callable[..., Clips]) -> None:
    data, part = replace(DATA, workers=2), StepShare(start=3, stop=6)
    here = list(batches(clips(), DATA, part))
    there = list(batches(clips(), data, part))
    assert here[0][0].shape == (2, 5, 3, 8, 8) and here[0][1].shape == (2, 5, 3, 32, 32)
    for one, other in zip(here, there, strict=True):
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])


def test_two_ranks_share_a_step(clips: Callable[..., Clips]) -> None:
    plain = clips(DegradationOptions())
    whole = next(batches(plain, replace(DATA, batch=4), StepShare(start=0, stop=1)))
    halves = [next(batches(plain, DATA, StepShare(start=0, stop=1, rank=rank, ranks=2))) for rank in (0, 1)]
    assert torch.equal(torch.cat([halves[0][1], halves[1][1]]), whole[1])


def test_both_sizes_show_the_same_place_in_every_frame(clips: Callable[..., Clips]) -> None:
    """Also where the camera shakes, and whichever way the clip was mirrored and turned."""
    shaken = clips(SHAKEN)
    for place in range(8):
        low, high = shaken[0, place]
        for small, large in zip(low, high, strict=True):
            made = resize_bicubic_uint8(large, 0.25)
            assert (made[:, 2:-2, 2:-2].int() - small[:, 2:-2, 2:-2].int()).abs().max() <= 2


def test_frames_follow_each_other_and_are_turned_alike(clips: Callable[..., Clips], folder: Path) -> None:
    """Unshaken: five consecutive frames of a stored clip, cut at one place, mirrored or turned alike."""
    plain, store = clips(DegradationOptions()), ClipStore(folder)
    stored = [torch.from_numpy(np.array(store[i])).permute(0, 3, 1, 2) for i in range(len(store))]
    for place in range(3):
        _, high = plain[0, place]
        seen = [high, high.transpose(-1, -2)]
        seen += [turned.flip(axis) for turned in list(seen) for axis in (-1, -2)] + [t.flip(-1, -2) for t in list(seen)]
        found = any(
            torch.equal(clip[first : first + 5, :, top : top + 32, left : left + 32], view)
            for clip in stored
            for first in range(3)
            for view in seen
            for top, left in np.argwhere(clip[first, 0, :33, :33].numpy() == int(view[0, 0, 0, 0])).tolist()
            if torch.equal(clip[first, :, top : top + 2, left : left + 2], view[0, :, :2, :2])
        )
        assert found


def test_a_shaken_camera_moves_within_the_stored_clip(clips: Callable[..., Clips]) -> None:
    """Motion between frames differs from the stored clip's steady one, where an unshaken one's does not."""

    def differences(degradation: DegradationOptions) -> list[float]:
        steps = []
        for place in range(6):
            _, high = clips(degradation)[0, place]
            change = (high[1:].float() - high[:-1].float()).abs().mean((1, 2, 3))
            steps.append(float(change.std() / change.mean()))
        return steps

    assert np.median(differences(SHAKEN)) > 3 * np.median(differences(DegradationOptions()))


def test_what_does_not_fit_is_refused(folder: Path, small_dataset: Path) -> None:
    store, draw = ClipStore(folder), Draw(seed=0, stage="psnr", scale=4)
    for data, words in ((replace(DATA, frames=8), "have 7 frames"), (replace(DATA, patch=96), "are 64 px")):
        with pytest.raises(TrainingError, match=words):
            Clips(store, data, DegradationOptions(), draw)
    with pytest.raises(TrainingError, match="clips have no twins"):
        Clips(store, DATA, DegradationOptions(recipe="paired"), draw)
    assert holds_clips(folder) and not holds_clips(small_dataset)
    with pytest.raises(InputError, match="holds clips, not patches"):
        PatchStore(folder)
    with pytest.raises(InputError, match="holds patches of stills"):
        ClipStore(small_dataset)


def test_a_damaged_dataset_is_refused(tmp_path: Path) -> None:
    folder = write_clips(tmp_path / "set", 2, 3, 32)
    clip = folder / "clip-1.npy"
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"clip-1\.npy: is missing or cut off"):
        ClipStore(folder)
    np.save(clip, np.zeros((9, 32, 32, 3), np.uint8))
    with pytest.raises(InputError, match="expected uint8"):
        ClipStore(folder)[1]
    (folder / "dataset.json").write_text('{"kind": "clips"}')
    with pytest.raises(InputError, match="cannot be used"):
        ClipStore(folder)


def test_a_pickled_store_carries_no_pixels(folder: Path) -> None:
    store = ClipStore(folder)
    data = pickle.dumps(store)
    assert len(data) < 2000 and np.array_equal(pickle.loads(data)[3], store[3])


@pytest.mark.parametrize("kind", ["clips", "folder"])
def test_train_init_recognises_what_is_to_be_measured_on(kind: str, folder: Path, tmp_path: Path) -> None:
    measured_on = folder if kind == "clips" else tmp_path
    toml = tmp_path / "train.toml"
    assert run(["train", "init", "--dataset", "x", "--validation", str(measured_on), str(toml)]) == 0
    validation = read_toml(toml, TrainOptions).validation
    assert getattr(validation, kind) == str(measured_on)
    assert {"clips": validation.folder, "folder": validation.clips}[kind] == ""
