"""``vidsr models`` as a user runs it."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tests.support import processes
from tests.support.file_server import DATA, SHA, Server, serving
from vidsr.cli import main
from vidsr.models import checkpoint
from vidsr.models.architectures.rrdbnet import RRDBNet, RRDBNetConfig


@dataclass
class Done:
    """What a command printed."""

    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


@pytest.fixture
def vidsr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """``vidsr("models", "list")`` in an empty folder with an empty cache, in this process to save its start."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("VIDSR_WEIGHTS", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*args: str, code: int = 0) -> Done:
        got = main.run(list(args))
        done = Done(*capsys.readouterr())
        assert got == code, done.stderr
        return done

    return run


def small(path: Path) -> RRDBNet:
    net = RRDBNet(RRDBNetConfig(num_feat=4, num_block=1, num_grow_ch=2, scale=2))
    torch.save({"params_ema": net.state_dict()}, path)
    return net


def test_list(vidsr: Run) -> None:
    text = vidsr("models", "list").stdout
    assert "realesrgan-x4plus " in text and "x4" in text
    models = {m["name"]: m for m in json.loads(vidsr("models", "list", "--json").stdout)["models"]}
    assert Path(models["realesr-animevideov3"]["path"]).is_file()
    assert models["realesrgan-x2plus"]["path"] is None


def test_list_needs_no_torch(tmp_path: Path) -> None:
    code = "import sys, vidsr.cli.main as m; m.run(['models', 'list']); assert 'torch' not in sys.modules"
    processes.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_info(vidsr: Run, tmp_path: Path) -> None:
    facts = json.loads(vidsr("models", "info", "realesr-animevideov3", "--json").stdout)
    assert (facts["architecture"], facts["scale"], facts["parameters"]) == ("SRVGGNetCompact", 4, 621424)
    assert facts["config"]["num_conv"] == 16 and facts["card"]["licence"] == "BSD-3-Clause"
    small(tmp_path / "s.pth")
    text = vidsr("models", "info", "s.pth").stdout
    assert "RRDBNet" in text and "num_block=1" in text


def test_convert(vidsr: Run, tmp_path: Path) -> None:
    net = small(tmp_path / "s.pth")
    answer = json.loads(vidsr("models", "convert", "s.pth", "a.safetensors", "--card", "name=mine", "--json").stdout)
    assert answer["card"]["name"] == "mine" and answer["card"]["scale"] == "2"
    assert answer["sha256"] == hashlib.sha256((tmp_path / "a.safetensors").read_bytes()).hexdigest()
    loaded = checkpoint.load(tmp_path / "a.safetensors")
    assert all(torch.equal(v, net.state_dict()[k]) for k, v in loaded.network.state_dict().items())
    vidsr("models", "convert", "s.pth", "b.safetensors", "--card", "name=mine")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert "--overwrite" in vidsr("models", "convert", "s.pth", "a.safetensors", code=1).stderr
    vidsr("models", "convert", "s.pth", "a.safetensors", "--half", "--overwrite")
    tensors, _ = checkpoint.read_tensors(tmp_path / "a.safetensors")
    assert {(v.ndim, v.dtype) for v in tensors.values()} == {(4, torch.float16), (1, torch.float32)}
    assert "end in .safetensors" in vidsr("models", "convert", "s.pth", "a.pth", code=2).stderr
    assert "KEY=VALUE" in vidsr("models", "convert", "s.pth", "c.safetensors", "--card", "x", code=2).stderr
    assert not (tmp_path / "c.safetensors").exists()


def test_fetch(vidsr: Run, server: Server, tmp_path: Path) -> None:
    url = f"{server.url}/m.pth"
    refusal = vidsr("models", "fetch", url, code=1).stderr
    assert "--sha256" in refusal and "--accept-unverified" in refusal
    done = vidsr("models", "fetch", url, "--sha256", SHA.upper(), "--to", "w")
    assert done.stdout.strip() == "w/m.pth" and (tmp_path / "w" / "m.pth").read_bytes() == DATA
    assert "100%" in done.stderr, "a progress bar on stderr"
    before = len(server.ranges)
    again = json.loads(vidsr("models", "fetch", url, "--sha256", SHA, "--to", "w", "--json").stdout)
    assert again["state"] == "already there" and len(server.ranges) == before
    taken = json.loads(vidsr("models", "fetch", url, "--accept-unverified", "--json").stdout)
    assert taken["state"] == "unverified" and taken["sha256"] == SHA
    assert SHA in Path(taken["path"] + ".sha256").read_text(encoding="utf-8")
    assert str(tmp_path / "cache") in taken["path"]
    wrong = vidsr("models", "fetch", url, "--sha256", "1" * 64, "--to", "v", code=1).stderr
    assert SHA in wrong and "nothing was kept" in wrong
    assert list((tmp_path / "v").iterdir()) == []


