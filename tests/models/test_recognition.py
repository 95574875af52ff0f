"""Every key layout of every scale, proved on small networks with random weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from vidsr.errors import CheckpointError
from vidsr.models import checkpoint, recognition
from vidsr.models.architectures.rrdbnet import RRDBNet, RRDBNetConfig
from vidsr.models.architectures.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig

State = dict[str, Tensor]


def tiny(scale: int = 4, folding: int | None = None, **more: int) -> RRDBNet:
    torch.manual_seed(scale)
    return RRDBNet(RRDBNetConfig(num_feat=8, num_block=2, num_grow_ch=4, scale=scale, folding=folding, **more)).eval()


def to_new(state: State) -> State:
    """BasicSR's names → those of the second ESRGAN code, written out independently of the loader."""
    table = {"conv_body": "trunk_conv", "conv_hr": "HRconv", "conv_up1": "upconv1", "conv_up2": "upconv2"}
    table["conv_up3"] = "upconv3"
    out = {}
    for key, value in state.items():
        top, _, rest = key.partition(".")
        if top == "body":
            block, rdb, conv, kind = rest.split(".")
            out[f"RRDB_trunk.{block}.{rdb.upper()}.{conv}.{kind}"] = value
        else:
            out[f"{table.get(top, top)}.{rest}"] = value
    return out


def to_old(state: State) -> State:
    """BasicSR's names → the numbered ones of the first ESRGAN code."""
    blocks = 1 + max(int(m[1]) for k in state if (m := re.match(r"body\.(\d+)", k)))
    ups = sum(1 for k in state if re.fullmatch(r"conv_up\d\.weight", k))
    table = {"conv_first": "model.0", "conv_body": f"model.1.sub.{blocks}"}
    table |= {f"conv_up{k}": f"model.{3 * k}" for k in range(1, ups + 1)}
    table |= {"conv_hr": f"model.{3 * ups + 2}", "conv_last": f"model.{3 * ups + 4}"}
    out = {}
    for key, value in state.items():
        top, _, rest = key.partition(".")
        if top == "body":
            block, rdb, conv, kind = rest.split(".")
            out[f"model.1.sub.{block}.{rdb.upper()}.{conv}.0.{kind}"] = value
        else:
            out[f"{table[top]}.{rest}"] = value
    return out


LAYOUTS: dict[str, Any] = {"BasicSR": dict, "new ESRGAN": to_new, "old ESRGAN": to_old}
WRAPPERS: dict[str, Any] = {
    "bare": lambda s: s,
    "params_ema": lambda s: {"params": {k: v + 1 for k, v in s.items()}, "params_ema": s},
    "params": lambda s: {"params": s},
    "state_dict": lambda s: {"state_dict": s, "epoch": 3},
    "module": lambda s: {f"module.{k}": v for k, v in s.items()},
    "both": lambda s: {"params": {f"module.{k}": v for k, v in s.items()}},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("scale, folding", [(1, None), (2, None), (4, None), (8, None), (1, 1), (2, 1)])
def test_every_layout_and_scale_gives_the_same_pictures(
    tmp_path: Path, layout: str, scale: int, folding: int | None
) -> None:
    net = tiny(scale, folding)
    torch.save(LAYOUTS[layout](net.state_dict()), tmp_path / "m.pth")
    model = checkpoint.load(tmp_path / "m.pth")
    assert (model.architecture, model.layout, model.scale) == ("RRDBNet", layout, scale)
    assert model.config == net.config
    frame = torch.rand(1, 3, 9, 11)
    assert torch.equal(model.network(frame), net(frame))
    assert model.network(frame).shape == (1, 3, 9 * scale, 11 * scale)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_every_wrapper(tmp_path: Path, layout: str, wrapper: str) -> None:
    net = tiny()
    torch.save(WRAPPERS[wrapper](LAYOUTS[layout](net.state_dict())), tmp_path / "m.pth")
    model = checkpoint.load(tmp_path / "m.pth")
    for key, value in net.state_dict().items():
        assert torch.equal(model.network.state_dict()[key], value), key


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    feat=st.integers(1, 12),
    blocks=st.integers(1, 12),
    grow=st.integers(1, 9),
    scale=st.sampled_from([1, 2, 4, 8]),
    channels=st.sampled_from([1, 3]),
    layout=st.sampled_from(sorted(LAYOUTS)),
)
def test_hyper_parameters_come_from_shapes_alone(
    feat: int, blocks: int, grow: int, scale: int, channels: int, layout: str
) -> None:
    config = RRDBNetConfig(
        in_channels=channels, out_channels=channels, num_feat=feat, num_block=blocks, num_grow_ch=grow, scale=scale
    )
    state = RRDBNet(config).state_dict()
    found = recognition.recognise(LAYOUTS[layout](state))
    assert found.config == config
    assert found.state.keys() == state.keys()


@settings(max_examples=25, deadline=None)
@given(feat=st.integers(1, 12), convs=st.integers(0, 9), scale=st.sampled_from([1, 2, 3, 4, 8]))
def test_srvgg_from_shapes_alone(feat: int, convs: int, scale: int) -> None:
    config = SRVGGNetCompactConfig(num_feat=feat, num_conv=convs, scale=scale)
    assert recognition.recognise(SRVGGNetCompact(config).state_dict()).config == config


def test_srvgg_without_slopes_needs_its_card() -> None:
    config = SRVGGNetCompactConfig(num_feat=4, num_conv=2, activation="leakyrelu")
    state = SRVGGNetCompact(config).state_dict()
    with pytest.raises(CheckpointError, match="do not show whether it uses ReLU"):
        recognition.recognise(state)
    assert recognition.recognise(state, {"activation": "leakyrelu"}).config == config


def test_esrgan_plus_is_refused_by_name() -> None:
    state = to_new(tiny().state_dict()) | {"RRDB_trunk.0.RDB1.conv1x1.weight": torch.zeros(4, 8, 1, 1)}
    with pytest.raises(CheckpointError, match=r"ESRGAN\+.*not supported.*RRDBNet"):
        recognition.recognise(state)


@pytest.mark.parametrize(
    "keys, said",
    [
        (["features.0.weight", "features.0.bias"], "VGG"),
        (["layers.0.residual_group.blocks.0.attn.qkv.weight"], "SwinIR"),
        (["encoder.weight", "decoder.weight"], "names like decoder.weight, encoder.weight"),
        (["body.0.weight", "head.0.weight"], "unknown architecture"),
    ],
)
def test_other_networks_are_named(keys: list[str], said: str) -> None:
    with pytest.raises(CheckpointError, match="unknown architecture") as error:
        recognition.recognise({key: torch.zeros(3, 3, 3, 3) for key in keys})
    assert said in str(error.value) and "vidsr runs" in str(error.value)
