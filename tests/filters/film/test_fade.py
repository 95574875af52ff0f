"""The filter fade: densities are multiplied, in the same way in every frame; without a loss nothing changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.colour_scenes import film, rgb_frames
from vidsr.errors import OptionsError
from vidsr.filters.before.descriptor import completed, is_open
from vidsr.filters.film.dye_loss import MOST_LOST, DyeLoss, Fading
from vidsr.filters.film.fade import DEFAULT_STRENGTH, Fade, FadeChoice, density_factors
from vidsr.filters.inspector import Inspector
from vidsr.frames import Frame
from vidsr.options.filter_choices import FilterChoice, FilterSelection
from vidsr.training.degradation.old_film.light import faded

shares = st.floats(0, MOST_LOST).map(lambda share: round(share, 3))
losses = st.builds(DyeLoss, cyan=shares, magenta=shares, yellow=shares)
strengths = st.floats(0.01, 1)


def error(frames: list[Frame], truth: list[Frame]) -> float:
    pairs = zip(frames, truth, strict=True)
    return float(np.sqrt(np.mean([(np.array(a.planes, float) - np.array(b.planes)) ** 2 for a, b in pairs])))


def test_what_faded_comes_back() -> None:
    truth = rgb_frames(film(4))
    clip = rgb_frames([faded(picture, (0.5, 0.1, 0.3)) for picture in film(4)])
    loss = DyeLoss(cyan=0.5, magenta=0.1, yellow=0.3)
    whole, gentle = (error(list(Fade(loss, s)(iter(clip))), truth) for s in (1.0, DEFAULT_STRENGTH))
    assert whole < 0.15 * error(clip, truth)
    assert gentle < 0.5 * error(clip, truth)


@given(losses, strengths)
def test_white_and_black_stay_and_nothing_gets_brighter(loss: DyeLoss, strength: float) -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32)
    (frame,) = rgb_frames([np.tile(ramp[None, :, None], (2, 1, 3))])
    (made,) = Fade(loss, strength)(iter([frame]))
    for own, new in zip(frame.planes, made.planes, strict=True):
        assert new[0, 0] == 0 and new[0, -1] == 255
        assert (new <= own).all() and (np.diff(new[0].astype(int)) >= 0).all()


@given(losses, strengths)
def test_it_undoes_the_simulated_loss_the_more_the_stronger(loss: DyeLoss, strength: float) -> None:
    factors = density_factors(loss, strength)
    assert (factors >= 1).all()
    assert density_factors(loss, 1.0) * (1 - loss.shares) == pytest.approx(1, abs=1e-5)
    assert (factors <= density_factors(loss, 1.0) + 1e-6).all()


def test_without_a_loss_every_frame_is_the_one_that_came() -> None:
    frames = rgb_frames(film(3))
    for made, own in zip(Fade(DyeLoss(cyan=0, magenta=0, yellow=0))(iter(frames)), frames, strict=True):
        assert made is own


@given(st.none() | losses, strengths)
def test_the_parameter_is_read_as_it_was_written(loss: DyeLoss | None, strength: float) -> None:
    choice = FilterChoice("fade", FadeChoice(strength=strength, loss=loss))
    assert FilterSelection.parse(str(choice)).choices == (choice,)
    assert is_open(choice) == (loss is None)


@pytest.mark.parametrize("text", ["0", "1.5", "x", "0.5:0.1", "0.5:0.1:0.2:0.95", "0.5:-0.1:0:0", "0.5:0:0:0:0"])
def test_parameters_that_mean_nothing(text: str) -> None:
    with pytest.raises(OptionsError, match=r"fade=0\.7:0\.5:0\.1:0\.3"):
        FilterSelection.parse(f"fade={text}")


def test_the_strength_that_was_asked_for_meets_the_loss_that_was_found() -> None:
    inspector = Inspector()
    inspector.add(rgb_frames(film(2)))
    sound = inspector.result(2)
    assert sound.fading is None
    loss = DyeLoss(cyan=0.4, magenta=0.0, yellow=0.2)
    found = replace(sound, fading=Fading(loss=loss, scenes=20, at=()))
    asked, strong, known = FilterSelection.parse("fade"), FilterSelection.parse("fade=0.5"), "fade=0.5:0.1:0.1:0.3"
    assert completed(asked.choices[0], found) == FilterChoice("fade", FadeChoice(loss=loss))
    assert completed(strong.choices[0], found) == FilterChoice("fade", FadeChoice(strength=0.5, loss=loss))
    assert str(completed(FilterSelection.parse(known).choices[0], sound)) == known
    for selection in (asked, strong):
        assert completed(selection.choices[0], sound) is None
