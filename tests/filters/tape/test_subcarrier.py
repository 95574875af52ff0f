"""Dot crawl and rainbows: cancelled where the picture stands still, left where it moves, found only where they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.field_clips import frames_of
from vidsr.errors import OptionsError
from vidsr.filters.detect.tape_findings import System
from vidsr.filters.tape.composite_search import CompositeSearch
from vidsr.filters.tape.dotcrawl import DotCrawl
from vidsr.filters.tape.rainbow import Rainbow
from vidsr.frames import Floats, Frame
from vidsr.options.filter_choices import FilterSelection
from vidsr.training.degradation.tape.composite import STANDARDS, through_composite

SYSTEMS: tuple[System, ...] = ("ntsc", "pal")


def picture(at: int = 0, width: int = 192) -> Floats:
    """``[96, width, 3]`` YUV: coloured bars with sharp edges, stripes as fine as the subcarrier, moved by ``at``."""
    y, x = np.mgrid[:96, :width]
    x = x + at
    made = np.zeros((96, width, 3), np.float32)
    made[..., 0] = 0.45 + 0.1 * np.sin(x / 25) + 0.15 * ((y > 60) & (x % 192 > 100)) * np.sin(2 * np.pi * x / 3.6)
    made[..., 1] = 0.2 * np.sign(np.sin((x // 24) * 2.1)) * (y < 50)
    made[..., 2] = 0.2 * np.sign(np.cos((x // 24) * 1.3)) * (y < 50)
    return made


def coded(clip: list[Floats]) -> list[Frame]:
    frames = frames_of([16 + 219 * p[..., 0] for p in clip])
    made = []
    for frame, p in zip(frames, clip, strict=True):
        small = [128 + 224 * p[..., n].reshape(48, 2, -1, 2).mean((1, 3)) for n in (1, 2)]
        made.append(replace(frame, planes=(frame.planes[0], *(np.rint(s).astype(np.uint8) for s in small))))
    return made


def decoded(clip: list[Floats], system: System) -> list[Frame]:
    return coded(list(through_composite(np.stack(clip), STANDARDS[system], "comb", 13.5)))


def alternation(frames: list[Frame], number: int, distance: int) -> float:
    planes = [f.planes[number].astype(float) for f in frames]
    middle = range(2 * distance, len(planes) - 2 * distance)
    return float(np.mean([np.abs(planes[n] - planes[n + distance]).mean() for n in middle]))


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_alternates_goes_where_nothing_moves(system: System) -> None:
    source = decoded([picture()] * 11, system)
    result = list(Rainbow(system)(DotCrawl(system)(iter(source))))
    distance = DotCrawl(system).lookaround[0]
    for number in (0, 1, 2):
        before, after = (alternation(frames, number, distance) for frames in (source, result))
        assert before > 0.15 and after < 0.25 * before
    for n in (*range(distance), *range(11 - distance, 11)):
        assert all(np.array_equal(a, b) for a, b in zip(source[n].planes, result[n].planes, strict=True))


@pytest.mark.parametrize("system", SYSTEMS)
def test_dots_go_from_edges_whose_colour_is_turned_over_every_few_lines(system: System) -> None:
    """Three lines of a field (NTSC) or six (PAL) further on most of its dots are the same, as those of stripes are."""
    distance = DotCrawl(system).lookaround[0]
    tall = 8 * distance
    y, x = np.mgrid[:96, :192]
    picture = np.zeros((96, 192, 3), np.float32)
    picture[..., 0] = 0.5
    picture[..., 1] = 0.25 * np.sign(np.sin((x // 32) * 2.1)) * np.where(y // tall % 2, 1, -1)
    source = coded(list(through_composite(np.stack([picture] * 11), STANDARDS[system], "notch", 13.5)))
    result = list(DotCrawl(system)(iter(source)))
    before, after = (alternation(frames, 0, distance) for frames in (source, result))
    assert before > 1 and after < 0.1 * before


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("step", [0, 1, 2, 3])
def test_clean_clips_stay_whether_they_stand_still_or_move(system: System, step: int) -> None:
    source = coded([picture(step * n) for n in range(7)])
    rng = np.random.default_rng(step)
    noisy = [
        replace(f, planes=tuple((p + rng.normal(0, 2, p.shape)).clip(0, 255).astype(np.uint8) for p in f.planes))
        for f in source
    ]
    for clip, most in ((source, 0.001), (noisy, 0.005)):
        result = list(Rainbow(system)(DotCrawl(system)(iter(clip))))
        for before, after in zip(clip, result, strict=True):
            for a, b in zip(before.planes, after.planes, strict=True):
                assert (a != b).mean() <= most


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_passes_in_a_single_frame_is_no_rainbow(system: System) -> None:
    clip = [picture() for _ in range(9)]
    for n, still in enumerate(clip):
        still[30:60, 20 * n : 20 * n + 16] = (0.8, 0.15, -0.2)
    source = coded(clip)
    result = list(Rainbow(system)(DotCrawl(system)(iter(source))))
    for before, after in zip(source, result, strict=True):
        for a, b in zip(before.planes, after.planes, strict=True):
            assert (a != b).mean() <= 0.001


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_search_names_the_system(system: System) -> None:
    search = CompositeSearch()
    source = decoded([picture(width=480)] * 9, system)
    for at in range(9):
        search.add(source, at)
    assert (search.dot_crawl(), search.rainbows()) == (system, system)


@pytest.mark.parametrize("step", [0, 2])
def test_the_search_finds_nothing_in_clean_clips(step: int) -> None:
    search = CompositeSearch()
    source = coded([picture(step * n, 480) for n in range(9)])
    for at in range(9):
        search.add(source, at)
    assert (search.dot_crawl(), search.rainbows()) == (None, None)


def test_narrow_pictures_hold_no_subcarrier() -> None:
    search = CompositeSearch()
    source = decoded([picture(width=352)] * 9, "ntsc")
    for at in range(9):
        search.add(source, at)
    assert (search.dot_crawl(), search.rainbows()) == (None, None)


def test_the_system_is_named_or_found() -> None:
    selection = FilterSelection.parse("rainbow=pal,dotcrawl=ntsc")
    assert str(selection) == "dotcrawl=ntsc,rainbow=pal"
    with pytest.raises(OptionsError, match="ntsc or pal"):
        FilterSelection.parse("dotcrawl=secam")
