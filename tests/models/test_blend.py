"""Interpolation of networks, refused for unrelated ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vidsr.errors import ModelError, OptionsError
from vidsr.models import blend, checkpoint, saving, zoo
from vidsr.models.architectures.rrdbnet import RRDBNet, RRDBNetConfig
from vidsr.models.architectures.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig
from vidsr.models.checkpoint import LoadedModel
from vidsr.options.enhance_options import ModelOptions

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


@pytest.fixture
def twins(tmp_path: Path) -> tuple[Path, State, State]:
    """The folder of a small pair with the zoo's names, and the weights of the strong and of the grainy one."""
    torch.manual_seed(3)
    strong = SRVGGNetCompact(SRVGGNetCompactConfig(num_feat=8, num_conv=2)).state_dict()
    grainy = {k: v + 0.02 * torch.randn(v.shape) for k, v in strong.items()}
    saving.save(tmp_path / "realesr-general-x4v3.fp16.safetensors", strong, {})
    saving.save(tmp_path / "realesr-general-wdn-x4v3.fp16.safetensors", grainy, {})
    return tmp_path, strong, grainy


@pytest.mark.parametrize("by_path", [False, True])
def test_denoise_strength_blends_a_pair(
    twins: tuple[Path, State, State], by_path: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, strong, grainy = twins
    name = "realesr-general-x4v3"
    if by_path:
        name = str(folder / f"{name}.fp16.safetensors")
    else:
        monkeypatch.setenv("VIDSR_WEIGHTS", str(folder))

    def chosen(strength: float | None) -> LoadedModel:
        return zoo.load_chosen(ModelOptions(model=name, denoise_strength=strength))

    plain, most, part, none = (chosen(strength) for strength in (None, 1.0, 0.3, 0.0))
    for key, value in part.network.state_dict().items():
        torch.testing.assert_close(value, 0.3 * strong[key] + 0.7 * grainy[key], atol=1e-6, rtol=0)
        assert torch.equal(most.network.state_dict()[key], strong[key])
        assert torch.equal(none.network.state_dict()[key], grainy[key])
    picture = torch.rand(1, 3, 8, 8)
    by_hand = SRVGGNetCompact(SRVGGNetCompactConfig(num_feat=8, num_conv=2))
    by_hand.load_state_dict({k: 0.3 * strong[k] + 0.7 * grainy[k] for k in strong})
    torch.testing.assert_close(part.network(picture), by_hand(picture), atol=1e-5, rtol=0)
    assert plain.sha256 == most.sha256 == checkpoint.digest(folder / "realesr-general-x4v3.fp16.safetensors")
    assert len({most.sha256, part.sha256, none.sha256, chosen(0.31).sha256}) == 4
    assert {file.name for file in part.files} == {f"realesr-general-{v}x4v3.fp16.safetensors" for v in ("", "wdn-")}


@pytest.mark.parametrize("name", ["realesrgan-x4plus", "realesr-general-wdn-x4v3"])
def test_denoise_strength_is_refused_where_there_is_no_pair(name: str) -> None:
    with pytest.raises(OptionsError, match=r"--denoise-strength 0\.5: .* no twin .* realesr-general-x4v3"):
        zoo.load_chosen(ModelOptions(model=name, denoise_strength=0.5))


def test_a_missing_twin_is_named(twins: tuple[Path, State, State], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _, _ = twins
    (folder / "realesr-general-wdn-x4v3.fp16.safetensors").unlink()
    monkeypatch.setattr(zoo, "folders", lambda: [folder])
    with pytest.raises(ModelError, match="realesr-general-wdn-x4v3 is not on this machine"):
        zoo.load_chosen(ModelOptions(model="realesr-general-x4v3", denoise_strength=0.5))


def test_the_real_pair_blends_evenly(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Less strength leaves more of a grainy picture's grain."""
    monkeypatch.setenv("VIDSR_WEIGHTS", str(shared / "weights"))
    grain = 0.5 + 0.06 * torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    left = []
    for strength in (0.0, 0.5, 1.0):
        model = zoo.load_chosen(ModelOptions(model="realesr-general-x4v3", denoise_strength=strength))
        left.append(float(model.network(grain).std()))
    assert left[0] > left[1] > left[2]
