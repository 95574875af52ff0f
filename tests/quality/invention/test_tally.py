"""Figures per frame, shot and film."""

from __future__ import annotations

import pytest
import torch

from vidsr.quality.invention.error_model import OFFSET, ExpectedError
from vidsr.quality.invention.tally import FrameInvention, InventionTally


def frame(seconds: float, errors: list[float], cut: bool = False) -> FrameInvention:
    """A frame whose places are off by these errors, for certain."""
    width = torch.full((1, 1, 1, len(errors)), 1e-4)
    centre = (torch.tensor(errors, dtype=torch.float32).view(1, 1, 1, -1) + OFFSET).log()
    return FrameInvention.of(seconds, ExpectedError(centre=centre, width=width), cut=cut)


def test_film_shots_and_frames() -> None:
    tally = InventionTally(
        [frame(0, [1, 3.99, 9, 10.01]), frame(0.5, [1, 1, 1, 1]), frame(1.0, [20, 20, 20, 2], cut=True)]
    )
    found = tally.to_json()
    assert found["film"] == tally.film()
    assert found["film"]["supported_percent"] == pytest.approx(100 * (2 + 4 + 1) / 12, abs=0.01)
    assert found["film"]["invented_percent"] == pytest.approx(100 * (1 + 0 + 3) / 12, abs=0.01)
    first, second = found["shots"]
    assert (first["start"], first["last"], first["frames"]) == (0, 0.5, 2)
    assert (second["start"], second["invented_percent"], second["expected_error"]) == (1.0, 75, 15.5)
    assert [f["within_4_percent"] for f in found["frames"]] == [50, 100, 25]
    assert first["error_low"] == pytest.approx(first["expected_error"], abs=0.02), "no spread, because it is certain"


def test_nothing() -> None:
    assert InventionTally().to_json()["shots"] == [] and InventionTally().film()["expected_error"] == 0
