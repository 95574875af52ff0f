"""Regions that only one frame has: how they are found and joined, what they are compared with, what they cover."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vidsr.filters.film.specks import (
    Regions,
    SeenAround,
    _joined,
    _outside,
    cover,
    features,
    have_moved,
    regions_of,
    sampled,
)
from vidsr.filters.flow import warp

LIMIT, AGREE, PEAK = 9 / 255, 0.6, 18 / 255


def neighbours(own: Tensor, before: Tensor, after: Tensor) -> SeenAround:
    return SeenAround(own=own, before=before, after=after, far=())


def found_in(seen: SeenAround) -> Regions:
    return regions_of(torch.ones_like(seen.own), seen, LIMIT, AGREE, PEAK)


def flat_with_marks() -> SeenAround:
    """Grey, with a bright mark, a dark one, and a faint one."""
    grey = torch.full((1, 1, 40, 50), 0.5)
    own = grey.clone()
    own[..., 10:13, 8:12] = 0.9
    own[..., 30, 20:40] = 0.2
    own[..., 20, 45] = 0.55
    return neighbours(own, grey, grey)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 13), st.booleans()), min_size=1, max_size=40))
def test_pixels_within_two_of_each_other_are_one_region(pixels: list[tuple[int, int, bool]]) -> None:
    kinds = {(y, x): bright for y, x, bright in pixels}
    y, x = (np.array(side) for side in zip(*kinds, strict=True))
    bright = np.array(list(kinds.values()))
    region, count = _joined(y, x, bright, (12, 14))
    reached = np.eye(len(y), dtype=bool)
    near = (np.abs(y[:, None] - y) <= 2) & (np.abs(x[:, None] - x) <= 2) & (bright[:, None] == bright)
    for _ in range(len(y)):
        reached = reached @ near
    assert np.array_equal(region[:, None] == region, reached)
    assert sorted(set(region)) == list(range(count))


def test_marks_are_found_with_their_sign_and_faint_ones_are_not() -> None:
    seen = flat_with_marks()
    found = found_in(seen)
    assert found.count == 2 and sorted(np.bincount(found.region)) == [12, 20]
    bright = found.of(found.mean(found.beyond) > 0)
    assert bright.count == 1 and set(bright.y) == {10, 11, 12} and set(bright.x) == {8, 9, 10, 11}
    assert np.allclose(bright.beyond, 0.4) and set(bright.region) == {0}


def test_marks_before_a_still_picture_have_no_misfit() -> None:
    seen = flat_with_marks()
    found = found_in(seen)
    near = (seen.own != seen.before).float()
    values = features(found, near, seen)
    assert np.allclose(values[:, :3], 0, atol=1e-6) and np.allclose(values[:, 3], 1, atol=1e-5)


def test_witnesses_that_show_something_else_are_noticed() -> None:
    seen = flat_with_marks()
    still, other = torch.zeros(1, 2, 40, 50), seen.own
    swinging = SeenAround(own=seen.own, before=seen.before, after=seen.after, far=[(still, still, other)])
    found = found_in(seen)
    assert np.allclose(features(found, torch.zeros_like(seen.own), swinging)[:, 2], 1, atol=1e-5)


def test_texture_whose_motion_is_a_pixel_wrong_lies_within_what_the_neighbours_show() -> None:
    rng = np.random.default_rng(4)
    texture = torch.from_numpy(rng.uniform(0, 1, (1, 1, 40, 40)).astype(np.float32)) * 0.5 + 0.2
    own = texture.roll(1, 3).clone()
    own[..., 20:23, 20:23] = 0.95
    seen = neighbours(own, texture, texture.roll(1, 2))
    y, x = (side.reshape(-1) for side in np.mgrid[2:40, 2:40])  # beyond is what was rolled in
    everywhere = Regions(y=y, x=x, region=np.arange(len(y)), beyond=np.ones(len(y), np.float32), count=len(y))
    outside = _outside(everywhere, seen).reshape(38, 38) > 6 / 255
    speck = np.zeros((38, 38), bool)
    speck[18:21, 18:21] = True
    assert np.array_equal(outside, speck)


def test_what_was_beside_it_before_and_is_after_has_moved_in() -> None:
    pictures = [torch.full((1, 1, 60, 120), 0.3) for _ in range(3)]
    for picture, x in zip(pictures, (40, 50, 62), strict=True):
        picture[..., 20:28, x : x + 8] = 0.8
    pictures[1][..., 45:50, 90:95] = 0.9  # a speck
    pictures[1][..., 4:8, 4:9] = 0.9  # a speck, with another beside it before only
    pictures[0][..., 4:8, 14:19] = 0.9
    seen = neighbours(pictures[1], pictures[0], pictures[2])
    found = found_in(seen)
    assert found.count == 3
    moved = dict(zip(found.mean(found.y.astype(np.float32)).round(), have_moved(found, seen), strict=True))
    assert moved == {6.0: False, 24.0: True, 47.0: False}


@pytest.mark.parametrize("channels", [1, 2])
def test_sampling_at_places_is_carrying_a_picture(channels: int) -> None:
    draw = torch.Generator().manual_seed(channels)
    picture = torch.rand(1, channels, 17, 23, generator=draw)
    flow = (torch.rand(1, 2, 17, 23, generator=draw) - 0.5) * 9
    y, x = (side.reshape(-1).astype(np.float32) for side in np.mgrid[:17, :23])
    made = sampled(picture, y + flow[0, 1].numpy().reshape(-1), x + flow[0, 0].numpy().reshape(-1))
    torch.testing.assert_close(torch.from_numpy(made).view(1, channels, 17, 23), warp(picture, flow), atol=2e-5, rtol=0)


def test_the_soft_edge_is_covered_and_what_differs_the_other_way_is_not() -> None:
    grey = torch.full((1, 1, 20, 20), 0.5)
    own = grey.clone()
    own[..., 8:12, 8:12] = 0.9
    own[..., 8:12, 12] = 0.53
    own[..., 8:12, 7] = 0.47
    own[..., 2, 2] = 0.53
    seen = neighbours(own, grey, grey)
    mask = cover(found_in(seen), seen, 2, 2 / 255)[0, 0]
    assert (mask[8:12, 8:13] == 1).all()
    mask[8:12, 8:13] = 0
    assert not mask.any()
