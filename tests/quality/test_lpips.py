"""LPIPS: reference values on a known picture, and how it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from vidsr.errors import CheckpointError, ModelError
from vidsr.models import saving, zoo
from vidsr.quality.bicubic import resize_bicubic
from vidsr.quality.lpips import Lpips


@pytest.fixture
def with_weights(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIDSR_WEIGHTS", str(shared / "weights"))
    return shared


def read(path: Path) -> Tensor:
    return torch.from_numpy(np.asarray(Image.open(path).convert("RGB")).copy()).permute(2, 0, 1)[None].double() / 255


def test_reference_value(with_weights: Path) -> None:
    """Set5 img_002, bicubic x4: 0.236 by the reference implementation."""
    folder = with_weights / "data" / "Set5"
    high = read(folder / "img_002_SRF_4_HR.png")
    up = resize_bicubic(read(folder / "img_002_SRF_4_LR.png"), 4)
    up = (up * 255).round().clamp(0, 255) / 255
    assert Lpips("alex")(up.float(), high.float()).item() == pytest.approx(0.236, abs=5e-4)


@pytest.mark.parametrize("backbone", ["alex", "vgg16"])
def test_zero_where_equal_and_grows_with_damage(with_weights: Path, backbone: str) -> None:
    picture = read(with_weights / "data" / "Set5" / "img_002_SRF_4_LR.png").float()[..., :64, :64]
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(0))
    metric = Lpips(backbone)  # type: ignore[arg-type]
    batch = torch.cat([picture, picture + 0.02 * noise, picture + 0.1 * noise]).clamp(0, 1)
    values = metric(batch, picture.expand(3, -1, -1, -1))
    assert values[0] < 1e-6 < values[1] < values[2]


def test_it_can_be_trained_on(with_weights: Path) -> None:
    picture = torch.rand(1, 3, 64, 64, requires_grad=True)
    Lpips("alex")(picture, torch.rand(1, 3, 64, 64)).sum().backward()
    assert picture.grad is not None and picture.grad.abs().sum() > 0


def test_missing_and_wrong_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "cache_folder", lambda: tmp_path)
    monkeypatch.setenv("VIDSR_WEIGHTS", str(tmp_path))
    with pytest.raises(ModelError, match="vidsr models fetch lpips-alex"):
        Lpips("alex")
    saving.save(tmp_path / "lpips-alex.safetensors", {"x": torch.zeros(1)}, {})
    with pytest.raises(CheckpointError, match="no LPIPS weights for alex"):
        Lpips("alex")
