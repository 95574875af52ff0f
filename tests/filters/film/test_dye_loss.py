"""Faded dyes: measured over many scenes; scenes with colours of their own, toned films and few scenes show none."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import ArrayLike

from tests.support.colour_scenes import film, rgb_frames, scene
from vidsr.filters.detect.fault_places import FaultPlace
from vidsr.filters.film.dye_loss import FEWEST_SCENES, FadeSearch, Fading, fading_of, scene_colours
from vidsr.filters.inspector import Inspector
from vidsr.frames import Colour, Floats
from vidsr.training.degradation.old_film.light import faded

LOST = (0.5, 0.15, 0.3)
SUNSET = (1.0, 0.45, 0.2)


def found_in(pictures: list[Floats]) -> Fading | None:
    place = FaultPlace(start=Fraction(0), end=Fraction(1))
    return fading_of([scene_colours(picture, place) for picture in pictures])


def relative(lost: ArrayLike) -> Floats:
    """What is left of the dyes, as shares of what is left of the best one."""
    left = 1 - np.asarray(lost, np.float32)
    return np.asarray(left / left.max())


@pytest.mark.parametrize("lost", [LOST, (0.7, 0.1, 0.3), (0.1, 0.2, 0.55)])
def test_the_loss_is_measured(lost: tuple[float, float, float]) -> None:
    found = found_in([faded(picture, lost) for picture in film(24)])
    assert found is not None and found.scenes == 24
    assert relative(found.loss.shares) == pytest.approx(relative(lost), abs=0.1)
    assert len(found.at) > 16


def test_blacks_that_are_light_in_every_scene_show_what_all_dyes_have_lost() -> None:
    lost = (0.7, 0.5, 0.6)
    found = found_in([faded(picture, lost) for picture in film(24)])
    assert found is not None
    assert 0.15 < found.loss.shares.min() <= 0.25


@pytest.mark.parametrize("seed", range(4))
def test_a_sound_film_has_lost_nothing(seed: int) -> None:
    assert found_in(film(24, seed=seed)) is None


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_sunsets_keep_their_colours(share: float) -> None:
    """Even in a film of nothing else: their light and their shadows are red alike."""
    red = [scene(n, SUNSET) for n in range(24)]
    count = round(share * 24)
    assert found_in(red[:count] + film(24)[count:]) is None


def test_a_film_of_sunsets_that_has_faded_is_found() -> None:
    assert found_in([faded(scene(n, SUNSET), (0.6, 0.1, 0.3)) for n in range(24)]) is not None


def test_few_scenes_say_nothing() -> None:
    pictures = [faded(picture, LOST) for picture in film(FEWEST_SCENES)]
    assert found_in(pictures) is not None
    assert found_in(pictures[:-1]) is None


def test_a_toned_film_is_not_a_faded_one() -> None:
    def toned(picture: Floats) -> Floats:
        grey = picture.mean(2, keepdims=True)
        return np.asarray(grey ** np.array((0.6, 1.0, 1.5)), np.float32)

    assert found_in([toned(picture) for picture in film(24)]) is None


def test_one_scene_seen_again_and_again_counts_once() -> None:
    search = FadeSearch()
    frames = rgb_frames([np.roll(faded(scene(3), LOST), n, 1) for n in range(40)])
    for n in range(0, 40, 2):
        search.add(frames[n : n + 2], (0, 0, 64, 48))
    assert search.result() is None


def test_hdr_is_not_judged() -> None:
    search = FadeSearch()
    frames = rgb_frames([faded(picture, LOST) for picture in film(24)])
    for frame in frames:
        frame.colour = Colour(matrix="gbr", range="full", transfer="smpte2084")
        search.add([frame], (0, 0, 64, 48))
    assert search.result() is None


@pytest.mark.long
def test_an_inspection_finds_it_within_bars() -> None:
    """Dark bars have not faded; they have no say."""
    pictures = [np.pad(faded(picture, LOST), ((8, 8), (0, 0), (0, 0))) for picture in film(18, 8)]
    inspector = Inspector(rate=Fraction(24))
    inspector.add(rgb_frames(pictures))
    found = inspector.result(len(pictures))
    assert found.crop == (0, 8, 64, 48) and found.fading is not None
    assert found.fading.scenes >= 14
    assert relative(found.fading.loss.shares) == pytest.approx(relative(LOST), abs=0.1)
    starts = {float(place.start * 24) for place in found.fading.at}
    assert starts <= {8.0 * n + 4 for n in range(20)} and len(starts) > 12
    assert found.to_json()["fading"]["scenes"] == found.fading.scenes
    assert found.fading.moved(Fraction(1)).at[0].start == max(Fraction(0), found.fading.at[0].start - 1)
