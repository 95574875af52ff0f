"""Files that can be used, files that cannot, and the reasons given."""

from __future__ import annotations

import io
import os
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vidsr.errors import CheckpointError, DiskFullError, OutputError
from vidsr.models import checkpoint, saving
from vidsr.models.architectures.rrdbnet import RRDBNet, RRDBNetConfig
from vidsr.models.architectures.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig
from vidsr.storage import AtomicFile


@pytest.fixture
def net() -> RRDBNet:
    torch.manual_seed(3)
    return RRDBNet(RRDBNetConfig(num_feat=6, num_block=2, num_grow_ch=3)).eval()


def refused(path: Path, said: str) -> str:
    with pytest.raises(CheckpointError, match=said) as error:
        checkpoint.load(path)
    text = str(error.value)
    assert text.startswith(str(path)) and "\n" not in text and len(text) < 400, text
    return text


@pytest.mark.parametrize("half", [False, True])
def test_safetensors_with_card(tmp_path: Path, net: RRDBNet, half: bool) -> None:
    state = {k: v.half() if half and v.ndim == 4 else v for k, v in net.state_dict().items()}
    save_file(state, tmp_path / "m.safetensors", {"name": "mine", "steps": "400000"})
    model = checkpoint.load(tmp_path / "m.safetensors")
    assert model.card == {"name": "mine", "steps": "400000"}
    assert model.sha256 == checkpoint.digest(tmp_path / "m.safetensors")
    for key, value in model.network.state_dict().items():
        assert torch.equal(value, state[key].float())


def test_saved_files_are_plain_safetensors_and_always_the_same(tmp_path: Path, net: RRDBNet) -> None:
    state = net.state_dict() | {"conv_first.weight": net.conv_first.weight.detach().half()}
    card = {"b": "2", "a": "ä", "c": "3"}
    saving.save(tmp_path / "one.safetensors", state, card)
    saving.save(tmp_path / "two.safetensors", dict(reversed(state.items())), dict(reversed(card.items())))
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    tensors, read = checkpoint.read_tensors(tmp_path / "one.safetensors")
    assert read == card
    assert all(torch.equal(tensors[k], v) and tensors[k].dtype == v.dtype for k, v in state.items())


def test_nothing_stays_of_a_file_that_could_not_be_written(
    tmp_path: Path, net: RRDBNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        saving.save(tmp_path / "none" / "m.safetensors", net.state_dict(), {})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    (tmp_path / "m.safetensors").write_bytes(b"old")
    with pytest.raises(DiskFullError, match="no space"):
        saving.save(tmp_path / "m.safetensors", net.state_dict(), {})
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]
    assert (tmp_path / "m.safetensors").read_bytes() == b"old"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_for_real(tmp_path: Path, net: RRDBNet) -> None:
    (tmp_path / "m.safetensors.part").symlink_to("/dev/full")
    with pytest.raises(DiskFullError):
        saving.save(tmp_path / "m.safetensors", net.state_dict(), {})
    assert not (tmp_path / "m.safetensors").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_shows_in_small_files_too(tmp_path: Path) -> None:
    """What fits the buffer is written when the file is closed; that can fail too, and is reported the same way."""
    (tmp_path / "state.json.part").symlink_to("/dev/full")
    with pytest.raises(DiskFullError, match="no space"), AtomicFile(tmp_path / "state.json") as file:
        file.write(b"{}")
    assert not list(tmp_path.iterdir())


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.system, (f"touch {self.path}",))


@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_refused_and_not_run(tmp_path: Path, net: RRDBNet, zipped: bool) -> None:
    mark = tmp_path / "mark"
    torch.save(
        {"params": net.state_dict(), "x": Bomb(mark)},
        tmp_path / "m.pth",
        _use_new_zipfile_serialization=zipped,
    )
    text = refused(tmp_path / "m.pth", "carries code")
    assert "system" in text and "not run" in text
    assert not mark.exists()


def test_a_bare_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for protocol in (2, 3, 4, 5):
        (tmp_path / "m.pth").write_bytes(pickle.dumps({"a": Bomb(mark)}, protocol=protocol))
        assert "system" in refused(tmp_path / "m.pth", "carries code")
    assert not mark.exists()


def test_a_pickle_of_plain_things_is_no_weights_file(tmp_path: Path) -> None:
    (tmp_path / "m.pth").write_bytes(pickle.dumps({"a": [1, 2, 3]}))
    refused(tmp_path / "m.pth", "not a PyTorch weights file|no table of weights")


def test_a_whole_saved_module_is_refused(tmp_path: Path, net: RRDBNet) -> None:
    torch.save(net, tmp_path / "m.pth")
    assert "RRDBNet" in refused(tmp_path / "m.pth", "carries code")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".legacy.pth"])
def test_truncated(tmp_path: Path, net: RRDBNet, suffix: str, share: float) -> None:
    whole = tmp_path / f"whole{suffix}"
    if suffix == ".safetensors":
        saving.save(whole, net.state_dict(), {})
    else:
        torch.save(net.state_dict(), whole, _use_new_zipfile_serialization=suffix == ".pth")
    data = whole.read_bytes()
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(data[: int(len(data) * share)])
    refused(cut, "truncated|damaged")


