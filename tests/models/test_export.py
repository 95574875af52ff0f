"""Every export run in its own runtime, and equal to PyTorch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support import processes
from tests.support.export_runtimes import RUNTIMES
from tests.support.places import STILL
from vidsr.errors import MissingExtraError, OutputError
from vidsr.models import checkpoint, saving, zoo
from vidsr.models.architectures.efdn import EFDN, EFDNConfig
from vidsr.models.architectures.rrdbnet import RRDBNet, RRDBNetConfig
from vidsr.models.architectures.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig
from vidsr.models.checkpoint import LoadedModel
from vidsr.models.export import FORMATS, export

NETWORKS: dict[str, Any] = {
    "efdn x4": lambda: EFDN(EFDNConfig(num_feat=8, attention_feat=4)),
    "rrdb x4": lambda: RRDBNet(RRDBNetConfig(num_feat=8, num_block=2, num_grow_ch=4)),
    "rrdb x8": lambda: RRDBNet(RRDBNetConfig(num_feat=4, num_block=1, num_grow_ch=4, scale=8)),
    "rrdb x2, folded": lambda: RRDBNet(RRDBNetConfig(num_feat=8, num_block=1, num_grow_ch=4, scale=2)),
    "rrdb x1, folded": lambda: RRDBNet(RRDBNetConfig(num_feat=8, num_block=1, num_grow_ch=4, scale=1)),
    "rrdb x1": lambda: RRDBNet(RRDBNetConfig(num_feat=8, num_block=1, num_grow_ch=4, scale=1, folding=1)),
    "srvgg x4": lambda: SRVGGNetCompact(SRVGGNetCompactConfig(num_feat=8, num_conv=2)),
    "srvgg x2, leaky": lambda: SRVGGNetCompact(
        SRVGGNetCompactConfig(num_feat=8, num_conv=2, scale=2, activation="leakyrelu")
    ),
}


@pytest.fixture(params=NETWORKS)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> LoadedModel:
    torch.manual_seed(7)
    network = NETWORKS[request.param]()
    for module in network.modules():
        if isinstance(module, torch.nn.PReLU):
            torch.nn.init.uniform_(module.weight, -1, 1)
    card = {"licence": "BSD-3-Clause", "activation": getattr(network.config, "activation", "")}
    saving.save(tmp_path / "m.safetensors", network.state_dict(), card)
    return checkpoint.load(tmp_path / "m.safetensors")


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("to", RUNTIMES)
def test_equal_to_torch_at_several_sizes(model: LoadedModel, tmp_path: Path, to: str, half: bool) -> None:
    """fp32: within 1e-4 (measured 1e-7). fp16: within what half precision can hold of values around 1."""
    target = tmp_path / f"out{FORMATS[to][0]}"
    written = export(model, target, to, half=half)
    assert [p.suffix for p in written] == list(FORMATS[to]) and all(p.is_file() for p in written)
    assert not list(tmp_path.glob("*.part"))
    for shape in [(1, 3, 16, 24), (2, 3, 36, 20)]:
        frames = (
            torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 1.2 - 0.1
        )  # colours beyond the display's
        with torch.inference_mode():
            wanted = model.network(frames).numpy()
        got = RUNTIMES[to](target, frames.numpy())
        assert got.shape == wanted.shape and got.dtype == np.float32
        error = np.abs(got - wanted).max()
        assert error <= (1e-3 if half else 1e-4)
        assert half == (error > 3e-6), "half precision is really used, and only when asked for"


@pytest.mark.slow
@pytest.mark.parametrize("to", RUNTIMES)
@pytest.mark.parametrize(
    "name", ["realesrgan-x4plus", "realesrgan-x4plus-anime-6B", "realesr-animevideov3", "faithful"]
)
def test_shipped_models_are_equal_to_torch(name: str, to: str, tmp_path: Path) -> None:
    """The real networks, all 23 blocks of the largest, on a crop of a real picture: within 1e-4 in fp32."""
    model = zoo.load_model(name)
    target = tmp_path / f"out{FORMATS[to][0]}"
    export(model, target, to, half=False)
    photo = np.asarray(Image.open(STILL).convert("RGB"))[40:72, 120:168]
    frames = np.ascontiguousarray(photo.transpose(2, 0, 1)[None], dtype=np.float32) / 255
    with torch.inference_mode():
        wanted = model.network(torch.from_numpy(frames)).numpy()
    entry = zoo.find(name)
    assert entry is not None
    got = RUNTIMES[to](target, frames, entry.licence)
    assert np.abs(got - wanted).max() <= 1e-4


def test_same_input_same_bytes(model: LoadedModel, tmp_path: Path) -> None:
    for to in ("onnx", "ncnn"):
        a, b = (export(model, tmp_path / f"{name}{FORMATS[to][0]}", to) for name in "ab")
        assert [p.read_bytes() for p in a] == [p.read_bytes() for p in b]


@pytest.mark.parametrize("half", [False, True])
def test_our_ncnn_files_can_be_loaded_again(tmp_path: Path, half: bool) -> None:
    torch.manual_seed(7)
    network = NETWORKS["rrdb x4"]()
    saving.save(tmp_path / "m.safetensors", network.state_dict(), {})
    export(checkpoint.load(tmp_path / "m.safetensors"), tmp_path / "n.param", "ncnn", half=half)
    again = checkpoint.load(tmp_path / "n.param")
    assert again.config == network.config
    for key, value in network.state_dict().items():
        wanted = value.half().float() if half and value.ndim == 4 else value
        assert torch.equal(again.network.state_dict()[key], wanted)


def test_missing_library_and_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saving.save(tmp_path / "m.safetensors", NETWORKS["rrdb x4"]().state_dict(), {})
    model = checkpoint.load(tmp_path / "m.safetensors")
    with pytest.raises(OutputError, match="does not exist"):
        export(model, tmp_path / "none" / "m.onnx", "onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"vidsr-esrgan\[export\]"):
        export(model, tmp_path / "m.onnx", "onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_openvino_reports_nothing_to_its_makers(tmp_path: Path) -> None:
    """Importing OpenVINO would write an identity into the home folder and send an event; ours does not."""
    code = (
        "import socket\n"
        "def connect(*a): raise SystemExit('a connection was tried')\n"
        "socket.socket.connect = socket.create_connection = connect\n"
        "from vidsr.models.openvino import load_openvino\n"
        "load_openvino()\n"
    )
    env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(p for p in sys.path if p)}
    processes.run([sys.executable, "-c", code], check=True, env=env, capture_output=True)
    assert list(tmp_path.iterdir()) == []
