"""BasicVSR: its definition, its recognition from a checkpoint, and the shipped weights on real detail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from tests.support.places import STILL
from vidsr.errors import CheckpointError, ModelError
from vidsr.models import checkpoint, recognition, zoo
from vidsr.models.architectures.basicvsr import BasicVSR, BasicVSRConfig, base, carried


@pytest.fixture(autouse=True)
def _no_grad() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture
def network() -> BasicVSR:
    torch.manual_seed(0)
    return BasicVSR(BasicVSRConfig(num_feat=8, num_block=2)).eval().requires_grad_(False)


def test_whole_pixels_of_motion_move_features_and_bring_zeros_in() -> None:
    features = torch.rand(1, 4, 6, 7)
    motion = torch.zeros(1, 2, 6, 7)
    motion[:, 0], motion[:, 1] = 2, -1
    expected = torch.zeros_like(features)
    expected[..., 1:, :-2] = features[..., :-1, 2:]
    torch.testing.assert_close(carried(features, motion), expected, atol=1e-5, rtol=0)


def test_every_frame_depends_on_all_frames_of_its_scene_and_on_no_other(network: BasicVSR) -> None:
    frames, motion = torch.rand(1, 5, 3, 9, 8), [torch.zeros(1, 2, 9, 8)] * 4
    cut = [motion[0], motion[1], None, motion[3]]
    before = network(frames, cut, cut)
    for changed in range(5):
        other = frames.clone()
        other[:, changed] = 1 - other[:, changed]
        differs = (network(other, cut, cut) != before).flatten(2).any(2)[0].tolist()
        assert differs == [(t < 3) == (changed < 3) for t in range(5)]


def test_a_cut_is_a_new_sequence(network: BasicVSR) -> None:
    frames, motion = torch.rand(1, 4, 3, 9, 8), torch.randn(1, 2, 9, 8)
    together = network(frames, [motion, None, motion], [motion, None, motion])
    apart = [network(frames[:, :2], [motion], [motion]), network(frames[:, 2:], [motion], [motion])]
    assert torch.equal(together, torch.cat(apart, 1))


def test_without_weights_it_is_the_bilinear_enlargement(network: BasicVSR) -> None:
    for parameter in network.parameters():
        parameter.zero_()
    frames = torch.rand(2, 3, 3, 5, 6)
    assert torch.equal(network(frames), torch.stack([base(f) for f in frames.unbind(1)], 1))


def test_a_checkpoint_is_recognised_and_its_optical_flow_left_out(network: BasicVSR, tmp_path: Path) -> None:
    state = network.state_dict() | {"spynet.mean": torch.zeros(1, 3, 1, 1)}
    torch.save({"params": state}, tmp_path / "model.pth")
    model = checkpoint.load(tmp_path / "model.pth")
    assert (model.architecture, model.scale, model.config) == ("BasicVSR", 4, network.config)
    frames = torch.rand(1, 2, 3, 8, 8)
    assert torch.equal(model.network(frames), network(frames))


@pytest.mark.parametrize("missing", ["upconv1.weight", "fusion.bias", "forward_trunk.main.2.1.conv2.weight"])
def test_a_checkpoint_that_lacks_a_tensor_is_refused(network: BasicVSR, tmp_path: Path, missing: str) -> None:
    torch.save({k: v for k, v in network.state_dict().items() if k != missing}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=missing):
        checkpoint.load(tmp_path / "model.pth")


@pytest.mark.parametrize("key", ["backward_trunk.main.0.weight", "upconv1.weight"])
def test_impossible_shapes_are_refused(network: BasicVSR, key: str) -> None:
    state = dict(network.state_dict())
    state[key] = torch.zeros(16, 8, 3, 3)
    with pytest.raises(CheckpointError, match="BasicVSR"):
        recognition.recognise(state)


def test_it_cannot_enlarge_single_frames(network: BasicVSR) -> None:
    with pytest.raises(ModelError, match="sequences"):
        checkpoint.require_rgb(network, "basicvsr")


def test_the_shipped_weights_find_detail_in_neighbouring_frames() -> None:
    """A picture that moves by whole pixels at its full size, so by fractions at a quarter of it."""
    network = zoo.load_model("basicvsr-bd-x4").network
    assert isinstance(network, BasicVSR)
    photo = torch.from_numpy(np.asarray(Image.open(STILL).convert("RGB")).copy()).movedim(-1, 0).float()[None] / 255
    steps = [(3 * t, 5 * t) for t in range(7)]
    truth = torch.cat([photo[..., 16 + y : 160 + y, 60 + x : 204 + x] for y, x in steps])
    low = F.avg_pool2d(F.avg_pool2d(truth, 3, 1, 1, count_include_pad=False), 4)
    to_next = torch.tensor((-5 / 4, -3 / 4)).view(1, 2, 1, 1).expand(1, 2, 36, 36)
    together = network(low[None], [to_next] * 6, [-to_next] * 6)[0]
    alone = torch.cat([network(one[None, None])[0] for one in low])

    def decibels(pictures: Tensor) -> float:
        inner = (pictures[3] - truth[3])[..., 32:-32, 32:-32]
        return float(-10 * torch.log10(inner.square().mean()))

    cubic = F.interpolate(low, scale_factor=4.0, mode="bicubic", align_corners=False)
    assert decibels(together) > decibels(alone) + 0.5 > decibels(cubic) + 1.5
