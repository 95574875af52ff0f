"""Motion and warping against displacements that are known."""

from __future__ import annotations

import pytest
import torch

from tests.support.scenes import pan
from vidsr.filters.flow import luma, optical_flow, resize_flow, warp


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (1, 0), (3, 2), (7, 0), (0, 9)])
def test_a_pan_is_found(dx: int, dy: int) -> None:
    frames = luma(pan(2, dx, dy))
    flow = optical_flow(frames[1:], frames[:1])
    inner = flow[..., 16:-16, 16:-16]
    truth = torch.tensor([dx, dy], dtype=torch.float32).view(1, 2, 1, 1)
    assert float((inner - truth).abs().mean()) < 0.1


def test_warping_by_a_whole_pixel_is_exact() -> None:
    picture = pan(1, 0)
    flow = torch.zeros(1, 2, 96, 128)
    flow[:, 0] = 3
    torch.testing.assert_close(warp(picture, flow)[..., :-4], picture[..., 3:-1], atol=1e-4, rtol=0)


def test_a_flow_grows_with_its_picture() -> None:
    flow = torch.ones(1, 2, 8, 10)
    grown = resize_flow(flow, (16, 40))
    assert float(grown[:, 0].mean()) == pytest.approx(4)
    assert float(grown[:, 1].mean()) == pytest.approx(2)


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (24, 200), (101, 37)])
def test_any_size_works(size: tuple[int, int]) -> None:
    a = torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(1))
    flow = optical_flow(a, a)
    assert flow.shape == (1, 2, *size)
    assert bool(torch.isfinite(flow).all())
