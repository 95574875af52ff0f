"""Which discriminators see time."""

from __future__ import annotations

import torch

from tests.support.training import moving
from vidsr.training.discriminators import Triplets, UNet

ORDER = [3, 0, 4, 1, 2]


def clip() -> tuple[torch.Tensor, torch.Tensor]:
    """``[1, 5, 3, 32, 32]`` in 0..1 of a moving picture, and a quarter of it."""
    high = torch.from_numpy(moving(1, 5, 32)).permute(0, 3, 1, 2)[None].float() / 255
    low = torch.nn.functional.avg_pool2d(high[0], 4)[None]
    return high, low


def test_triplets_see_the_order_of_frames_and_a_unet_does_not() -> None:
    torch.manual_seed(0)
    high, low = clip()
    triplets, frames = Triplets(4).eval(), UNet(4).eval()
    with torch.no_grad():
        ordered, shuffled = triplets(high, low), triplets(high[:, ORDER], low[:, ORDER])
        assert ordered.shape == (3, 1, 32, 32)
        assert abs(float(ordered.mean() - shuffled.mean())) > 1e-4
        alone = frames(high[0]).mean((1, 2, 3))
        assert torch.allclose(frames(high[0, ORDER]).mean((1, 2, 3)), alone[ORDER], atol=1e-6)


def test_triplets_learn_to_tell_shuffled_clips_from_ordered_ones() -> None:
    """Frames and their set are the same; only the order differs."""
    torch.manual_seed(0)
    high, low = clip()
    critic = Triplets(4)
    optimiser = torch.optim.Adam(critic.parameters(), 4e-3)
    for _ in range(15):
        real, fake = critic(high, low), critic(high[:, ORDER], low[:, ORDER])
        loss = torch.nn.functional.softplus(-real).mean() + torch.nn.functional.softplus(fake).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float((real.mean() - fake.mean()).detach()) > 0.3


def test_the_gradient_reaches_the_neighbours_through_the_motion() -> None:
    torch.manual_seed(0)
    high, low = clip()
    shown = high.clone().requires_grad_()
    Triplets(4)(shown, low)[1].sum().backward()  # the triplet around the third frame
    assert shown.grad is not None
    touched = shown.grad.abs().sum((0, 2, 3, 4)) > 0
    assert touched.tolist() == [False, True, True, True, False]