@pytest.mark.parametrize(
    "name, data, said",
    [
        ("page.pth", b"<!DOCTYPE html><html>Not Found</html>" * 9, "web page"),
        ("text.pth", b"hello there, this is a text file\n" * 9, r"text.*\.safetensors, \.pth"),
        ("film.pth", b"\0\0\0\x20ftypisom" + bytes(99), "a video"),
        ("photo.safetensors", b"\x89PNG\r\n\x1a\n" + bytes(99), "PNG"),
        ("noise.bin", bytes(range(128, 256)) * 9, "unknown kind|not a PyTorch"),
        ("empty.pth", b"", "empty"),
    ],
)
def test_not_a_model(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(data)
    refused(tmp_path / name, said)


def test_missing_and_folder(tmp_path: Path) -> None:
    refused(tmp_path / "gone.pth", "no such file")
    refused(tmp_path, "folder")


def test_things_without_weights(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "loss": 0.1}, tmp_path / "log.pth")
    refused(tmp_path / "log.pth", "no table of weights")
    torch.save([torch.zeros(3)], tmp_path / "list.pth")
    refused(tmp_path / "list.pth", "a list")


def test_incomplete_and_misshapen(tmp_path: Path, net: RRDBNet) -> None:
    state = net.state_dict()
    for drop, said in [
        ("conv_last.weight", "conv_last.weight is missing"),
        ("body.1.rdb2.conv3.bias", "1 tensors are"),
    ]:
        torch.save({k: v for k, v in state.items() if k != drop}, tmp_path / "m.pth")
        refused(tmp_path / "m.pth", re.escape(said))
    torch.save(state | {"body.1.rdb2.conv3.weight": torch.zeros(3, 3, 3, 3)}, tmp_path / "m.pth")
    refused(tmp_path / "m.pth", r"shape \(3, 3, 3, 3\)")
    torch.save(state | {"attention.weight": torch.zeros(3)}, tmp_path / "m.pth")
    refused(tmp_path / "m.pth", "attention.weight")


def test_spoiled_weights(tmp_path: Path, net: RRDBNet) -> None:
    state = net.state_dict()
    state["conv_body.bias"][2] = float("nan")
    torch.save(state, tmp_path / "m.pth")
    refused(tmp_path / "m.pth", "conv_body.bias holds values that are not finite")


# --- ncnn -----------------------------------------------------------------------------------------------------


def ncnn_pair(folder: Path, network: RRDBNet | SRVGGNetCompact, half: bool, newline: str = "\n") -> Path:
    """Write a network as ncnn files, by the format's rules alone."""
    lines, data = ["Input input 0 1 data"], io.BytesIO()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            weight = module.weight.detach().numpy()
            lines.append(f"Convolution c{len(lines)} 1 1 a b 0={module.out_channels} 1=3 4=1 5=1 6={weight.size}")
            data.write((0x01306B47 if half else 0).to_bytes(4, "little"))
            raw = weight.astype("<f2" if half else "<f4").tobytes()
            data.write(raw + bytes(-len(raw) % 4) + module.bias.detach().numpy().astype("<f4").tobytes())
        elif isinstance(module, torch.nn.PReLU):
            lines.append(f"PReLU p{len(lines)} 1 1 a b 0={module.num_parameters}")
            data.write(module.weight.detach().numpy().astype("<f4").tobytes())
    if isinstance(network, RRDBNet):
        lines += ["Interp up 1 1 a b 0=1 1=2.000000e+00 2=2.000000e+00"] * network.config.upsamplings
    else:
        lines += ["PixelShuffle s 1 1 a b 0=4", "Interp i 1 1 a b 0=1 1=4.0 2=4.0", "Interp d 1 1 a b 0=3 1=0.5 2=0.5"]
    (folder / "m.param").write_bytes(newline.join(["7767517", f"{len(lines)} 9", *lines, ""]).encode())
    (folder / "m.bin").write_bytes(data.getvalue())
    return folder / "m.param"


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("kind", ["rrdb", "srvgg"])
def test_ncnn(tmp_path: Path, kind: str, half: bool, newline: str) -> None:
    torch.manual_seed(5)
    made: RRDBNet | SRVGGNetCompact = (
        RRDBNet(RRDBNetConfig(num_feat=5, num_block=2, num_grow_ch=3))
        if kind == "rrdb"
        else SRVGGNetCompact(SRVGGNetCompactConfig(num_feat=5, num_conv=3))
    )
    path = ncnn_pair(tmp_path, made, half, newline)
    for file in (path, path.with_suffix(".bin")):
        model = checkpoint.load(file)
        assert model.config == made.config
        assert model.sha256 == checkpoint.digest(path.with_suffix(".bin"))
        for key, value in made.state_dict().items():
            wanted = value.half().float() if half and value.ndim == 4 else value
            assert torch.equal(model.network.state_dict()[key], wanted), key
    assert ("note" in model.card) == (kind == "srvgg"), "the shrinking resize after the network is mentioned"


def test_ncnn_faults(tmp_path: Path) -> None:
    path = ncnn_pair(tmp_path, RRDBNet(RRDBNetConfig(num_feat=5, num_block=1, num_grow_ch=3)), True)
    text, data = path.read_text(), path.with_suffix(".bin").read_bytes()
    path.with_suffix(".bin").write_bytes(data[:-9])
    refused(path, "truncated")
    path.with_suffix(".bin").write_bytes(data + bytes(4))
    refused(path, "4 bytes more")
    path.with_suffix(".bin").write_bytes(np.uint32(0x000D4B38).tobytes() + data[4:])
    refused(path, "quantised")
    path.with_suffix(".bin").write_bytes(data)
    path.write_text("\n".join(text.split("\n")[:9]))
    refused(path, "lists 7 of")
    path.write_text(text.replace("Interp up", "Softmax up", 1))
    refused(path, "Softmax")
    path.write_text(text)
    path.with_suffix(".bin").unlink()
    refused(path, "m.bin is missing")
