"""The path of a steadied picture: trembling goes, the camera's own motion stays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from vidsr.filters.film.steady_path import REACH, frame_jitter, gate_share, steady_position, unsteadiness

TIMES = np.arange(90.0)
PANS = {
    "locked": 0 * TIMES,
    "steady": 1.7 * TIMES,
    "starts": 2.0 * np.clip(TIMES - 45, 0, None),
    "sways": 8 * np.sin(TIMES / 9),
    "speeds up": 0.01 * TIMES**2,
}


def steadied(path: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    targets = []
    for at in range(len(path)):
        low, high = max(0, at - REACH), min(len(path), at + REACH + 1)
        targets.append(steady_position(path[low:high], at - low))
    return np.array(targets)


@pytest.mark.parametrize("name", PANS)
def test_a_sound_pan_is_left_alone(name: str) -> None:
    path = PANS[name] + np.cumsum(np.random.default_rng(1).normal(0, 0.005, len(TIMES)))
    assert np.abs(steadied(path) - path).max() < 0.1


@pytest.mark.parametrize("name", PANS)
def test_trembling_goes(name: str) -> None:
    tremble = np.random.default_rng(2).normal(0, 0.5, len(TIMES))
    rest = steadied(PANS[name] + tremble) - PANS[name]
    departures = (rest[1:-1] - (rest[:-2] + rest[2:]) / 2) * np.sqrt(2 / 3)
    assert np.sqrt((departures**2).mean()) < 0.1
    assert np.abs(rest).max() < (0.6 if name in ("locked", "steady") else 2.0)


def test_the_measures_of_unsteadiness() -> None:
    tremble = np.random.default_rng(3).normal(0, 0.5, 49)
    for pan in PANS.values():
        assert unsteadiness(pan[20:69] + tremble) == pytest.approx(0.5, rel=0.4)
        assert frame_jitter(pan[20:69] + tremble) == pytest.approx(0.5, rel=0.4)
    assert frame_jitter(PANS["sways"]) < 0.01
    assert unsteadiness(np.zeros(3)) == frame_jitter(np.zeros(3)) == 0


def test_a_gate_is_told_from_a_hand() -> None:
    rng = np.random.default_rng(4)
    tremble = rng.normal(0, 0.5, 49)
    hand = np.convolve(rng.normal(0, 0.5, 60), np.hanning(12) / 3, "valid")[:49]
    assert gate_share([hand, hand]) == 0
    assert gate_share([np.zeros(49), tremble]) == 1
    assert gate_share([hand, tremble]) == 1
    assert gate_share([np.cumsum(rng.normal(0, 0.02, 49))] * 2) == 0
