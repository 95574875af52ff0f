"""The network of RIFE 4.0, with its shipped weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.support.scenes import pan
from vidsr.errors import CheckpointError
from vidsr.models import saving, zoo
from vidsr.models.ifnet import IFNet, load


def test_shapes_and_the_count_of_weights() -> None:
    network = IFNet()
    assert sum(p.numel() for p in network.parameters()) == 5_160_980
    with torch.inference_mode():
        flows, weight = network(torch.rand(2, 3, 32, 64), torch.rand(2, 3, 32, 64), 0.25)
    assert flows.shape == (2, 4, 32, 64) and weight.shape == (2, 1, 32, 64)
    assert weight.min() >= 0 and weight.max() <= 1


def test_the_shipped_network_sees_motion_in_both_directions() -> None:
    frames = pan(5, 3, 0)
    network = load()
    with torch.inference_mode():
        there, _ = network(frames[:1], frames[4:], 0.5)
        back, _ = network(frames[4:], frames[:1], 0.5)
    inner = (..., slice(16, -16), slice(16, -16))
    assert there[:, 0][inner].mean().item() == pytest.approx(6, abs=0.7)  # where it was before: 6 pixels to the right
    assert there[:, 2][inner].mean().item() == pytest.approx(-6, abs=0.7)
    assert back[:, 0][inner].mean().item() == pytest.approx(-6, abs=0.7)


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job is bound to these weights by their name alone."""
    monkeypatch.setenv("VIDSR_WEIGHTS", str(tmp_path))
    saving.save(tmp_path / "rife-4.0.safetensors", IFNet().state_dict(), {})
    assert zoo.resolve("rife-4.0").parent == tmp_path
    with pytest.raises(CheckpointError, match=r"not the weights of rife-4\.0"):
        load()
