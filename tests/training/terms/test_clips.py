"""Losses of clips against numpy, their gradients against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from vidsr.training.terms.clips import mirrored, ping_pong, warping


def scene(shift: float, height: int = 24, width: int = 32) -> Tensor:
    """``[3, height, width]``, smooth, moved to the right by ``shift`` pixels."""
    y, x = torch.meshgrid(torch.arange(height) * 1.0, torch.arange(width) * 1.0, indexing="ij")
    x = x - shift
    return torch.stack([torch.sin((x * a + y * b) / 3 + a) * 0.2 + 0.5 for a, b in ((1, 0.4), (0.3, 1), (0.8, -0.6))])


def moving(count: int = 3, step: float = 1.0) -> Tensor:
    return torch.stack([scene(step * t) for t in range(count)])[None]


def test_warping_of_whole_pixels_by_hand() -> None:
    """The picture moves by exactly two pixels: carrying a frame is shifting it, and M is 1 inside."""
    guide = moving(2, 2.0)
    results = torch.rand(1, 2, 3, 24, 32, generator=torch.Generator().manual_seed(1))
    inner = (slice(4, -4), slice(8, -8))
    frame, before = results[0, 1].numpy(), results[0, 0].numpy()
    wanted = np.abs(frame[:, 4:-4, 8:-8] - before[:, 4:-4, 6:-10]).mean()
    # Only the inner pixels differ, so the loss is their part of the mean.
    same = torch.roll(results[:, :1], 2, -1)
    tested = same[0, 0].clone()
    tested[:, *inner] = results[0, 1][:, *inner]
    loss = warping(torch.stack((results[0, 0], tested))[None], guide)
    edge = warping(torch.stack((results[0, 0], same[0, 0]))[None], guide)
    share = (16 * 16) / (24 * 32)
    assert float(loss - edge) == pytest.approx(wanted * share, rel=0.05)


def test_warping_gradient_by_finite_differences() -> None:
    guide = moving()
    made = torch.Generator().manual_seed(2)
    results = torch.rand(1, 3, 3, 48, 64, generator=made, requires_grad=True)
    warping(results, guide).backward()
    assert results.grad is not None
    direction = torch.randn(results.shape, generator=made)
    with torch.no_grad():
        up, down = (float(warping((results + s * direction).double().float(), guide)) for s in (1e-3, -1e-3))
    assert float((results.grad * direction).sum()) == pytest.approx((up - down) / 2e-3, rel=0.03, abs=2e-4)
    assert results.grad[:, 0].abs().sum() > 0, "the frame that is carried gets its gradient too"


def test_what_moves_with_the_picture_costs_nothing_and_flicker_does() -> None:
    guide = moving(3, 1.5)
    steady, still = warping(guide, guide), warping(guide[:, :1].expand(-1, 3, -1, -1, -1), guide)
    flicker = warping(guide + torch.tensor([0.0, 0.1, 0.0]).view(1, 3, 1, 1, 1), guide)
    assert steady < 0.1 * still and steady < 0.1 * flicker


def test_a_cut_counts_little() -> None:
    guide = torch.stack((scene(0), 1 - scene(9)))[None]
    assert warping(guide, guide) < 0.3 * (guide[:, 0] - guide[:, 1]).abs().mean()


def test_ping_pong_value_and_gradient() -> None:
    rng = np.random.default_rng(0)
    there, back = rng.random((1, 3, 3, 2, 2)), rng.random((1, 3, 3, 2, 2))
    x = torch.tensor(there, requires_grad=True)
    loss = ping_pong(x, torch.tensor(back))
    loss.backward()
    assert loss.item() == pytest.approx(np.abs(there - back).mean())
    assert x.grad is not None and np.allclose(x.grad.numpy(), np.sign(there - back) / there.size)


def test_mirrored_returns_the_way_it_came() -> None:
    clip = torch.arange(4).view(1, 4)
    assert mirrored(clip).tolist() == [[0, 1, 2, 3, 2, 1, 0]]
