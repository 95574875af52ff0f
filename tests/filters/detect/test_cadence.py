"""The rhythm of film, from made-up series of changes whose truth is known."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import floor

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidsr.filters.detect.cadence import change, decode, evidence, find_cadence, signature, usual_ratio

NTSC = Fraction(30000, 1001)
TRANSFERS = [(film, rate) for film in (Fraction(16), Fraction(18)) for rate in (Fraction(24), Fraction(25), NTSC)] + [
    (Fraction(50, 3), Fraction(25)),
    (Fraction(20), Fraction(24)),
    (Fraction(16), Fraction(50)),
]


def shown(film: Fraction, rate: Fraction, count: int, phase: float = 0.0) -> list[int]:
    """The picture of each frame."""
    return [floor(n * film / rate + Fraction(phase)) for n in range(count)]


def changes_of(pictures: list[int], seed: int, repeat: float = 0.1, spread: float = 0.2) -> list[float]:
    """Changes that vary; those of repeats are a tenth of the others."""
    rng = np.random.default_rng(seed)
    steps = [a != b for a, b in pairwise(pictures)]
    return [float(10 * (1 if new else repeat) * np.exp(rng.normal(0, spread))) for new in steps]


def truth(pictures: list[int]) -> npt.NDArray[np.bool_]:
    return np.array([True, *(a != b for a, b in pairwise(pictures))])


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(TRANSFERS), st.floats(0, 0.999), st.integers(0, 10**6), st.integers(60, 150))
def test_repeats_are_found_at_their_places(
    transfer: tuple[Fraction, Fraction], phase: float, seed: int, count: int
) -> None:
    film, rate = transfer
    pictures = shown(film, rate, count, phase)
    ratio = float(film / rate)
    found = decode(evidence(changes_of(pictures, seed), ratio), ratio)
    # Phases are tried in steps: where a picture falls on the edge of a frame, one frame may be taken wrong.
    assert (found.new != truth(pictures)).sum() <= 1


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(TRANSFERS[:6]), st.integers(0, 10**6), st.integers(1, 11))
def test_an_edit_that_shifts_the_rhythm_costs_no_picture(
    transfer: tuple[Fraction, Fraction], seed: int, gone: int
) -> None:
    film, rate = transfer
    whole = shown(film, rate, 160)
    pictures = [*whole[:70], *whole[70 + gone :]]
    ratio = float(film / rate)
    changes = changes_of(pictures, seed)
    if pictures[70] != pictures[69]:
        changes[69] = 60.0  # scenes that meet differ
    found = decode(evidence(changes, ratio), ratio)
    assert (found.new != truth(pictures)).sum() <= 1


def test_stillness_is_no_evidence_and_the_rhythm_goes_on_behind_it() -> None:
    pictures = shown(Fraction(18), Fraction(25), 200)
    changes = changes_of(pictures, 1)
    changes[80:120] = [0.02] * 40
    series = evidence(changes, 0.72)
    assert np.abs(series[90:110]).max() == 0
    assert np.array_equal(decode(series, 0.72).new, truth(pictures))


@pytest.mark.parametrize(("film", "rate"), TRANSFERS)
def test_the_rate_is_found(film: Fraction, rate: Fraction) -> None:
    series = evidence(changes_of(shown(film, rate, 150, 0.4), 3), usual_ratio(rate))
    found = find_cadence([series[:75], series[75:]], rate)
    assert found is not None and found.film == film
    assert found.certainty > 0.8 and found.fitting > 0.95 * found.visible


def test_other_rhythms_are_none_of_film() -> None:
    rng = np.random.default_rng(5)
    others = {
        "no repeats": list(range(150)),
        "twos": [n // 2 for n in range(150)],
        "threes": [n // 3 for n in range(150)],
        "random": list(np.cumsum(rng.random(150) < 0.7)),
        "a rate between": shown(Fraction(17), Fraction(25), 150)[:60] + shown(Fraction(19), Fraction(25), 150)[60:],
    }
    for name, pictures in others.items():
        assert find_cadence([evidence(changes_of(pictures, 6))], Fraction(25)) is None, name
    assert find_cadence([evidence([0.05] * 100)], Fraction(25)) is None
    assert find_cadence([], Fraction(25)) is None


def test_grain_hardly_changes_a_signature_and_motion_does() -> None:
    rng = np.random.default_rng(2)
    picture = np.kron(rng.uniform(30, 220, (30, 40)), np.ones((8, 8))).astype(np.float32)
    grains = [picture + rng.normal(0, 6, picture.shape).astype(np.float32) for _ in range(2)]
    moved = np.roll(grains[1], 2, 1)
    assert change(signature(picture), signature(picture)) == 0
    assert change(signature(grains[0]), signature(moved)) > 5 * change(signature(grains[0]), signature(grains[1]))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_clips_of_a_few_frames(count: int) -> None:
    series = evidence([5.0] * count)
    assert len(series) == count + 1 and decode(series, 0.72).new[0]
