"""The ladder of fallbacks of a segment that fails."""

from __future__ import annotations

from typing import Any

import pytest

from vidsr.jobs.segment_worker import FALLBACK_TILE_PX, RUNGS, next_rung, on_rung
from vidsr.options import ModelOptions


@pytest.mark.parametrize(
    ("asked", "rungs"),
    [
        ({}, [1, 2, 3]),
        ({"batch": 1}, [2, 3]),
        ({"batch": 1, "tile": FALLBACK_TILE_PX}, [3]),
        ({"batch": 4, "tile": 64}, [1, 3]),
        ({"batch": 1, "tile": 64, "precision": "fp32"}, []),
    ],
)
def test_only_rungs_that_change_something_are_tried(asked: dict[str, Any], rungs: list[int]) -> None:
    options = ModelOptions(**asked)
    tried = [next_rung(options, 0)]
    while tried[-1] < len(RUNGS):
        tried.append(next_rung(options, tried[-1]))
    assert tried == [*rungs, len(RUNGS)]


def test_what_each_rung_computes_with() -> None:
    options = ModelOptions(batch=4, tile=512, precision="fp16", compile=True)
    found = [(o.batch, o.tile, o.precision, o.compile) for o in (on_rung(options, rung) for rung in range(len(RUNGS)))]
    assert found == [(4, 512, "fp16", True), (1, 512, "fp16", True), (1, 128, "fp16", True), (1, 128, "fp32", False)]
