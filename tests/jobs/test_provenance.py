"""Provenance: what the record says is so, and `vidsr verify` finds out when it is not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.command_line import Done, vidsr
from vidsr.errors import VerifyError
from vidsr.jobs import provenance
from vidsr.jobs.enhance import enhance

SMALL: dict[str, Any] = {"model": "realesr-animevideov3", "device": "cpu", "scale": 2, "provenance": True}


def verify(*arguments: object) -> Done:
    return vidsr("verify", *arguments)


def test_record_of_a_video(clips: Any, tmp_path: Path) -> None:
    source = clips("basic")
    result = enhance(source, tmp_path / "out.mkv", **SMALL)
    record = tmp_path / "out.mkv.provenance.json"
    told = json.loads(record.read_text())
    assert told["schema"] == "vidsr-provenance/1"
    assert told["source"]["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert told["result"]["sha256"] == hashlib.sha256(result.output.read_bytes()).hexdigest()
    assert told["model"]["licence"] and len(told["model"]["sha256"]) == 64
    assert told["options"]["size"]["scale"] == 2
    assert told["software"]["torch"] and told["machine"]["cores"] >= 1
    assert told["facts"]["frames"] == result.to_json()["frames"]
    assert told["held"] is None
    good = verify(source, result.output, "--json")
    assert good.returncode == 0, good.stdout + good.stderr
    assert [c["ok"] for c in json.loads(good.stdout)["provenance"]] == [True, True, True]
    told["result"]["sha256"] = "0" * 64
    record.write_text(json.dumps(told))
    bad = verify(source, result.output)
    assert bad.returncode == 1 and "FAIL  result digest" in bad.stdout
    record.write_text('{"schema": "something else"}')
    with pytest.raises(VerifyError, match="not a provenance record"):
        provenance.check(source, result.output, record)


def test_record_of_what_was_held(clips: Any, tmp_path: Path) -> None:
    enhance(clips("basic"), tmp_path / "out.mkv", faces="hold", **SMALL)
    held = json.loads((tmp_path / "out.mkv.provenance.json").read_text())["held"]
    assert (held["faces"], held["text"]) == ("hold", "free")
    assert [network["name"] for network in held["networks"]] == ["yunet-2023mar"]
    assert held["networks"][0]["licence"] == "MIT" and len(held["networks"][0]["sha256"]) == 64


def test_record_of_a_folder_of_pictures(tmp_path: Path) -> None:
    root = tmp_path / "in"
    (root / "a").mkdir(parents=True)
    for name in ("one.png", "a/two.png"):
        Image.fromarray(np.random.default_rng(1).integers(0, 256, (8, 8, 3)).astype(np.uint8)).save(root / name)
    result = enhance(root, tmp_path / "out", **SMALL)
    assert verify(root, result.output).returncode == 0
    (result.output / "a" / "two.png").write_bytes(b"changed")
    changed = verify(root, result.output)
    assert changed.returncode == 1 and "result a/two.png" in changed.stdout
    (root / "one.png").unlink()
    assert "one.png is missing" in verify(root, result.output).stdout
    (result.output / "vidsr-provenance.json").unlink()
    assert "which writes this record" in verify(root, result.output).stderr
