"""Computing only what changed gives what computing everything gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.support.frames import noise_frame
from tests.support.networks import TinyModel
from vidsr.frames import Frame
from vidsr.inference.batches import InferenceStats
from vidsr.inference.regions import Box, ChangedRegions, apart, islands
from vidsr.inference.upscaler import Upscaler
from vidsr.models.architectures.rrdbnet import RRDBNET, RRDBNet, RRDBNetConfig
from vidsr.models.architectures.srvgg import SRVGGNET_COMPACT, SRVGGNetCompact, SRVGGNetCompactConfig
from vidsr.options.enhance_options import ModelOptions


class Compact(TinyModel):
    """A small compact model, whose result depends on 4 px around a pixel; counts the pixels it is given."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        network = SRVGGNetCompact(SRVGGNetCompactConfig(num_feat=8, num_conv=2, scale=2)).eval()
        super().__init__(network, 2, "SRVGGNetCompact")
        self.computed_px = 0

    def __call__(self, rgb: Tensor) -> Tensor:
        self.computed_px += rgb.shape[-2] * rgb.shape[-1]
        out: Tensor = self.network(rgb)
        return out


def moving_square(count: int, height: int, width: int) -> list[Tensor]:
    """A still textured ground with a square that goes across it."""
    ground = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(2))
    frames = []
    for n in range(count):
        frame = ground.clone()
        frame[..., 40:52, 8 + 9 * n : 20 + 9 * n] = n / count
        frames.append(frame)
    return frames


@pytest.mark.parametrize("tile", [None, 32])
@torch.inference_mode()
def test_equals_whole_frames_and_computes_less(tile: int | None) -> None:
    model, stats = Compact(), InferenceStats()
    frames = moving_square(8, 131, 150)
    frames.append(torch.rand_like(frames[0]))  # a cut
    frames.append(frames[-1].clone())
    frames[-1][..., :3, :3] = 0  # a corner
    regions = ChangedRegions(model, model, stats, 0, tile)
    for frame in frames:
        torch.testing.assert_close(regions(frame), model.network(frame), atol=1e-5, rtol=0)
    whole = len(frames) * 131 * 150
    assert model.computed_px < 0.6 * whole
    assert stats.unchanged_frames == pytest.approx(len(frames) - model.computed_px / (131 * 150), abs=1e-6)
    assert len(regions(torch.cat(frames[:3]))) == 3
    assert regions(torch.rand(1, 3, 64, 48)).shape == (1, 3, 128, 96)


@torch.inference_mode()
def test_small_changes_do_not_add_up_unseen() -> None:
    model, stats = Compact(), InferenceStats()
    regions = ChangedRegions(model, model, stats, 3.5, None)
    frame = torch.full((1, 3, 96, 96), 0.5)
    for step in range(12):  # one code value brighter each time: after four, what is shown is too old
        now = frame + step / 255
        shown = regions(now)
        oldest = model.network(now - 4 / 255)
        assert (shown - model.network(now)).abs().mean() < (oldest - model.network(now)).abs().mean()
    assert stats.unchanged_frames == 9


@torch.inference_mode()
def test_a_result_that_overflowed_is_not_kept() -> None:
    model, stats = Compact(), InferenceStats()
    bad = [True]

    def overflowing(rgb: Tensor) -> Tensor:
        out = model(rgb)
        return out * torch.nan if bad.pop() else out

    regions = ChangedRegions(overflowing, model, stats, 0, None)
    frame = torch.rand(1, 3, 64, 64)
    assert not torch.isfinite(regions(frame)).any()
    bad.append(False)
    torch.testing.assert_close(regions(frame), model.network(frame))


@given(st.lists(st.lists(st.booleans(), min_size=7, max_size=7), min_size=1, max_size=6), st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_boxes_cover_all_that_changed_and_lie_apart(rows: list[list[bool]], margin: int) -> None:
    blocks = np.array(rows)
    boxes = apart(islands(blocks), margin)
    covered = np.zeros_like(blocks)
    for box in boxes:
        covered[box.top : box.bottom, box.left : box.right] = True
    assert (covered | ~blocks).all()
    for one in boxes:
        near = Box(one.top - margin, one.left - margin, one.bottom + margin, one.right + margin)
        assert not any(near.meets(other) for other in boxes if other is not one)


def test_the_reach_of_a_compact_model_is_all_that_it_depends_on() -> None:
    network = SRVGGNetCompact(SRVGGNetCompactConfig(num_feat=8, num_conv=3, scale=1)).eval()
    x = torch.rand(1, 3, 33, 33, requires_grad=True)
    network(x)[..., 16, 16].sum().backward()
    assert x.grad is not None
    rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert 16 - int(rows.min()) == int(rows.max()) - 16 == SRVGGNET_COMPACT.reach_px(network) == 5
    assert RRDBNET.reach_px(RRDBNet(RRDBNetConfig(num_block=23))) == 64


def test_a_stream_with_a_shipped_model_shows_the_same() -> None:
    frames = [rgb_frame(picture, n) for n, picture in enumerate(moving_square(3, 90, 160))]
    shown = {}
    for regions in (False, True):
        upscaler = Upscaler(ModelOptions(model="realesr-animevideov3", device="cpu", reuse_regions=regions))
        results = list(upscaler.stream((640, 360), frames[0].format)(iter(frames)))
        shown[regions] = np.stack([np.stack(frame.planes) for frame in results]).astype(int)
        assert (upscaler.stats.unchanged_frames > 0.5) == regions
    assert np.abs(shown[True] - shown[False]).max() <= 1
    assert (shown[True] != shown[False]).mean() < 1e-3


def rgb_frame(picture: Tensor, number: int) -> Frame:
    """A frame of 8-bit RGB planes of ``[1, 3, h, w]`` in 0..1."""
    red, green, blue = (picture[0] * 255).round().byte().numpy()
    empty = noise_frame("gbrp", (8, 8), index=number, matrix="rgb", range="full")
    return replace(empty, planes=(green, blue, red))
