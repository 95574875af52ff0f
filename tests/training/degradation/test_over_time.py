"""Degradations of clips: constant where they should be, moving where they should move."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.training import moving
from vidsr.quality.bicubic import resize_bicubic_uint8
from vidsr.training.degradation import compression
from vidsr.training.degradation.options import (
    CodecOptions,
    DegradationOptions,
    FilmOptions,
    OrderOptions,
    OverTimeOptions,
    TapeOptions,
)
from vidsr.training.degradation.over_time import aged, coded, degrade_clip, interlaced, played, shake_path

NOTHING = OverTimeOptions()


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def clip() -> Tensor:
    """A moving clip [6, 3, 64, 64] in 0..1."""
    return torch.from_numpy(moving(1, 6, 64)).permute(0, 3, 1, 2).float() / 255


@pytest.fixture
def still(clip: Tensor) -> Tensor:
    """The first frame six times."""
    return clip[:1].repeat(6, 1, 1, 1)


def test_bicubic_is_the_tested_filter_in_each_frame(clip: Tensor) -> None:
    high = (clip * 255).round().to(torch.uint8)
    low = degrade_clip(high, 4, DegradationOptions(), _rng())
    assert all(torch.equal(a, resize_bicubic_uint8(b, 0.25)) for a, b in zip(low, high, strict=True))


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_second_order_gives_the_size_of_the_scale(clip: Tensor, scale: int) -> None:
    options = DegradationOptions(recipe="second_order")
    for seed in range(2):
        assert degrade_clip((clip * 255).byte(), scale, options, _rng(seed)).shape == (6, 3, 64 // scale, 64 // scale)


def test_without_noise_a_still_clip_stays_still(still: Tensor) -> None:
    """Blur, sizes and qualities are drawn once: equal frames give equal frames."""
    quiet = OrderOptions(gaussian_chance=1, gaussian=(0, 0))
    options = DegradationOptions(recipe="second_order", first=quiet, second=quiet)
    for seed in range(6):
        low = degrade_clip((still * 255).byte(), 4, options, _rng(seed))
        assert all(torch.equal(low[0], frame) for frame in low[1:])


@pytest.mark.parametrize("gaussian_chance", [0.0, 1.0], ids=["poisson", "gaussian"])
def test_noise_is_new_in_each_frame_and_equally_strong(gaussian_chance: float) -> None:
    still = torch.full((6, 3, 64, 64), 0.5)
    one = OrderOptions(
        blur_chance=0, resize_weights=(0, 0, 1), gaussian_chance=gaussian_chance, gaussian=(15, 15), poisson=(2, 2),
        jpeg=(100, 100),
    )  # fmt: skip
    options = DegradationOptions(recipe="second_order", first=one, second=one, final_sinc_chance=0)
    noise = degrade_clip((still * 255).byte(), 1, options, _rng()).float() / 255 - still
    spread = noise.flatten(1).std(1)
    assert spread.min() > 0.02 and spread.max() < 1.1 * spread.min()
    together = torch.corrcoef(noise.flatten(1)) - torch.eye(6)
    assert together.abs().max() < 0.15


def test_grain_and_dust_are_new_and_scratches_stay(still: Tensor) -> None:
    def changed(options: FilmOptions, seed: int) -> Tensor:
        return (aged(still, options, NOTHING, _rng(seed)) - still).abs().amax(1) > 0.03

    both = [changed(FilmOptions(dust_chance=1, dust=(20, 20)), seed) for seed in range(3)]
    for dust in both:
        assert dust.any() and (dust[0] & dust[1]).sum() < 0.5 * dust[0].sum()
    kept = seen = 0.0
    for seed in range(8):
        lines = changed(FilmOptions(scratch_chance=1, scratches=(2, 2)), seed)
        columns = torch.nn.functional.max_pool1d(lines.float().sum(1), 5, 1, 2)
        kept += float((torch.minimum(columns[0], columns[1])).sum())
        seen += float(columns[0].sum())
    assert seen and kept > 0.6 * seen, "a scratch is near the same columns in the next frame"
    grain = aged(still, FilmOptions(grain_chance=1), NOTHING, _rng()) - still
    assert float(torch.corrcoef(grain.flatten(1)[:2])[0, 1].abs()) < 0.1


def test_flicker_changes_whole_frames_and_fading_does_not_flicker(still: Tensor) -> None:
    flickering = aged(still, FilmOptions(), OverTimeOptions(flicker_chance=1, flicker=(0.1, 0.1)), _rng())
    gains = flickering.flatten(1).mean(1) / still.flatten(1).mean(1)
    assert gains.std() > 0.02
    faded = aged(still, FilmOptions(fade_chance=1), NOTHING, _rng())
    assert not torch.equal(faded[0], still[0]) and all(torch.equal(faded[0], frame) for frame in faded)


def test_fields_come_from_neighbouring_frames(clip: Tensor) -> None:
    woven = interlaced(clip, 1)
    assert torch.equal(woven[:, :, ::2], clip[:, :, ::2])
    assert torch.equal(woven[:-1, :, 1::2], clip[1:, :, 1::2]) and torch.equal(woven[-1], clip[-1])


TAPES = {
    "jitter": TapeOptions(jitter_chance=1),
    "composite": TapeOptions(composite_chance=1),
    "dropouts": TapeOptions(dropout_chance=1),
    "noise": TapeOptions(noise_chance=1),
    "tracking": TapeOptions(),
}


@pytest.mark.parametrize("fault", TAPES)
def test_faults_of_tape_move(still: Tensor, fault: str) -> None:
    more = OverTimeOptions(tracking_chance=1.0) if fault == "tracking" else NOTHING
    out = played(still, TAPES[fault], more, _rng(3))
    assert not torch.equal(out, still) and not torch.equal(out[0], out[1])


@pytest.mark.parametrize("codec", ["mpeg2", "mpeg4", "h264", "h265"])
def test_the_codec_sees_the_clip_as_it_is(clip: Tensor, codec: str) -> None:
    """As many frames come back, in their order, and the whole clip compresses better than its frames one by one."""
    options = DegradationOptions(codec=CodecOptions(codecs={codec: 1.0}, presets=("superfast",)))
    back = coded(clip, options, _rng(2))
    assert back.shape == clip.shape
    away = (back[:, None] - clip[None]).abs().mean((2, 3, 4))
    assert away.argmin(1).tolist() == list(range(6))


def test_a_clip_need_not_begin_with_a_keyframe(monkeypatch: pytest.MonkeyPatch, clip: Tensor) -> None:
    lengths, gops = set(), set()
    real = compression.round_trip

    def noted(frames: list[np.ndarray], how: compression.Compression) -> list[np.ndarray]:
        lengths.add(len(frames))
        gops.add(int(how.extra["g"]))
        assert np.array_equal(frames[-6], (clip[0] * 255).round().byte().permute(1, 2, 0).numpy())
        return real(frames, how)

    monkeypatch.setattr(compression, "round_trip", noted)
    options = DegradationOptions(codec=CodecOptions(codecs={"mpeg2": 1.0}), over_time=OverTimeOptions(gop=(2, 9)))
    for seed in range(16):
        coded(clip, options, _rng(seed))
    assert lengths == {6, 7, 8, 9} and min(gops) >= 2 and max(gops) <= 9 and len(gops) > 4


def test_chances_of_zero_change_nothing(clip: Tensor) -> None:
    assert aged(clip, FilmOptions(), NOTHING, _rng()) is clip
    assert played(clip, TapeOptions(), NOTHING, _rng()) is clip
    assert not shake_path(9, NOTHING, 10, _rng()).any()


@pytest.mark.parametrize("slack", [0, 1, 7, 40])
def test_the_shaken_path_stays_inside(slack: int) -> None:
    options = OverTimeOptions(shake_chance=1, shake=(6, 6))
    paths = [shake_path(15, options, slack, _rng(seed)) for seed in range(30)]
    assert all(path.min() == 0 and path.max() <= slack for path in paths)
    if slack == 40:
        spread = np.mean([path.std(0) for path in paths])
        assert 2 < spread < 9 and all(np.ptp(path, axis=0).min() > 0 for path in paths)
