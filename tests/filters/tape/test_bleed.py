"""Colour smeared along the lines: its bandwidth measured, and sharpened by the edges of luma."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.field_clips import frames_of
from vidsr.filters.before.crop import Crop
from vidsr.filters.before.descriptor import make_filter
from vidsr.filters.detect.inspection_text import sentences
from vidsr.filters.inspector import Inspector
from vidsr.filters.tape.bleed import Bleed, noise, sharpened
from vidsr.filters.tape.colour_band import ColourDetail, bandwidth, colour_rate, detail, gains, sampling_rate
from vidsr.frames import Floats, Frame
from vidsr.options.filter_choices import FilterSelection
from vidsr.training.degradation.tape.signal import low_passed

WIDTH, HEIGHT = 352, 192


@lru_cache
def painting() -> tuple[Floats, Floats]:
    """Luma ``[h, w]`` and colour ``[2, h, w]`` of things of any size that cover each other, each of one luma and one
    colour: larger than a frame, so that a camera can pan."""
    rng = np.random.default_rng(3)
    height, width = HEIGHT + 32, WIDTH + 64
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    luma = np.full((height, width), 90, np.float32)
    colour = np.full((2, height, width), 128, np.float32)
    for size in np.geomspace(90, 5, 300):
        y, x, turn = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(0, np.pi)
        right, down = columns - x, rows - y
        along, across = right * np.cos(turn) + down * np.sin(turn), down * np.cos(turn) - right * np.sin(turn)
        inside = (along / size) ** 2 + (across / (rng.uniform(0.3, 1) * size)) ** 2 < 1
        luma[inside], colour[:, inside] = rng.uniform(30, 220), rng.uniform(90, 166, (2, 1))
    return luma, colour


def patches(count: int) -> list[tuple[Floats, Floats]]:
    """What a camera sees that pans over the painting."""
    luma, colour = painting()
    parts = [(slice(n, n + HEIGHT), slice(2 * n, 2 * n + WIDTH)) for n in range(count)]
    return [(luma[part], colour[(slice(None), *part)]) for part in parts]


def filmed(band: float, count: int = 6) -> list[Frame]:
    """As 4:2:0 with a little noise; the colour of each line limited to ``band`` MHz, unless that is 0."""
    rng = np.random.default_rng(1)
    made = patches(count)
    frames = []
    for frame, (_, colour) in zip(frames_of([luma for luma, _ in made]), made, strict=True):
        planes = colour.reshape(2, HEIGHT // 2, 2, WIDTH // 2, 2).mean((2, 4))
        if band:
            planes = low_passed(planes, band, sampling_rate(WIDTH) / 2)
        planes = planes + rng.normal(0, 0.5, planes.shape)
        codes = tuple(np.rint(plane).clip(0, 255).astype(np.uint8) for plane in planes)
        place = replace(frame.colour, chroma_location="center")
        frames.append(replace(frame, planes=(frame.planes[0], *codes), colour=place))
    return frames


def shown(frames: list[Frame]) -> list[ColourDetail]:
    return [found for found in map(detail, frames) if found is not None]


def error(frames: list[Frame], truth: list[Frame]) -> float:
    apart = [f.planes[n].astype(float) - t.planes[n] for f, t in zip(frames, truth, strict=True) for n in (1, 2)]
    return float(np.sqrt(np.mean(np.square(apart))))


@pytest.mark.parametrize(("band", "left"), [(0.3, 0.75), (0.4, 0.8), (0.6, 0.9)])
def test_colour_is_sharpened(band: float, left: float) -> None:
    source, truth = filmed(band), filmed(0)
    result = list(Bleed(band)(iter(source)))
    assert all(a.planes[0] is b.planes[0] for a, b in zip(result, source, strict=True))
    assert error(result, truth) < left * error(source, truth)


@pytest.mark.parametrize("band", [0.25, 0.3, 0.35])
def test_the_band_is_measured(band: float) -> None:
    source = filmed(band)
    assert bandwidth(shown(source), colour_rate(source[0])) == pytest.approx(band, rel=0.2)


@pytest.mark.parametrize("band", [0, 1.5])
def test_colour_as_wide_as_usual_is_left_alone(band: float) -> None:
    source = filmed(band)
    assert bandwidth(shown(source), colour_rate(source[0])) == 0


def test_colour_that_is_soft_in_both_directions_is_left_alone() -> None:
    """As coarse coding leaves it: not a fault of tape."""
    frames = []
    for frame in filmed(0):
        planes = np.stack(frame.planes[1:3]).astype(np.float32)
        for _ in range(2):
            planes = low_passed(planes, 0.4, sampling_rate(WIDTH) / 2).swapaxes(1, 2)
        codes = tuple(np.rint(plane).astype(np.uint8) for plane in planes)
        frames.append(replace(frame, planes=(frame.planes[0], *codes)))
    assert bandwidth(shown(frames), colour_rate(frames[0])) == 0


def test_what_has_no_colour_or_little_of_it_is_not_measured() -> None:
    frame = filmed(0.4, 1)[0]
    small = replace(
        frame, planes=tuple(plane[: 80 >> (n > 0), : 80 >> (n > 0)] for n, plane in enumerate(frame.planes))
    )
    assert detail(small) is None
    assert bandwidth([], 3.3) == bandwidth(shown([frame]), 3.3) == 0


@pytest.mark.parametrize("name", ["bleed=0.4", "chroma=3"])
def test_a_crop_does_not_change_what_is_done_to_lines(name: str) -> None:
    """Bandwidth and delay count from the width of recorded lines, with the bars at their sides."""
    source = filmed(0.4, 2)
    alone, cropped = source, source
    for choice in FilterSelection.parse(name).choices:
        alone = list(make_filter(choice)(iter(alone)))
    for choice in FilterSelection.parse(f"crop=44:8:{WIDTH - 88}:{HEIGHT - 16},{name}").choices:
        cropped = list(make_filter(choice)(iter(cropped)))
    whole = Crop(44, 8, WIDTH - 88, HEIGHT - 16)(iter(alone))
    for got, want in zip(cropped, whole, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(got.planes, want.planes, strict=True))


def test_inspection_says_so_and_recommends_it() -> None:
    source = filmed(0.3, 12)
    inspector = Inspector(rate=Fraction(25))
    inspector.add(source)
    found = inspector.result(len(source))
    assert found.tape.colour_band == pytest.approx(0.3, rel=0.2)
    assert any("--restore bleed" in line for line in sentences(found))
    assert "bleed" in found.recommended["restore"].split(",")


@given(st.floats(0.2, 3.0), st.integers(20, 235), st.integers(0, 2**32 - 1))
def test_even_colour_stays_whatever_luma_shows(band: float, code: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = frames_of([rng.integers(16, 236, (48, 96)).astype(np.float32)], chroma=code)[0]
    (result,) = Bleed(band)(iter([frame]))
    assert all(np.array_equal(a, b) for a, b in zip(result.planes, frame.planes, strict=True))


@given(st.floats(0.2, 3.0), st.integers(0, 2**32 - 1))
def test_the_sum_over_a_plane_stays(band: float, seed: int) -> None:
    """The smear and the differences between neighbours both keep it, but for what the ends of lines repeat."""
    rng = np.random.default_rng(seed)
    colour = np.full((2, 24, 200), 128, np.float32)
    colour[:, :, 80:120] += rng.normal(0, 20, (2, 24, 40)).astype(np.float32)
    luma = rng.uniform(16, 235, (24, 200)).astype(np.float32)
    made = sharpened(colour, luma, gains(200, band, 6.75))
    assert np.allclose(made.mean((1, 2)), colour.mean((1, 2)), atol=0.3)


def test_noise_is_measured() -> None:
    rng = np.random.default_rng(5)
    assert noise(rng.normal(100, 3, (2, 100, 100)).astype(np.float32)) == pytest.approx(3, rel=0.05)
    assert noise(np.zeros((2, 2, 8), np.float32)) == 0