def test_fetch_faults(vidsr: Run) -> None:
    assert "these can be fetched" in vidsr("models", "fetch", "nonsense", code=2).stderr
    assert "is shipped with vidsr" in vidsr("models", "fetch", "realesrgan-x4plus", code=2).stderr
    assert "no trusted digest" in vidsr("models", "fetch", "realesrnet-x4plus", code=1).stderr
    assert (
        "does not match the known digest" in vidsr("models", "fetch", "esrgan-x4", "--sha256", "0" * 64, code=2).stderr
    )
    assert "64 hexadecimal digits" in vidsr("models", "fetch", "esrgan-x4", "--sha256", "beef", code=2).stderr
    for address in ("http://127.0.0.1:9/", "http://example.org:80", "http://example.org/a/..%2f"):
        assert "does not end in a file name" in vidsr("models", "fetch", address, code=2).stderr


def test_fetched_files_have_the_name_that_people_read(vidsr: Run, server: Server, tmp_path: Path) -> None:
    server.files["/..%2f4x%20%C3%BC.pth?token=1"] = DATA
    done = vidsr("models", "fetch", f"{server.url}/..%2f4x ü.pth?token=1", "--sha256", SHA, "--to", "w")
    assert done.stdout.strip() == "w/4x ü.pth"
    assert (tmp_path / "w" / "4x ü.pth").read_bytes() == DATA


@pytest.mark.parametrize("command", [[], ["list"], ["info"], ["convert"], ["fetch"]])
def test_help(vidsr: Run, command: list[str]) -> None:
    text = vidsr("models", *command, "--help").stdout
    assert "vidsr models" in text
    assert not command or "Examples:" in text


def test_blend(vidsr: Run, tmp_path: Path) -> None:
    net = small(tmp_path / "a.pth")
    torch.save({k: v * 1.1 for k, v in net.state_dict().items()}, tmp_path / "b.pth")
    answer = json.loads(vidsr("models", "blend", "a.pth", "b.pth", "c.safetensors", "--alpha", "0.5", "--json").stdout)
    assert answer["card"]["blend_correlation"] == "1.0000"
    mixed = checkpoint.load(tmp_path / "c.safetensors").network.state_dict()
    assert torch.allclose(mixed["conv_first.weight"], net.state_dict()["conv_first.weight"] * 1.05)
    vidsr("models", "blend", "a.pth", "b.pth", "--alpha", "0.25", "-o", "named.safetensors")
    assert "a+b-0.25.safetensors" in vidsr("models", "blend", "a.pth", "b.pth", "--alpha", "0.25").stdout
    assert (tmp_path / "named.safetensors").read_bytes() == (tmp_path / "a+b-0.25.safetensors").read_bytes()
    assert "already given" in vidsr("models", "blend", "a.pth", "b.pth", "x.safetensors", "-o", "y", code=2).stderr
    small_other = RRDBNet(RRDBNetConfig(num_feat=4, num_block=1, num_grow_ch=2, scale=2))
    torch.save(small_other.state_dict(), tmp_path / "d.pth")
    assert "not of one family" in vidsr("models", "blend", "a.pth", "d.pth", "e.safetensors", code=1).stderr
    assert not (tmp_path / "e.safetensors").exists()


def test_export(vidsr: Run, tmp_path: Path) -> None:
    small(tmp_path / "a.pth")
    assert vidsr("models", "export", "a.pth", "--to", "ncnn").stdout.split() == ["a.param", "a.bin", "a.json"]
    answer = json.loads(vidsr("models", "export", "a.pth", "--to", "onnx", "--fp16", "--json").stdout)
    assert answer["output"] == "a.fp16.onnx"
    assert hashlib.sha256((tmp_path / "a.fp16.onnx").read_bytes()).hexdigest() == answer["files"]["a.fp16.onnx"]
    assert "--overwrite" in vidsr("models", "export", "a.pth", "--to", "ncnn", code=1).stderr
    assert "must be one of" in vidsr("models", "export", "a.pth", "--to", "coreml", code=2).stderr
    assert "must end in .onnx" in vidsr("models", "export", "a.pth", "--to", "onnx", "-o", "x.bin", code=2).stderr
    assert "source file" in vidsr("models", "export", "a.param", "--to", "ncnn", "--overwrite", code=1).stderr
