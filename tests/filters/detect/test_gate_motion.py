"""Film in a gate trembles; cameras do not, however they move."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tests.support.field_clips import frames_of, moments
from vidsr.filters.detect.gate_motion import GateMotion, trembling
from vidsr.filters.detect.inspection_text import sentences
from vidsr.filters.film.moved_plane import Area, moved_area
from vidsr.filters.inspector import Inspector

RNG = np.random.default_rng(5)
TREMBLE = RNG.normal(0, 0.5, 48)


@pytest.mark.parametrize("speed", [0.0, 1.5])
def test_trembling_is_measured_on_any_pan(speed: float) -> None:
    assert trembling(np.diff(TREMBLE + speed * np.arange(48))) == pytest.approx(0.5, rel=0.5)


@pytest.mark.parametrize("period", [6, 12, 40])
def test_the_sway_of_a_hand_is_not_trembling(period: int) -> None:
    assert trembling(np.diff(3 * np.sin(2 * np.pi * np.arange(48) / period))) == 0


def test_one_jolt_is_not_trembling() -> None:
    path = np.zeros(48)
    path[20:23] = (2, -1, 1)
    assert trembling(np.diff(path + RNG.normal(0, 0.01, 48))) < 0.05


def test_an_inspection_reports_and_recommends_it() -> None:
    still = moments(1, seed=4)[0]
    path = np.random.default_rng(7).normal(0, 0.6, (40, 2))
    clip = [moved_area(still, x, y, Area(0, 0, 128, 96)) for x, y in path]
    inspector = Inspector(rate=Fraction(24))
    inspector.add(frames_of(clip))
    found = inspector.result(40)
    assert found.weave == pytest.approx(0.6, rel=0.5)
    assert "weave" in found.recommended["restore"]
    assert any("--restore weave steadies it" in line for line in sentences(found))
    assert found.to_json()["weave_at"][0]["px"] > 0.3


def test_repeats_of_a_pan_are_not_trembling() -> None:
    world = moments(60, 2, seed=4)
    motion = GateMotion()
    for number in range(48):
        motion.add(np.rint(world[number * 4 // 5]).astype(np.uint8), 255, Fraction(number, 24))
    assert [scene.jitter for scene in motion.found()] == [0.0]
