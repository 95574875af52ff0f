"""The tape simulator: each fault harms what it should, where the mask says, and gives the same for a seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from vidsr.frames import Floats
from vidsr.training.degradation.options import TapeOptions
from vidsr.training.degradation.tape.composite import STANDARDS
from vidsr.training.degradation.tape.faults import FORMATS, HARMED, TapeFaults, damaged
from vidsr.training.degradation.tape.patches import play
from vidsr.training.degradation.tape.signal import delayed, low_passed, reduced, resampled

ALONE = {
    "composite": TapeFaults(composite="ntsc"),
    "bandwidth": TapeFaults(luma_bandwidth=2.0),
    "bleed": TapeFaults(chroma_bandwidth=0.3),
    "delay": TapeFaults(chroma_delay=3.0),
    "ringing": TapeFaults(ringing=1.0),
    "wobble": TapeFaults(wobble=1.0),
    "tracking": TapeFaults(tracking_rows=16),
    "head switching": TapeFaults(head_switching_rows=6),
    "dropouts": TapeFaults(dropouts=8),
}


@pytest.fixture(scope="module")
def clip() -> Floats:
    """Three frames 64×360 of coloured bars on a slope, that move."""
    x, y = np.arange(360), np.arange(64)[:, None]
    frames = []
    for n in range(3):
        bars = ((x + 2 * n) // 12 % 2) * 0.5
        frames.append(np.stack((0.2 + bars + 0 * y, 0.3 + 0 * x + y / 200, 0.7 - bars + 0 * y), -1))
    return np.asarray(frames, np.float32)


@pytest.mark.parametrize("name", ALONE)
def test_each_fault_alone_harms_where_the_mask_says_and_nowhere_else(name: str, clip: Floats) -> None:
    made = damaged(clip, ALONE[name], 5)
    changed = np.abs(made.clip - clip).max(-1) > HARMED
    assert list(made.by_fault) == [name]
    assert changed.any() and np.array_equal(made.mask, changed)
    assert made.clip.dtype == np.float32 and made.clip.shape == clip.shape
    assert np.array_equal(made.clip, damaged(clip, ALONE[name], 5).clip)


def test_one_fault_changes_nothing_in_the_draws_of_another(clip: Floats) -> None:
    band = TapeFaults(head_switching_rows=6)
    both = damaged(clip, replace(band, dropouts=4), 3)
    alone = damaged(clip, TapeFaults(dropouts=4), 3)
    upper = slice(0, 64 - 6)
    assert np.allclose(both.clip[:, upper], alone.clip[:, upper], atol=1e-5)
    assert np.array_equal(both.by_fault["head switching"], damaged(clip, band, 3).mask)


def test_no_fault_gives_the_clip_back(clip: Floats) -> None:
    made = damaged(clip, TapeFaults(), 1)
    assert np.array_equal(made.clip, clip) and not made.mask.any()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_can_be_played(name: str, clip: Floats) -> None:
    made = damaged(clip, FORMATS[name], 1)
    assert made.mask.mean() > 0.02 and 0 <= made.clip.min() <= made.clip.max() <= 1


@pytest.mark.parametrize("standard", STANDARDS)
def test_grey_detail_near_the_subcarrier_gets_false_colour_and_smooth_grey_none(standard: str) -> None:
    x = np.arange(720) / 13.5
    fine = 0.5 + 0.3 * np.sin(2 * np.pi * STANDARDS[standard].subcarrier * x)
    for line, coloured in ((fine, True), (0.5 + 0.3 * np.sin(2 * np.pi * 0.2 * x), False)):
        grey = np.broadcast_to(line[:, None], (1, 32, 720, 3)).astype(np.float32)
        made = damaged(grey, TapeFaults(composite=standard), 0).clip
        spread = float(np.ptp(made[:, 8:-8, 60:-60], axis=-1).mean())
        assert spread > 0.2 if coloured else spread < 0.01


def test_dots_crawl_on_coloured_edges_and_change_their_phase_from_frame_to_frame() -> None:
    still = np.zeros((3, 48, 720, 3), np.float32)
    still[:, :, :360] = (0.8, 0.2, 0.2)
    still[:, :, 360:] = (0.2, 0.3, 0.8)
    made = damaged(still, TapeFaults(composite="ntsc"), 0).clip[:, 8:-8, 330:390]
    dots = made - made.mean(1, keepdims=True)
    assert np.abs(dots).max() > 0.05
    # 525 lines of 227.5 cycles: the phase is opposite in the next frame, and the same in the one after.
    assert np.abs(made[0] + made[1] - 2 * made.mean((0, 1))).mean() < 0.5 * np.abs(made[0] - made[1]).mean()
    assert np.allclose(made[0], made[2], atol=1e-3)


def test_a_comb_decoder_gives_less_false_colour_than_a_notch() -> None:
    fine = 0.5 + 0.3 * np.sin(2 * np.pi * 3.4 * np.arange(720) / 13.5)
    grey = np.broadcast_to(fine[:, None], (1, 32, 720, 3)).astype(np.float32)
    spread = [
        float(np.ptp(damaged(grey, TapeFaults(composite="ntsc", decoder=d), 0).clip[:, 8:-8], axis=-1).mean())
        for d in ("comb", "notch")
    ]
    assert spread[0] < 0.3 * spread[1]


def test_lines_are_delayed_by_the_pixels_given_and_come_back_from_a_finer_grid() -> None:
    x = np.arange(200, dtype=np.float32)
    bump = np.exp(-(((x - 100) / 6) ** 2))[None].astype(np.float32)
    assert np.allclose(delayed(bump, 2.5), np.exp(-(((x - 102.5) / 6) ** 2))[None], atol=1e-4)
    assert np.allclose(reduced(resampled(bump, 3), 3), bump, atol=1e-4)
    tone = np.sin(2 * np.pi * 2.0 * np.arange(720) / 13.5)[None].astype(np.float32)
    assert np.ptp(low_passed(tone, 2.0, 13.5)[0, 200:500]) == pytest.approx(2 * 0.5**0.5, rel=0.02)


def test_training_patches_get_the_new_faults_and_draw_nothing_for_those_that_are_off() -> None:
    patch = torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(1))
    for options in (
        TapeOptions(dropout_chance=1.0, dropouts=(6.0, 6.0)),
        TapeOptions(ringing_chance=1.0),
        TapeOptions(composite_chance=1.0),
    ):
        made = play(patch, options, np.random.default_rng(2))
        assert made.shape == patch.shape and made.dtype == patch.dtype and not torch.equal(made, patch)
    used, off = np.random.default_rng(2), np.random.default_rng(2)
    play(patch, TapeOptions(), used)
    assert used.random() == off.random(5)[4]
