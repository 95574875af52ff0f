"""Regions that only one frame has: how they are found and joined, measured and judged, and what they cover."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vidsr.filters.film.speck_measures import (
    NAMES,
    RegionValues,
    _beyond_all,
    measures,
    moved_shares,
    sampled,
    stand_out,
)
from vidsr.filters.film.speck_network import _network, are_specks, evidence, have_moved
from vidsr.filters.film.specks import Regions, SeenAround, _joined, cover, regions_of
from vidsr.filters.flow import warp

LIMIT, AGREE, PEAK = 9 / 255, 0.6, 18 / 255


def neighbours(own: Tensor, before: Tensor, after: Tensor) -> SeenAround:
    still = torch.zeros(1, 2, *own.shape[-2:])
    return SeenAround(own=own, before=before, after=after, flows=[(still, still)] * 2, far=())


def found_in(seen: SeenAround) -> Regions:
    return regions_of(torch.ones_like(seen.own), seen, LIMIT, AGREE, PEAK)


def named(values: RegionValues, name: str) -> RegionValues:
    return np.asarray(values[:, NAMES.index(name)])


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


def test_marks_before_a_still_picture() -> None:
    seen = flat_with_marks()
    found = found_in(seen)
    values = measures(found, (seen.own != seen.before).float(), seen)
    assert values.shape == (2, len(NAMES))
    nothing = ("differ near", "misfit near", "differ around", "misfit around", "differ inside", "far, worse")
    still = ("texture of the frame", "texture behind", "moved", "speed", "not returned")
    for name in nothing + still:
        assert np.allclose(named(values, name), 0, atol=1e-3), name
    for name in ("outside 1 px", "outside 1 px, mean", "outside 2 px", "compact"):
        assert np.allclose(named(values, name), 1, atol=1e-5), name
    assert np.allclose(np.exp(named(values, "area")), [12, 20])
    assert np.allclose(np.exp(named(values, "depth")), [0.4 * 255, 0.3 * 255])


def test_faults_of_the_other_sign_beside_a_region_are_counted() -> None:
    seen = flat_with_marks()
    seen.own[..., 16:18, 8:12] = 0.1
    found = found_in(seen)
    values = measures(found, (seen.own != seen.before).float(), seen)
    counted = np.expm1(named(values, "other sign beside")) * found.sizes
    bright = np.flatnonzero(found.sizes == 12)[0]
    dark = np.flatnonzero(found.sizes == 8)[0]
    assert np.allclose(counted[[bright, dark]], [8, 12], atol=0.1)
    assert counted[found.sizes == 20] < 1  # of the faint one it has a part beside it


def test_motion_that_does_not_come_back_is_noticed() -> None:
    seen = flat_with_marks()
    still = torch.zeros(1, 2, 40, 50)
    there, back, elsewhere = still + 3, still - 3, still + 1
    near = torch.zeros_like(seen.own)
    returned = replace(seen, flows=[(there, back), (back, there)])
    values = measures(found_in(seen), near, returned)
    assert np.allclose(named(values, "not returned"), 0, atol=1e-5)
    assert np.allclose(named(values, "acceleration"), 0, atol=1e-5)
    assert np.allclose(np.expm1(named(values, "speed")), np.hypot(3, 3), atol=1e-4)
    values = measures(found_in(seen), near, replace(seen, flows=[(there, elsewhere), (back, there)]))
    assert np.allclose(np.expm1(named(values, "not returned")), np.hypot(4, 4), atol=1e-4)


def test_witnesses_that_show_something_else_are_noticed() -> None:
    seen = flat_with_marks()
    still = torch.zeros(1, 2, 40, 50)
    swinging = replace(seen, far=[(still, still, seen.own), (still, still, seen.before)])
    values = measures(found_in(seen), torch.zeros_like(seen.own), swinging)
    assert np.allclose(named(values, "far, worse"), 1, atol=1e-5)
    assert np.allclose(named(values, "far, better"), 0, atol=1e-5)


def test_texture_whose_motion_is_a_pixel_wrong_lies_within_what_the_neighbours_show() -> None:
    rng = np.random.default_rng(4)
    texture = torch.from_numpy(rng.uniform(0, 1, (1, 1, 40, 40)).astype(np.float32)) * 0.5 + 0.2
    own = texture.roll(1, 3).clone()
    own[..., 20:23, 20:23] = 0.95
    seen = neighbours(own, texture, texture.roll(1, 2))
    y, x = (side.reshape(-1) for side in np.mgrid[2:40, 2:40])  # beyond is what was rolled in
    everywhere = Regions(y=y, x=x, region=np.arange(len(y)), beyond=np.ones(len(y), np.float32), count=len(y))
    outside = _beyond_all(everywhere, seen, 1).reshape(38, 38) > 6 / 255
    assert np.array_equal(stand_out(everywhere, seen), _beyond_all(everywhere, seen, 1) > 0.3)
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
    moved = dict(zip(found.mean(found.y.astype(np.float32)).round(), moved_shares(found, seen)[0], strict=True))
    assert moved == {6.0: 0, 24.0: 1, 47.0: 0}


def test_of_large_regions_those_that_were_beside_their_place_stay() -> None:
    values = np.zeros((5, len(NAMES)))
    values[:, NAMES.index("area")] = np.log([300, 300, 170, 170, 100])
    values[:, NAMES.index("moved, faint")] = 0.9, 0.2, 0.9, 1.5, 1.5
    values[:, NAMES.index("moved")] = 0.3, 0.1, 0.3, 1.2, 1.2
    assert list(have_moved(values)) == [True, False, False, True, False]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_a_region_is_judged_alike_whatever_else_is_judged(count: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(0, 2, (count, len(NAMES)))
    together = evidence(values, _network())
    alone = np.concatenate([evidence(row[None], _network()) for row in values])
    assert np.array_equal(together, alone)


def test_a_clear_region_of_which_the_network_is_unsure_is_judged_by_few_measures() -> None:
    """It fits its neighbours all around, and lies far outside of what they show."""
    network = _network()
    few = {"differ around": 0.05, "misfit around": 0.05, "far, worse": 0.1, "outside 1 px": 1.0}
    rng = np.random.default_rng(1)
    values = network["mean"] + network["deviation"] * rng.normal(0, 0.7, (4000, len(NAMES)))
    for name, value in few.items():
        values[:, NAMES.index(name)] = value
    values[:, NAMES.index("moved")] = values[:, NAMES.index("moved, faint")] = 0.0
    values[:, NAMES.index("peak")] = np.log(25)
    said = evidence(values, network)
    unsure, sure_not = (said > -2) & (said <= 0), said <= -2
    assert unsure.any() and sure_not.any()
    assert are_specks(values, 18)[unsure].all() and not are_specks(values, 26)[unsure].any()
    assert not are_specks(values, 18)[sure_not].any()
    values[:, NAMES.index("far, worse")] = 1.0
    again = evidence(values, network) <= 0
    assert not are_specks(values, 18)[again].any(), "the frames two away show something else"


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
