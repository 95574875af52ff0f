"""Smeared colour: measured against luma, sharpened where it follows luma, left where it does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.field_clips import frames_of
from vidsr.filters.tape.bleed import Bleed
from vidsr.filters.tape.smeared_colour import explained, width_of
from vidsr.frames import Floats, Frame
from vidsr.training.degradation.tape.signal import filtered


def areas(seed: int) -> tuple[Floats, Floats, Floats]:
    """Luma and two planes of colour ``[160, 320]``: rectangles, each of its own brightness and colour."""
    rng = np.random.default_rng(seed)
    planes = [np.full((160, 320), value, np.float32) for value in (110, 125, 130)]
    for _ in range(40):
        y, x = rng.integers(0, 140), rng.integers(0, 280)
        part = np.s_[y : y + rng.integers(14, 50), x : x + rng.integers(20, 90)]
        for plane, spread in zip(planes, (80, 45, 45), strict=True):
            plane[part] = 125 + spread * rng.uniform(-1, 1)
    return planes[0], planes[1], planes[2]


def smeared(plane: Floats, width: float) -> Floats:
    return filtered(plane, lambda f: np.exp(-2 * (np.pi * width * f) ** 2), 1.0) if width else plane


def clip(width: float, count: int = 5) -> list[Frame]:
    frames = []
    for n in range(count):
        luma, *colours = areas(n)
        (frame,) = frames_of([luma])
        small = [smeared(c, width).reshape(80, 2, 160, 2).mean((1, 3)) for c in colours]
        codes = [np.rint(s).clip(0, 255).astype(np.uint8) for s in small]
        colour = replace(frame.colour, chroma_location="center")
        frames.append(replace(frame, planes=(frame.planes[0], *codes), colour=colour))
    return frames


def measured(frames: list[Frame]) -> float:
    return width_of([e for e in map(explained, frames) if e is not None])


def error(frame: Frame, true: Frame) -> float:
    return float(np.mean([(a.astype(float) - b) ** 2 for a, b in zip(frame.planes[1:], true.planes[1:], strict=True)]))


@pytest.mark.parametrize("width", [4.0, 6.5])
def test_smear_is_measured_and_colour_sharpened(width: float) -> None:
    clean, source = clip(0), clip(width)
    found = measured(source)
    assert found == pytest.approx(width, abs=1.6)
    result = list(Bleed(found)(iter(source)))
    before, after = (sum(error(f, t) for f, t in zip(frames, clean, strict=True)) for frames in (source, result))
    assert after < 0.75 * before
    assert all(a.planes[0] is b.planes[0] for a, b in zip(source, result, strict=True))


def test_colour_as_sharp_as_luma_is_not_called_smeared() -> None:
    assert measured(clip(0)) == 0
    assert measured(clip(1.5)) == 0


def test_colour_that_does_not_follow_luma_stays_and_none_is_invented() -> None:
    source = clip(4.0)
    flat = [replace(f, planes=(np.full_like(f.planes[0], 90), *f.planes[1:])) for f in source]
    for before, after in zip(flat, Bleed(4.5)(iter(flat)), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(before.planes, after.planes, strict=True))
    for before, after in zip(source, Bleed(4.5)(iter(source)), strict=True):
        for a, b in zip(before.planes[1:], after.planes[1:], strict=True):
            assert a.min() <= b.min() and b.max() <= a.max()
