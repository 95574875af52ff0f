"""Names, places and digests of the models that vidsr knows."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from tests.support.places import ROOT
from vidsr.errors import CheckpointError, ModelError
from vidsr.models import saving, zoo
from vidsr.models.architectures.rrdbnet import RRDBNet, RRDBNetConfig

WEIGHTS = ROOT / "weights"
SHIPPED = [entry for entry in zoo.ZOO.values() if entry.shipped]


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, so that what the user of this machine has fetched does not matter."""
    monkeypatch.setattr(zoo, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.delenv("VIDSR_WEIGHTS", raising=False)
    return tmp_path


def tiny_file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    saving.save(path, RRDBNet(RRDBNetConfig(num_feat=4, num_block=1, num_grow_ch=2)).state_dict(), {})
    return path


@pytest.mark.parametrize("entry", SHIPPED, ids=lambda e: e.name)
def test_shipped_files_are_the_ones_the_zoo_means(entry: zoo.ZooEntry) -> None:
    file = WEIGHTS / entry.file
    assert hashlib.sha256(file.read_bytes()).hexdigest() == entry.sha256
    assert entry.sha256 in (WEIGHTS / "README.md").read_text(encoding="utf-8")
    with safe_open(file, "pt") as opened:
        card = opened.metadata()
        dtypes = {(opened.get_tensor(k).ndim, opened.get_tensor(k).dtype) for k in opened.keys()}  # noqa: SIM118
    assert card["architecture"] == entry.architecture and card["licence"] == entry.licence
    assert card["source_sha256"] in (WEIGHTS / "README.md").read_text(encoding="utf-8")
    assert dtypes == {(4, torch.float16), (1, torch.float32)}, "convolutions fp16, biases and slopes fp32"


def test_shipped_models_load(nowhere: Path) -> None:
    shapes = {e.name: (e.architecture, e.scale) for e in SHIPPED if e.use not in ("between", "detect")}
    for name, (architecture, scale) in shapes.items():
        model = zoo.load_model(name)
        assert (model.architecture, model.scale) == (architecture, scale)
        assert not any(p.requires_grad for p in model.network.parameters()) and not model.network.training
        assert {p.dtype for p in model.network.parameters()} == {torch.float32}


def test_entries_are_complete() -> None:
    assert len(SHIPPED) == 10
    for entry in zoo.ZOO.values():
        assert entry.licence and entry.origin and entry.advice.endswith(".")
        assert entry.shipped or entry.parts or (entry.url or "").startswith("https://")
        for digest in (entry.sha256, *(part.sha256 for part in entry.parts)):
            assert digest is None or re.fullmatch(r"[0-9a-f]{64}", digest)
        assert entry.use in ("between", "detect", "measure") or entry.scale


def test_order_of_folders(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert zoo.resolve("realesr-animevideov3") == WEIGHTS / "realesr-animevideov3.safetensors"
    cached = tiny_file(nowhere / "cache" / "realesr-animevideov3.safetensors")
    assert zoo.resolve("realesr-animevideov3") == cached
    monkeypatch.setenv("VIDSR_WEIGHTS", str(nowhere / "mine"))
    assert zoo.resolve("realesr-animevideov3") == cached
    mine = tiny_file(nowhere / "mine" / "realesr-animevideov3.safetensors")
    assert zoo.resolve("realesr-animevideov3") == mine
    own = tiny_file(nowhere / "mine" / "our-model.safetensors")
    assert zoo.resolve("our-model") == own
    assert zoo.resolve(str(own)) == own


def test_upstream_names_work(nowhere: Path) -> None:
    path = tiny_file(nowhere / "cache" / "RealESRGAN_x2plus.pth")
    assert zoo.resolve("RealESRGAN_x2plus") == zoo.resolve("realesrgan-x2plus") == path


def test_a_file_under_a_known_name_must_be_that_file(nowhere: Path) -> None:
    path = tiny_file(nowhere / "cache" / "realesrgan-x4plus.safetensors")
    with pytest.raises(CheckpointError, match="damaged or another one"):
        zoo.load_model("realesrgan-x4plus")
    assert zoo.load_model(str(path)).scale == 4


@pytest.mark.parametrize(
    "name, said",
    [
        ("realesrgan-x4pluss", "perhaps realesrgan-x4plus"),
        ("RealESRGAN_x2plus", "vidsr models fetch realesrgan-x2plus"),
        ("gone.pth", "no such weights file"),
        ("folder/gone", "no such weights file"),
        ("qqqq", "vidsr models list"),
    ],
)
def test_unknown_names_are_told(nowhere: Path, name: str, said: str) -> None:
    with pytest.raises(ModelError, match=re.escape(said)):
        zoo.resolve(name)
