"""Rainbows where the picture moves: seen by the subcarrier's phase, taken off along the motion, never without it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.field_clips import frames_of
from tests.support.scenes import texture
from vidsr.filters.detect.tape_findings import System
from vidsr.filters.tape.carrier import CLEAR, clearness
from vidsr.filters.tape.composite_search import CompositeSearch
from vidsr.filters.tape.dotcrawl import frames_apart
from vidsr.filters.tape.rainbow import Rainbow
from vidsr.filters.tape.rainbow_motion import combed
from vidsr.filters.tape.subcarrier import CompositeFrame
from vidsr.frames import Floats, Frame
from vidsr.training.degradation.tape.composite import STANDARDS, Decoder, through_composite

SYSTEMS: tuple[System, ...] = ("ntsc", "pal")
COUNT, HEIGHT, WIDTH = 9, 80, 480


@cache
def moving(step: int = 4) -> Floats:
    """``[9, 80, 480, 3]`` YUV of a fine texture whose colours are coarse, moved by ``step`` pixels a frame."""
    wide = WIDTH + 8 * COUNT
    fine, coarse = (texture(HEIGHT, wide, seed, sigma)[0].numpy() for seed, sigma in ((1, 0.7), (2, 8.0)))
    world = np.stack((0.5 + 0.25 * (fine[0] - 0.5), 0.4 * (coarse[1] - 0.5), 0.4 * (coarse[2] - 0.5)), -1)
    return np.stack([world[:, step * n : step * n + WIDTH] for n in range(COUNT)]).astype(np.float32)


def woven() -> Floats:
    """Two moments a frame, one for each field, ``[8, 80, 480, 3]``."""
    odd = np.arange(HEIGHT)[:, None, None] % 2 == 1
    return np.stack([np.where(odd, moving()[n + 1], moving()[n]) for n in range(COUNT - 1)])


def coded(clip: Floats, interlaced: bool = False) -> list[Frame]:
    """As 8-bit 4:2:0; colour is averaged over two lines, or two lines of one field."""
    made = []
    for frame, p in zip(frames_of([16 + 219 * p[..., 0] for p in clip]), clip, strict=True):
        small = 128 + 224 * p[..., 1:].reshape(HEIGHT, -1, 2, 2).mean(2)
        pairs = (
            small.reshape(HEIGHT // 4, 2, 2, -1, 2).mean(1) if interlaced else small.reshape(-1, 2, *small.shape[1:])
        )
        rows = pairs.reshape(HEIGHT // 2, -1, 2) if interlaced else pairs.mean(1)
        made.append(replace(frame, planes=(frame.planes[0], *np.moveaxis(np.rint(rows).astype(np.uint8), 2, 0))))
    return made


@cache
def decoded(system: System, decoder: Decoder = "notch") -> Floats:
    return through_composite(moving(), STANDARDS[system], decoder, 13.5)


@cache
def without_crosstalk(system: System) -> Floats:
    """What the decoder gives if dots and rainbows are left out: the mean with the opposite phase."""
    apart = frames_apart(system)
    clip = np.concatenate((moving()[:apart], moving()))
    opposite = through_composite(clip, STANDARDS[system], "notch", 13.5)[apart:]
    return ((decoded(system) + opposite) / 2).astype(np.float32)


def errors(frames: list[Frame], truth: list[Frame], system: System) -> float:
    """Mean squared error of colour, of frames that are filtered."""
    apart = frames_apart(system)
    pairs = list(zip(frames, truth, strict=True))[apart:-apart]
    return float(np.mean([(f.planes[n].astype(float) - t.planes[n]) ** 2 for f, t in pairs for n in (1, 2)]))


def seen(frames: list[Frame], system: System, at: int = 4) -> float:
    apart = frames_apart(system)
    before, now, after = (CompositeFrame(frames[n]) for n in (at - apart, at, at + apart))
    return clearness(before, now, after, system)


@pytest.mark.parametrize("decoder", ["notch", "comb"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_composite_video_shows_its_subcarrier_in_motion_and_not_the_others(system: System, decoder: Decoder) -> None:
    source = coded(decoded(system, decoder))
    other: System = "pal" if system == "ntsc" else "ntsc"
    assert seen(source, system) > 2 * CLEAR
    assert seen(source, other) < CLEAR / 2
    assert seen(coded(moving()), system) < CLEAR / 2


@settings(max_examples=8, deadline=None)
@given(top=st.integers(0, 10), left=st.integers(0, 50), bottom=st.integers(0, 10))
def test_cropped_pictures_show_it_too(top: int, left: int, bottom: int) -> None:
    """By whole samples of colour."""
    three = []
    for frame in coded(decoded("pal"))[2:7:2]:
        parts = zip(frame.planes, (2, 1, 1), strict=True)
        planes = tuple(p[top * k : p.shape[0] - bottom * k, left * k :] for p, k in parts)
        three.append(CompositeFrame(replace(frame, planes=planes)))
    assert clearness(three[0], three[1], three[2], "pal") > CLEAR


@pytest.mark.parametrize("system", SYSTEMS)
def test_rainbows_go_along_the_motion(system: System) -> None:
    source, truth = coded(decoded(system)), coded(without_crosstalk(system))
    result = list(Rainbow(system)(iter(source)))
    assert errors(result, truth, system) < 0.65 * errors(source, truth, system)
    assert all(a.planes[0] is b.planes[0] for a, b in zip(source, result, strict=True))


def test_each_field_of_a_combed_frame_is_followed_by_itself() -> None:
    made = through_composite(woven(), STANDARDS["ntsc"], "notch", 13.5)
    opposite = through_composite(np.concatenate((woven()[:1], woven())), STANDARDS["ntsc"], "notch", 13.5)[1:]
    clean: Floats = ((made + opposite) / 2).astype(np.float32)
    source, truth = coded(made, interlaced=True), coded(clean, interlaced=True)
    result = list(Rainbow("ntsc")(iter(source)))
    assert errors(result, truth, "ntsc") < 0.65 * errors(source, truth, "ntsc")


def test_only_fields_of_different_times_are_taken_apart() -> None:
    for clip, expected in ((moving(), False), (woven(), True)):
        source = coded(through_composite(clip, STANDARDS["ntsc"], "notch", 13.5))
        assert combed(CompositeFrame(source[3]), CompositeFrame(source[4])) == expected


def test_fields_of_odd_heights_are_followed() -> None:
    """Of 78 lines, 39 of colour, the second field has 39 and 19."""
    source = coded(through_composite(woven(), STANDARDS["ntsc"], "notch", 13.5), interlaced=True)
    cut = [replace(f, planes=(f.planes[0][:78], *(p[:39] for p in f.planes[1:]))) for f in source]
    whole, result = (list(Rainbow("ntsc")(iter(frames))) for frames in (source, cut))
    assert all((a.planes[1] != b.planes[1]).any() for a, b in zip(result[1:-1], cut[1:-1], strict=True))
    far = [np.abs(a.planes[1][:30].astype(int) - b.planes[1][:30]).mean() for a, b in zip(whole, result, strict=True)]
    assert max(far) < 0.1


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_moves_stays_bit_for_bit_where_no_subcarrier_is_seen(system: System) -> None:
    source = coded(moving())
    result = list(Rainbow(system)(iter(source)))
    for before, after in zip(source, result, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(before.planes, after.planes, strict=True))


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_frame_depends_on_its_neighbours_alone(system: System) -> None:
    source = coded(decoded(system))
    whole, apart = list(Rainbow(system)(iter(source))), frames_apart(system)
    part = list(Rainbow(system)(iter(source[2 : 5 + apart])))
    assert all(np.array_equal(a, b) for a, b in zip(whole[4].planes, part[2].planes, strict=True))
    assert any((a != b).any() for a, b in zip(whole[4].planes[1:], source[4].planes[1:], strict=True))


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_search_finds_rainbows_where_all_moves(system: System) -> None:
    search, source = CompositeSearch(), coded(decoded(system))
    for at in range(COUNT):
        search.add(source, at)
    assert search.rainbows() == system


def test_colour_that_alternates_without_the_phase_is_no_rainbow() -> None:
    """As codecs make it: every second frame's colour is a little off, while luma stands still."""
    still = np.repeat(moving()[:1], COUNT, 0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    still[np.arange(COUNT) // 2 % 2 == 0, ..., 1:] += (0.02 * np.sin(x / 9) * np.sin(y / 9))[..., None].astype(
        np.float32
    )
    search, source = CompositeSearch(), coded(still)
    for at in range(COUNT):
        search.add(source, at)
    assert search.rainbows() is None
