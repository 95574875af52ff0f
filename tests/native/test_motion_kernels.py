"""The kernels for motion give what PyTorch gives, whatever the size and the vectors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.kernels import agree, noise
from tests.support.scenes import texture
from vidsr.filters import flow as flow_module
from vidsr.filters.before import denoise, dust
from vidsr.filters.flow import blended, optical_flow, resize_flow, warp
from vidsr.native import motion_kernels


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (3, 4), (24, 40), (61, 33)])
def test_warping(both: Any, size: tuple[int, int]) -> None:
    picture = noise(2, 3, *size)
    for reach in (0.0, 0.5, 3.0, 1000.0):
        flow = (noise(2, 2, *size) - 0.5) * 2 * reach
        # PyTorch passes places through a grid from -1 to 1, which costs digits.
        agree(both(lambda flow=flow: warp(picture, flow)), 1e-5 * (1 + reach))
        agree(both(lambda flow=flow: resize_flow(flow, (3 * size[0], 2 * size[1]), "bicubic")), 1e-5 * (1 + reach))


def test_a_place_that_is_not_a_number_reads_nothing_outside(both: Any) -> None:
    flow = torch.full((1, 2, 6, 7), torch.nan)
    flow[0, :, 0, 0] = torch.inf
    native, _ = both(lambda: warp(noise(1, 1, 6, 7), flow))
    assert bool(torch.isfinite(native).all())


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (25, 40), (90, 160)])
def test_motion(both: Any, size: tuple[int, int]) -> None:
    a, b = texture(*size)[:, :1], texture(*size, seed=3)[:, :1]
    flow = noise(1, 2, *size)
    agree(both(lambda: flow_module._fit(a, b, flow, 0.0, 2.5, 1)), 1e-4)
    agree(both(lambda: flow_module._fit(a, b, flow, 0.3, 2.5, 1)), 1e-4)
    agree(both(lambda: optical_flow(a, torch.roll(a, 1, 3))), 2e-3)


@given(height=st.integers(1, 40), width=st.integers(1, 90), rough=st.floats(0, 3), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_pixels_side_by_side_and_alone(height: int, width: int, rough: float, seed: int) -> None:
    """Runs of pixels that move alike end anywhere, at the border too."""
    random = torch.Generator().manual_seed(seed)
    picture = torch.rand(1, 2, height, width, generator=random)
    coarse = torch.randn(1, 2, 3, 3, generator=random) * 4
    flow = resize_flow(coarse, (height, width)) * (3 / max(height, width))
    flow = flow + rough * (torch.rand(flow.shape, generator=random) - 0.5)
    native = warp(picture, flow)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(motion_kernels, "library", lambda: None)
        agree((native, warp(picture, flow)), 5e-5)


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (24, 40)])
def test_blending(both: Any, size: tuple[int, int]) -> None:
    carried, out = noise(2, 3, *size), noise(2, 3, *size) - 0.3
    flow = (noise(2, 2, *size) - 0.5) * 4
    for low in ((1, 1), (-(-size[0] // 2), -(-size[1] // 4)), size):
        agree(both(lambda low=low: blended(carried, flow, out, noise(2, 1, *low))), 5e-5)


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (24, 40), (33, 70)])
def test_agreement(both: Any, size: tuple[int, int]) -> None:
    own = noise(1, 1, *size)
    for reach in (0.0, 0.01, 0.1, 1.0, 50.0):
        moved = own + reach * (noise(1, 1, size[0], size[1] + 1)[..., 1:] - 0.5)
        agree(both(lambda moved=moved: denoise._agreement(own, moved, 0.05)))


@pytest.mark.parametrize("size", [(1, 1), (4, 3), (24, 40), (33, 70)])
def test_faults(both: Any, size: tuple[int, int]) -> None:
    before, after = texture(*size)[:, :1], texture(*size)[:, :1] + 0.01
    own = before + 0.3 * (noise(1, 1, *size) > 0.98)
    for limit in (0.0, 0.07, 0.5):
        (mask, found), (plain_mask, plain_found) = both(
            lambda limit=limit: dust._faults(own, before, after, limit, 0.6)
        )
        assert found == plain_found and torch.equal(mask, plain_mask)


def test_sums_of_what_fits() -> None:
    if motion_kernels.library() is None:
        pytest.skip("no C compiler")
    sums, weights, plane, share = (noise(1, 1, 5, n) for n in (7, 7, 7, 7))
    weights, plane, share = weights + 1, plane * 2, share / 3
    expected = (sums + share * plane, weights + share)
    assert motion_kernels.add(sums, weights, plane, share)
    agree((sums, expected[0]))
    agree((weights, expected[1]))
    assert not motion_kernels.add(sums, weights, plane, share.double())


def test_what_the_kernels_do_not_take() -> None:
    picture, flow = torch.rand(1, 1, 8, 8), torch.zeros(1, 2, 8, 8)
    for other in (picture.double(), picture.clone().requires_grad_(), torch.empty(1, 1, 0, 8), picture.to("meta")):
        assert motion_kernels.warped(other, flow) is None
        assert motion_kernels.agreement(other, picture, [1.0], 1.0) is None
        assert motion_kernels.faults(other, picture, picture, limit=1.0, agree=1.0, around=1) is None
    assert motion_kernels.warped(picture, torch.zeros(1, 2, 8, 9)) is None
    assert motion_kernels.blended(picture, flow, torch.rand(1, 1, 8, 9), picture) is None
    rest: dict[str, Any] = {"smooth": [1.0], "scale": 1.0, "damping": 1.0}
    assert motion_kernels.fit(picture, picture, flow, share=0.0, steps=1, window=[1.0] * 301, **rest) is None
