"""Presets over HTTP: saved, replaced only when asked for, used on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi.testclient", reason="the extra web or its test client is not installed")

from fastapi.testclient import TestClient

from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.presets import presets_folder
from vidsr.web.app import create_app
from vidsr.web.server_settings import WebSettings


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("VIDSR_CONFIG", str(tmp_path / "config"))
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "own.safetensors").write_bytes(b"weights")
    settings = WebSettings(roots=(tmp_path / "films",), state=tmp_path / "state")
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        yield client


def test_saved_listed_replaced(client: Any, tmp_path: Path) -> None:
    place = "/api/v1/presets/tapes-2"
    options = {"crf": 20, "restore": "deinterlace,denoise=0.3", "start": "1:00", "overwrite": True, "preset": "vhs"}
    answer = client.put(place, json={"options": options})
    assert answer.status_code == 200, answer.text
    saved = next(p for p in answer.json() if p["name"] == "tapes-2")
    assert not saved["material"] and (saved["options"]["crf"], saved["options"]["stabilize"]) == (20, 0.5)
    assert answer.json() == client.get("/api/v1/presets").json() == client.get("/api/v1/about").json()["presets"]
    # As on the command line: with what the material gives, and without the part of one video.
    used = EnhanceOptions.from_flat({"preset": "tapes-2"})
    assert (
        used.encode.crf == 20 and used.restore.stabilize == 0.5 and str(used.restore.restore).startswith("deinterlace")
    )
    assert used.span.is_whole and not used.output.overwrite
    before = (presets_folder() / "tapes-2.toml").read_text()
    refused = client.put(place, json={"options": {"crf": 30}})
    assert (refused.status_code, refused.json()["detail"]) == (409, "a preset named tapes-2 exists")
    assert (presets_folder() / "tapes-2.toml").read_text() == before
    assert client.put(place, json={"options": {"crf": 30}, "overwrite": True}).status_code == 200
    assert EnhanceOptions.from_flat({"preset": "tapes-2"}).encode.crf == 30
    model = client.put("/api/v1/presets/own", json={"options": {"model": "own.safetensors"}})
    assert model.status_code == 200
    assert str(tmp_path / "films" / "own.safetensors") in (presets_folder() / "own.toml").read_text()


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("vhs", {"crf": 20}, "this is a material or a preset of an encoder"),
        ("slow", {"crf": 20}, "this is a material or a preset of an encoder"),
        ("a.toml", {"crf": 20}, "use letters, digits, dots, dashes and underscores"),
        ("mine", {}, "no option was given to save"),
        ("mine", {"start": "5"}, "no option was given to save"),
        ("mine", {"device": "cpu"}, "cannot be set here"),
        ("mine", {"crf": 99}, "--crf"),
        ("mine", {"preset": "/etc/x.toml"}, "name a preset here, not a file"),
        ("mine", {"preset": "saved"}, "cannot name another saved preset"),
        ("..%2Fmine", {"crf": 20}, ""),
    ],
)
def test_what_cannot_be_saved(client: Any, name: str, options: dict[str, Any], said: str) -> None:
    assert client.put("/api/v1/presets/saved", json={"options": {"crf": 18}}).status_code == 200
    answer = client.put(f"/api/v1/presets/{name}", json={"options": options})
    assert answer.status_code in (404, 422) and said in answer.json()["detail"]
    assert [path.name for path in presets_folder().parent.rglob("*.toml")] == ["saved.toml"]
