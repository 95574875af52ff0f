"""Halos: measured on edges that stand free, undone; a clip without them is given back as it came."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.field_clips import Clip, frames_of
from vidsr.errors import OptionsError
from vidsr.filters.tape.dehalo import Dehalo, undoing_taps
from vidsr.filters.tape.halos import Ringing, measured, profiles
from vidsr.frames import Floats
from vidsr.options.filter_choices import FilterSelection
from vidsr.training.degradation.tape.signal import filtered, ringing

#: MHz at which 720 samples a line are taken; 2.2 MHz is a period of 6.1 px.
RATE, MHZ, PERIOD = 13.5, 2.2, 13.5 / 2.2


def boxes(count: int, seed: int = 0) -> Clip:
    """Rectangles of different brightness on soft ground, as a camera sees them."""
    rng = np.random.default_rng(seed)
    clip = []
    for _ in range(count):
        picture = 90 + 30 * np.sin(np.mgrid[:144, :240].sum(0) / 40 + rng.uniform(0, 6)).astype(np.float32)
        for _ in range(14):
            y, x = rng.integers(0, 110), rng.integers(0, 190)
            picture[y : y + rng.integers(10, 34), x : x + rng.integers(20, 50)] = rng.uniform(40, 200)
        clip.append(soft(picture, 4))
    return clip


def soft(picture: Floats, bandwidth: float) -> Floats:
    """Without ringing of its own, 4 dB down at ``bandwidth`` MHz."""
    return filtered(picture, lambda f: np.exp(-0.5 * (f / bandwidth) ** 2), RATE)


def found_in(clip: Clip) -> Ringing | None:
    return measured([profiles(f.planes[0].astype(np.float32)) for f in frames_of(clip)])


@pytest.mark.parametrize("gain", [0.7, 1.3])
def test_halos_are_measured_and_undone(gain: float) -> None:
    truth = boxes(6)
    harmed = [ringing(y, gain, MHZ, RATE) for y in truth]
    found = found_in(harmed)
    assert found is not None
    assert found.period == pytest.approx(PERIOD, abs=0.6)
    assert found.gain == pytest.approx(gain, rel=0.5)
    source = frames_of(harmed)
    for true, before, after in zip(truth, source, Dehalo(found)(iter(source)), strict=True):
        errors = [((f.planes[0].astype(float) - true) ** 2).mean() for f in (before, after)]
        assert errors[1] < 0.2 * errors[0]
        assert all(a is b for a, b in zip(after.planes[1:], before.planes[1:], strict=True))


@pytest.mark.parametrize("bandwidth", [2.0, 3.0, 6.0])
def test_soft_and_sharp_pictures_without_halos_have_none(bandwidth: float) -> None:
    assert found_in([soft(y, bandwidth) for y in boxes(6, seed=3)]) is None


def test_thin_things_and_few_edges_are_not_taken_for_halos() -> None:
    bars = np.full((144, 240), 60, np.float32)
    for x in range(20, 220, 12):
        bars[:, x : x + 5] = 200
    assert found_in([bars] * 6) is None
    lonely = np.full((40, 240), 60, np.float32)
    lonely[:, 120:] = 180
    assert found_in([ringing(lonely, 1.5, MHZ, RATE)]) is None


def test_even_areas_stay_to_the_code_and_the_ends_of_lines_too() -> None:
    (frame,) = frames_of([np.tile(np.repeat([30.0, 200.0, 90.0], 80).astype(np.float32), (96, 1))])
    (made,) = Dehalo(Ringing(gain=1.0, period=6))(iter([frame]))
    even = np.abs(np.arange(240)[:, None] - [80, 160]).min(1) > 20
    assert np.array_equal(made.planes[0][:, even], frame.planes[0][:, even])


def test_the_filter_and_the_ringing_cancel() -> None:
    halos = Ringing(gain=0.8, period=5)
    taps = undoing_taps(halos)
    response = np.abs(np.fft.fft(taps, 512))[:257]
    assert sum(taps) == pytest.approx(1)
    assert np.allclose(response, halos.undone(np.fft.rfftfreq(512)), atol=0.02)


def test_the_parameter_is_written_as_it_is_read() -> None:
    (choice,) = FilterSelection.parse("dehalo=0.85:6.25").choices
    assert choice.parameter == Ringing(gain=0.85, period=6.25)
    assert str(choice) == "dehalo=0.85:6.25"
    for text in ("dehalo=0:6", "dehalo=x", "dehalo=1:99", "dehalo=9:6"):
        with pytest.raises(OptionsError, match=r"dehalo=0\.8:6"):
            FilterSelection.parse(text)
