"""How many frames are measured."""

from __future__ import annotations

from torch import nn

from vidsr.jobs.invention.sampling import FEWEST_FRAMES, LEAST_EVERY, SHORT_EVERY, TENFOLD_PARAMETERS, FrameSampling


def sized(parameters: int) -> nn.Module:
    return nn.Linear(parameters, 1, bias=False, device="meta")


def test_fewer_frames_of_fast_networks_and_enough_of_short_films() -> None:
    slow, fast = sized(TENFOLD_PARAMETERS), sized(TENFOLD_PARAMETERS // 50)
    assert FrameSampling.of(slow, 10_000).every == LEAST_EVERY
    found = FrameSampling.of(fast, 10_000)
    assert found.every == 50 and "one frame in 50" in found.rule and "tenth" in found.rule
    assert FrameSampling.of(fast, 48).every == FrameSampling.of(fast, 3).every == SHORT_EVERY
    for frames in (192, 300, 500):
        assert frames / FrameSampling.of(fast, frames).every >= FEWEST_FRAMES
    assert FrameSampling.every_frame().to_json() == {"every": 1, "rule": "every frame"}
