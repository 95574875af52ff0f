"""Frames in between, made along the motion."""

from __future__ import annotations

import pytest
import torch

from tests.support.scenes import pan, texture
from vidsr.filters.between.interpolation import is_cut, own_way


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
