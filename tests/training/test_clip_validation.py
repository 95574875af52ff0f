"""Measures of clips, each against what it should be by construction or against another implementation."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.support.training import moving, write_clips
from vidsr.errors import InputError
from vidsr.quality import temporal
from vidsr.quality.comparison import rgb8
from vidsr.training.clip_validation import (
    ClipExample,
    ClipValidation,
    Followed,
    clip_scores,
    follow,
    vmaf_of,
    warping_error_of,
)
from vidsr.training.degradation.options import DegradationOptions
from vidsr.training.options import ValidationOptions

DOWN, ACROSS = 1, 2


@pytest.fixture(scope="module")
def high() -> Tensor:
    """A clip [5, 3, 96, 96] uint8 whose content moves by exactly (-1, -2) px a frame."""
    return torch.from_numpy(moving(3, 5, 96, (DOWN, ACROSS))).permute(0, 3, 1, 2).contiguous()


@pytest.fixture(scope="module")
def example(high: Tensor) -> ClipExample:
    return ClipExample(name="x", low=high[..., ::4, ::4], high=high, motion=follow(high.float() / 255))


def _true_motion() -> list[Followed]:
    """Where it was one frame earlier; what has come in at the far edges was not seen."""
    back = torch.tensor([ACROSS, DOWN]).view(1, 2, 1, 1).expand(1, 2, 96, 96).float()
    seen = torch.zeros(1, 1, 96, 96, dtype=torch.bool)
    seen[..., 4 : 96 - DOWN - 4, 4 : 96 - ACROSS - 4] = True
    return [Followed(back=back, seen=seen)] * 4


def test_the_motion_of_the_original_is_found(example: ClipExample) -> None:
    for step in example.motion:
        inner = step.back[..., 8:-8, 8:-8]
        assert (inner - torch.tensor([ACROSS, DOWN]).view(1, 2, 1, 1)).abs().median() < 0.1
        assert step.seen[..., 8:-8, 8:-8].float().mean() > 0.95


def test_warping_error_of_known_motion_and_noise(high: Tensor) -> None:
    """Carried along its true motion the clip has none; noise of σ in each frame makes 2σ² of it."""
    clip = high.float() / 255
    assert warping_error_of(clip, _true_motion()) < 1e-10
    noisy = clip + 0.03 * torch.randn(clip.shape, generator=torch.Generator().manual_seed(0))
    assert warping_error_of(noisy, _true_motion()) == pytest.approx(2 * 0.03**2, rel=0.03)


def test_warping_error_is_near_that_of_opencv(high: Tensor, example: ClipExample) -> None:
    clip = (high.float() / 255 + 0.05 * torch.randn(high.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    reference = [rgb8(frame[None].float() / 255) for frame in high]
    made = [rgb8(frame[None].clone()) for frame in clip]
    theirs = [
        temporal.warping_error(temporal.back_motion(reference[n], reference[n + 1]), made[n], made[n + 1])
        for n in range(4)
    ]
    assert warping_error_of(clip, example.motion) == pytest.approx(np.mean(theirs), rel=0.15)


def test_scores_of_the_original_itself(high: Tensor, example: ClipExample) -> None:
    scores = clip_scores(high.float() / 255, example, 4)
    assert scores["psnr_y"] == 100 and scores["ssim_y"] == pytest.approx(1) and scores["tof"] == 0
    assert scores["warping_error"] < 2e-3


def test_unsteadiness_shows_in_time_where_single_frames_are_equally_good(high: Tensor, example: ClipExample) -> None:
    """The same error in each frame, once moving with the picture and once new in each: only time tells them apart."""
    generator = torch.Generator().manual_seed(2)
    wide = 0.04 * torch.randn(1, 3, 96 + 8, 96 + 16, generator=generator)
    carried = torch.cat([wide[..., t * DOWN : t * DOWN + 96, t * ACROSS : t * ACROSS + 96] for t in range(5)])
    fresh = 0.04 * torch.randn(5, 3, 96, 96, generator=generator)
    steady, unsteady = (clip_scores(high.float() / 255 + noise, example, 4) for noise in (carried, fresh))
    assert steady["psnr_y"] == pytest.approx(unsteady["psnr_y"], abs=0.3)
    assert unsteady["warping_error"] > 1.7 * steady["warping_error"] and unsteady["tof"] > steady["tof"]


def test_validation_measures_means_and_shows_the_first(tmp_path: Path) -> None:
    folder = write_clips(tmp_path / "set", 3, 4, 64)
    options = ValidationOptions(clips=str(folder), clip_limit=2, vmaf=True, pictures=1)

    def plain(low: Tensor) -> Tensor:
        return F.interpolate(low, scale_factor=4, mode="bicubic", align_corners=False)

    validation = ClipValidation(options, DegradationOptions(), 4, seed=0)
    assert [example.name for example in validation.examples] == ["clip-0", "clip-1"]
    means, shown = validation.run(plain)
    assert list(means) == ["psnr_y", "ssim_y", "warping_error", "tof", "vmaf"] and not validation.notes
    assert 10 < means["psnr_y"] < 40 and 0 < means["vmaf"] < 95 and means["warping_error"] > 0
    assert [name for name, _ in shown] == ["clip-0"] and shown[0][1].shape == (3, 64, 64)
    assert ClipValidation(options, DegradationOptions(), 4, seed=0).run(plain)[0] == means
    single = [clip_scores(plain(e.low.float() / 255), e, 4) for e in validation.examples]
    assert means["warping_error"] == pytest.approx(sum(s["warping_error"] for s in single) / 2)


def test_the_damage_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    folder = write_clips(tmp_path / "set", 2, 4, 64)
    options, damage = ValidationOptions(clips=str(folder)), DegradationOptions(recipe="second_order")
    first, again, other = (ClipValidation(options, damage, 4, seed).examples for seed in (1, 1, 2))
    assert all(torch.equal(a.low, b.low) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0].low, other[0].low) and torch.equal(first[0].high, other[0].high)


def test_vmaf_of_the_original_is_high_and_falls_with_blur(high: Tensor) -> None:
    clip = high.float() / 255
    same, blurred = vmaf_of(clip, clip), vmaf_of(F.avg_pool2d(clip, 5, 1, 2), clip)
    assert same > 90 and blurred < same - 20


def test_without_libvmaf_a_note_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an ffmpeg that fails; the other measures are there."""
    false = shutil.which("false")
    if false is None:
        pytest.skip("this system has no `false`")
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", false)
    folder = write_clips(tmp_path / "set", 2, 3, 64)
    validation = ClipValidation(ValidationOptions(clips=str(folder), vmaf=True), DegradationOptions(), 4, seed=0)
    means, _ = validation.run(lambda low: F.interpolate(low, scale_factor=4))
    assert "vmaf" not in means and "psnr_y" in means
    assert len(validation.notes) == 1 and validation.notes[0].startswith("VMAF is left out")


def test_no_folder_no_examples_and_a_wrong_one_is_an_error(tmp_path: Path) -> None:
    nothing = ClipValidation(ValidationOptions(), DegradationOptions(), 4, seed=0)
    assert not nothing.examples and nothing.run(lambda low: low) == ({}, [])
    with pytest.raises(InputError, match="is not a dataset"):
        ClipValidation(ValidationOptions(clips=str(tmp_path)), DegradationOptions(), 4, seed=0)
