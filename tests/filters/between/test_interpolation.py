"""Frames in between, made along the motion."""

from __future__ import annotations

import pytest
import torch

from tests.support.scenes import pan, texture
from vidsr.filters.between.interpolation import BestWay, Way, best_way, is_cut, is_surely_no_cut, learned_way, own_way
from vidsr.models.ifnet import IFNet, load


@pytest.fixture(scope="module")
def network() -> IFNet:
    return load()


def worst(made: torch.Tensor, truth: torch.Tensor) -> float:
    """The largest difference away from the borders, where things come in."""
    return float((made - truth)[..., 16:-16, 16:-16].abs().max())


@pytest.mark.parametrize(("share", "number"), [(0.5, 2), (0.25, 1), (0.75, 3)])
def test_what_moves_is_where_it_would_be(share: float, number: int) -> None:
    frames = pan(5, 1, 1)
    before, after = frames[:1], frames[4:]
    made = own_way(before, after, share).of(before, after)
    assert worst(made, frames[number : number + 1]) < 0.03 < worst((before + after) / 2, frames[2:3])


def test_planes_of_half_the_size_move_along() -> None:
    frames = pan(5, 2, 0)
    before, after = frames[:1], frames[4:]
    halves = [torch.nn.functional.avg_pool2d(frame[:, :1], 2) for frame in (before, frames[2:3], after)]
    made = own_way(before, after, 0.5).of(halves[0], halves[2])
    assert worst(made, halves[1]) < 0.03


def test_a_cut_is_seen_and_motion_is_none() -> None:
    frames = pan(8, 3, 1)
    assert is_cut(frames[:1], texture(96, 128, seed=9))
    assert not is_cut(frames[:1], frames[1:2])
    assert not is_cut(frames[:1], frames[:1])


def test_what_is_surely_no_cut_is_none() -> None:
    """Pictures that hardly differ are; fast motion and cuts are left to the search for motion."""
    frames = pan(8, 3, 1)
    pictures = [*torch.split(frames, 1), texture(96, 128, seed=9), frames[:1] * 0.98, frames[:1] * 0.5]
    sure = [(a, b) for a in pictures for b in pictures if is_surely_no_cut(a, b)]
    assert len(pictures) + 2 <= len(sure) < len(pictures) ** 2, "each with itself, one with its darker copy"
    assert not any(is_cut(a, b) for a, b in sure)
    assert not is_surely_no_cut(frames[:1], texture(96, 128, seed=9))


@pytest.mark.parametrize(("share", "number"), [(0.5, 2), (0.25, 1)])
def test_the_learned_way_follows_motion(share: float, number: int, network: IFNet) -> None:
    frames = pan(5, 1, 1, size=(90, 120))  # sides that are not multiples
    before, after = frames[:1], frames[4:]
    with torch.inference_mode():
        way = learned_way(before, after, share, network)
    assert way.weight.shape == (1, 1, 90, 120)
    motion = way.motion[..., 16:-16, 16:-16].mean((0, 2, 3))
    assert motion.tolist() == pytest.approx([-4, -4], abs=0.5)
    assert worst(way.of(before, after), frames[number : number + 1]) < 0.1 < worst(before, frames[number : number + 1])


def test_tall_pictures_are_seen_reduced(network: IFNet, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = pan(3, 4, 0, size=(100, 140))
    with torch.inference_mode():
        whole = learned_way(frames[:1], frames[2:], 0.5, network)
        monkeypatch.setattr("vidsr.filters.between.interpolation._LEARNED_ROWS", 60)
        reduced = learned_way(frames[:1], frames[2:], 0.5, network)
    assert reduced.weight.shape == whole.weight.shape
    for way in (whole, reduced):
        assert way.motion[:, 0, 16:-16, 16:-16].mean().item() == pytest.approx(-8, abs=1)


def test_large_motion_is_left_to_the_learned_way_and_small_motion_is_not(network: IFNet) -> None:
    with torch.inference_mode():
        far, near = pan(3, 15, 0, seed=3), pan(3, 1, 0)
        across = best_way(far[:1], far[2:], 0.5, network)
        slow = best_way(near[:1], near[2:], 0.5, network)
        truth = far[1:2]
        own = worst(across.own.of(far[:1], far[2:]), truth)
        mixed = worst(across.of(far[:1], far[2:]), truth)
    assert mixed < own
    assert worst(slow.of(near[:1], near[2:]), near[1:2]) < 0.04


def test_an_overlay_stays_while_the_picture_moves(network: IFNet) -> None:
    frames = pan(3, 6, 0, size=(64, 96))
    for left in range(30, 66, 6):
        frames[..., 24:36, left : left + 2] = 1.0  # strokes of letters
    with torch.inference_mode():
        way = best_way(frames[:1], frames[2:], 0.5, network)
        strokes, moving = (slice(26, 34), slice(30, 62)), frames[1:2]
        made = way.of(frames[:1], frames[2:])
        without = BestWay(way.own, way.rife, way.learned, torch.zeros_like(way.still), 0.5).of(frames[:1], frames[2:])
    errors = [float((picture - moving)[..., strokes[0], strokes[1]].abs().mean()) for picture in (made, without)]
    assert errors[0] < 0.6 * errors[1]
    assert float((made - moving)[..., 44:56, 24:72].abs().mean()) < 0.03


def test_ways_are_mixed_by_weight_on_planes_of_any_size() -> None:
    still = torch.zeros(1, 2, 8, 8)
    before, after = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)

    def flat(value: float) -> torch.Tensor:
        return torch.full((1, 1, 8, 8), value)

    own, rife = (Way(still, still, flat(value)) for value in (1.0, 0.0))
    for held, value in ((0.0, 0.25), (1.0, 0.75)):
        made = BestWay(own, rife, flat(0.25), flat(held), 0.75).of(before, after)
        assert torch.equal(made, torch.full((1, 1, 4, 4), value))
