"""Old film on clips: each fault does what its truth says, and is the same from the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidsr.frames import Floats
from vidsr.training.degradation.old_film.gate import gate_path, moved, slow_walk
from vidsr.training.degradation.old_film.light import faded
from vidsr.training.degradation.old_film.options import GAUGES, OldFilmOptions
from vidsr.training.degradation.old_film.simulator import AgedClip, aged_clip

ALL = OldFilmOptions(
    weave=0.5,
    jump=0.4,
    scratches=2,
    dirt=4,
    hairs=2,
    splices=1,
    exposure=0.05,
    breathing=0.05,
    vignette=0.2,
    fade=(0.4, 0.1, 0.2),
)
SINGLE = {
    "weave": OldFilmOptions(weave=0.5),
    "jump": OldFilmOptions(jump=0.5),
    "scratches": OldFilmOptions(scratches=2),
    "dirt": OldFilmOptions(dirt=4),
    "large dirt": OldFilmOptions(dirt=4, dirt_radius=(2, 7)),
    "hairs": OldFilmOptions(hairs=4),
    "splices": OldFilmOptions(splices=1),
    "exposure": OldFilmOptions(exposure=0.05),
    "breathing": OldFilmOptions(breathing=0.05),
    "vignette": OldFilmOptions(vignette=0.2),
    "fade": OldFilmOptions(fade=(0.4, 0.1, 0.2)),
}


def waves(frames: int = 12, height: int = 48, width: int = 64) -> Floats:
    """A smooth picture with structure everywhere, the same in all frames."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    luma = 0.5 + 0.2 * np.sin(x / 3) * np.cos(y / 4) + 0.1 * np.sin((x + y) / 5)
    return np.repeat(np.stack((luma, luma * 0.9, luma * 0.8), 2)[None], frames, 0).astype(np.float32)


@pytest.fixture(scope="module")
def everything() -> AgedClip:
    return aged_clip(waves(), ALL, 5)


def test_same_seed_same_clip_other_seed_other_clip(everything: AgedClip) -> None:
    again, other = aged_clip(waves(), ALL, 5), aged_clip(waves(), ALL, 6)
    assert np.array_equal(everything.clip, again.clip) and np.array_equal(everything.mask, again.mask)
    assert not np.array_equal(everything.clip, other.clip)
    assert everything.clip.dtype == np.float32 and everything.clip.min() >= 0 and everything.clip.max() <= 1


def test_without_faults_the_clip_comes_back() -> None:
    clean = aged_clip(waves(), OldFilmOptions(), 1)
    assert np.array_equal(clean.clip, waves())
    assert not clean.mask.any() and not clean.displacement.any() and (clean.gain == 1).all()


@pytest.mark.parametrize("name", SINGLE)
def test_each_fault_is_switched_on_alone(name: str) -> None:
    """It changes the picture, and only its own part of the truth."""
    aged = aged_clip(waves(), SINGLE[name], 3)
    assert not np.array_equal(aged.clip, waves())
    assert aged.mask.any() == (name in ("scratches", "dirt", "large dirt", "hairs", "splices"))
    assert aged.scratched.any() == (name == "scratches")
    assert bool(aged.displacement.any()) == (name in ("weave", "jump", "splices"))
    assert bool((aged.gain != 1).any()) == (name in ("exposure", "breathing", "vignette"))


def test_outside_the_mask_only_light_and_place_differ(everything: AgedClip) -> None:
    lit = np.clip(everything.steady * everything.gain, 0, 1)
    apart = np.abs(lit - everything.clip).max(3)
    assert apart[~everything.mask].max() <= 0.5 / 255 * everything.gain.max()
    assert apart[everything.mask].mean() > 0.05


def test_one_fault_more_leaves_the_others_as_they_were(everything: AgedClip) -> None:
    fewer = aged_clip(waves(), replace(ALL, dirt=0, exposure=0), 5)
    assert np.array_equal(fewer.displacement, everything.displacement)
    assert np.array_equal(fewer.scratched, everything.scratched)


@settings(max_examples=20, deadline=None)
@given(x=st.floats(-3, 3), y=st.floats(-3, 3))
def test_pictures_move_by_as_much_as_they_should(x: float, y: float) -> None:
    height, width = 48, 64
    rows, columns = np.mgrid[:height, :width].astype(np.float32)

    def at(dx: float, dy: float) -> Floats:
        return (0.5 + 0.3 * np.sin((columns - dx) / 3) * np.cos((rows - dy) / 4))[..., None].astype(np.float32)

    inner = (slice(8, -8), slice(8, -8))
    assert np.abs(moved(at(0, 0), x, y)[inner] - at(x, y)[inner]).max() < 2e-3


def test_the_gate_moves_as_the_standard_says() -> None:
    """Weave is sideways and slow, jump is up and down and new with each frame (SMPTE RP 105)."""
    rng = np.random.default_rng(0)
    weave = gate_path(480, 1000, OldFilmOptions(weave=0.1), rng)
    jump = gate_path(480, 1000, OldFilmOptions(jump=0.1), rng)
    assert weave[:, 0].std() > 2 * weave[:, 1].std() and jump[:, 1].std() > 2 * jump[:, 0].std()
    assert np.sqrt((weave[:, 0] ** 2).mean()) == pytest.approx(1, rel=0.4)
    assert jump[:, 1].std() == pytest.approx(1, rel=0.15)
    steps = [np.corrcoef(path[1:], path[:-1])[0, 1] for path in (weave[:, 0], jump[:, 1])]
    assert steps[0] > 0.8 and abs(steps[1]) < 0.15


def test_the_slow_walk_stays_in_its_band() -> None:
    walk = slow_walk(960, 24, np.random.default_rng(1))
    power = np.abs(np.fft.rfft(walk * np.hanning(960))) ** 2
    hertz = np.fft.rfftfreq(960, 1 / 24)
    assert power[(hertz > 0.4) & (hertz < 4.2)].sum() > 0.98 * power.sum()


def test_a_scratch_runs_on_from_frame_to_frame() -> None:
    options = OldFilmOptions(scratches=1, scratch_frames=12, scratch_depth=(0.9, 0.9))
    aged = aged_clip(waves(), options, 2)
    there = [frame for frame in aged.scratched if frame.any(1).mean() > 0.9]
    assert len(there) >= 8
    middles = [np.nonzero(frame)[1].mean() for frame in there]
    assert np.abs(np.diff(middles)).max() < 3


def test_faded_dyes_let_more_light_through() -> None:
    grey = np.full((2, 2, 3), 0.3, np.float32)
    red, green, blue = faded(grey, (0.5, 0.0, 0.0))[0, 0]
    assert red == pytest.approx(0.3**0.5, rel=1e-4) and green == pytest.approx(0.3, rel=1e-4) and blue < 0.3


def test_a_larger_gauge_is_steadier() -> None:
    assert GAUGES["35mm"].weave < GAUGES["16mm"].weave < GAUGES["8mm"].weave
