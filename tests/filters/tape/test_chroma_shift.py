"""The delay of colour: measured along the edges of luma, undone to a part of a sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.field_clips import frames_of, moments
from vidsr.filters.detect.chroma_delay import delay, scores
from vidsr.filters.tape.chroma_shift import Chroma, moved_left
from vidsr.frames import Frame


def coloured(by: float, count: int = 6) -> list[Frame]:
    """Luma, and colour that follows it ``by`` luma px to the right."""
    frames = []
    for frame in frames_of([np.tile(y, 2) for y in moments(count, 3)]):
        small = frame.planes[0].astype(np.float32).reshape(48, 2, 128, 2).mean((1, 3))
        planes = [moved_left(100 + sign * 0.4 * (small - 128), -by / 2) for sign in (1, -1)]
        codes = tuple(np.rint(p).astype(np.uint8) for p in planes)
        colour = replace(frame.colour, chroma_location="center")
        frames.append(replace(frame, planes=(frame.planes[0], *codes), colour=colour))
    return frames


def measured(frames: list[Frame]) -> float:
    found = [s for s in map(scores, frames) if s is not None]
    return delay(found)


@pytest.mark.parametrize("by", [-5.0, 2.6, 4.0, 7.5])
def test_the_delay_is_measured_and_undone(by: float) -> None:
    clean, source = coloured(0), coloured(by)
    found = measured(source)
    assert found == pytest.approx(by, abs=0.4)
    for true, before, after in zip(clean, source, Chroma(found)(iter(source)), strict=True):
        assert after.planes[0] is before.planes[0]
        errors = [np.abs(f.planes[1].astype(int) - true.planes[1])[:, 8:-8].mean() for f in (before, after)]
        assert errors[1] < 0.35 * errors[0]


@pytest.mark.parametrize("by", [-3.0, 2.5, 5.0])
def test_strong_colour_that_does_not_follow_its_luma_does_not_mislead(by: float) -> None:
    source = []
    for frame in coloured(by):
        luma, u, v = (plane.astype(np.int16) for plane in frame.planes)
        # Lit shapes whose strong colours lie 12 px beside them.
        for start in range(20, 220, 28):
            luma[8:40, 2 * start : 2 * start + 28] += 60
            u[4:20, start + 6 : start + 20] += 90
        planes = tuple(plane.clip(0, 255).astype(np.uint8) for plane in (luma, u, v))
        source.append(replace(frame, planes=planes))
    assert measured(source) == pytest.approx(by, abs=0.4)


@pytest.mark.parametrize("by", [0.0, 0.8, -1.2])
def test_small_delays_and_colour_without_luma_are_left_alone(by: float) -> None:
    assert measured(coloured(by)) == 0
    rng = np.random.default_rng(1)
    noise = [
        replace(f, planes=(f.planes[0], *(rng.integers(90, 160, f.planes[1].shape, dtype=np.uint8) for _ in range(2))))
        for f in coloured(0)
    ]
    assert measured(noise) == 0
    assert measured(frames_of(moments(6, 2))) == 0


def test_whole_samples_are_moved_exactly() -> None:
    plane = np.random.default_rng(2).uniform(0, 255, (4, 40)).astype(np.float32)
    assert np.allclose(moved_left(plane, 3)[:, :-4], plane[:, 3:-1], atol=1e-3)
    assert np.allclose(moved_left(np.full((2, 30), 77, np.float32), 2.4), 77, atol=1e-3)
