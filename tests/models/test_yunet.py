"""The network YuNet and its shipped weights; what it finds is tested with the face finder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vidsr.errors import CheckpointError
from vidsr.models import saving, zoo
from vidsr.models.yunet import LANDMARKS, STRIDES, YuNet, load


def test_shapes_and_the_count_of_weights() -> None:
    network = YuNet()
    assert sum(p.numel() for p in network.parameters()) == 53_104
    with torch.inference_mode():
        levels = network(torch.rand(2, 3, 64, 96) * 255)
    for level, stride in zip(levels, STRIDES, strict=True):
        places = (64 // stride, 96 // stride)
        assert level.score.shape == (2, 1, *places) and level.boxes.shape == (2, 4, *places)
        assert level.points.shape == (2, 2 * len(LANDMARKS), *places)
        assert level.score.min() >= 0 and level.score.max() <= 1
        assert level.boxes[:, 2:].min() > 0


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job is bound to these weights by their name alone."""
    monkeypatch.setenv("VIDSR_WEIGHTS", str(tmp_path))
    saving.save(tmp_path / "yunet-2023mar.safetensors", YuNet().state_dict(), {})
    assert zoo.resolve("yunet-2023mar").parent == tmp_path
    with pytest.raises(CheckpointError, match=r"not the weights of yunet-2023mar"):
        load()
