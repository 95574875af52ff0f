"""Interpolation of networks, and its refusal between strangers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vidsr.errors import ModelError, OptionsError
from vidsr.models import blend, checkpoint, saving, zoo
from vidsr.models.checkpoint import LoadedModel
from vidsr.models.rrdbnet import RRDBNet, RRDBNetConfig

State = dict[str, torch.Tensor]


def random_state(seed: int, **config: int) -> State:
    torch.manual_seed(seed)
    return RRDBNet(RRDBNetConfig(**{"num_feat": 8, "num_block": 1, "num_grow_ch": 4} | config)).state_dict()


def loaded(path: Path, state: State, **card: str) -> LoadedModel:
    saving.save(path, state, card)
    return checkpoint.load(path)


@pytest.fixture
def family(tmp_path: Path) -> tuple[LoadedModel, LoadedModel]:
    first = random_state(1)
    second = {k: v + 0.02 * torch.randn(v.shape) for k, v in first.items()}
    return (
        loaded(tmp_path / "a.safetensors", first, licence="X"),
        loaded(tmp_path / "b.safetensors", second, licence="Y"),
    )


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_in_between(family: tuple[LoadedModel, LoadedModel], alpha: float) -> None:
    a, b = family
    state, card = blend.blend(a, b, alpha)
    for name, value in state.items():
        wanted = (1 - alpha) * a.network.state_dict()[name] + alpha * b.network.state_dict()[name]
        assert torch.allclose(value, wanted, atol=1e-7)
    assert card["licence"] == "X, Y" and a.sha256 in card["blend_of"] and b.sha256 in card["blend_of"]


def test_strangers_are_refused(tmp_path: Path) -> None:
    a = loaded(tmp_path / "a.safetensors", random_state(1))
    with pytest.raises(ModelError, match=r"correlate by -?0\.\d\d only.*not of one family"):
        blend.blend(a, loaded(tmp_path / "b.safetensors", random_state(2)), 0.5)
    with pytest.raises(ModelError, match=r"cannot be blended: RRDBNet .* is not RRDBNet"):
        blend.blend(a, loaded(tmp_path / "c.safetensors", random_state(1, num_block=2)), 0.5)
    with pytest.raises(OptionsError, match="between 0"):
        blend.blend(a, a, 1.5)


def test_known_pairs(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The denoising pair is one family; the shipped photographic model and DF2K are not."""
    monkeypatch.setenv("VIDSR_WEIGHTS", str(shared / "weights"))
    general, grainy, photo, clean = (
        zoo.load_model(name)
        for name in ("realesr-general-x4v3", "realesr-general-wdn-x4v3", "realesrgan-x4plus", "realsr-DF2K-x4")
    )
    assert blend.correlation(general, grainy) == pytest.approx(0.994, abs=2e-3)
    assert blend.correlation(photo, clean) == pytest.approx(0.37, abs=0.01)
    blend.blend(general, grainy, 0.5)
    with pytest.raises(ModelError, match=r"0\.37 only"):
        blend.blend(photo, clean, 0.5)
