"""Downloads from a real HTTP server on this machine, which misbehaves in the ways that servers do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.support.file_server import DATA, SHA, Server, serving
from vidsr.errors import DownloadError, OutputError
from vidsr.models import checkpoint, fetch, zoo
from vidsr.models.fetch import FetchSettings, download

PATIENT = FetchSettings(timeout_seconds=5, attempts=4, pause_seconds=0)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


def left(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_good_server(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    settings = FetchSettings(progress=lambda done, total: seen.append((done, total)))
    target = tmp_path / "new" / "m.pth"
    assert download(f"{server.url}/m.pth", target, SHA, settings) == SHA
    assert target.read_bytes() == DATA and left(target.parent) == ["m.pth"]
    assert seen[0] == (0, len(DATA)) and seen[-1] == (len(DATA), len(DATA))


def test_a_cut_connection_is_gone_on_with(server: Server, tmp_path: Path) -> None:
    server.manner, server.cut_after = "cuts", 300_000
    download(f"{server.url}/m.pth", tmp_path / "m.pth", SHA, PATIENT)
    assert (tmp_path / "m.pth").read_bytes() == DATA
    assert server.ranges == [None, "bytes=300000-", "bytes=600000-"]


def test_a_later_call_goes_on(server: Server, tmp_path: Path) -> None:
    server.manner = "cuts"
    with pytest.raises(DownloadError, match=r"cut, 2 times; 200000 bytes are kept"):
        download(f"{server.url}/m.pth", tmp_path / "m.pth", SHA, FetchSettings(attempts=2, pause_seconds=0))
    assert left(tmp_path) == ["m.pth.part"], "no file under the final name"
    server.manner = "good"
    download(f"{server.url}/m.pth", tmp_path / "m.pth", SHA, PATIENT)
    assert server.ranges[-1] == "bytes=200000-"
    assert (tmp_path / "m.pth").read_bytes() == DATA


def test_a_server_that_ignores_range(server: Server, tmp_path: Path) -> None:
    (tmp_path / "m.pth.part").write_bytes(DATA[:5000])
    server.manner = "no ranges"
    download(f"{server.url}/m.pth", tmp_path / "m.pth", SHA, PATIENT)
    assert server.ranges == ["bytes=5000-"]
    assert (tmp_path / "m.pth").read_bytes() == DATA


def test_a_part_that_is_whole_already(server: Server, tmp_path: Path) -> None:
    (tmp_path / "m.pth.part").write_bytes(DATA)
    download(f"{server.url}/m.pth", tmp_path / "m.pth", SHA, PATIENT)
    assert (tmp_path / "m.pth").read_bytes() == DATA


@pytest.mark.parametrize("rubbish", [b"x" * 5000, DATA + b"more"])
def test_a_part_of_something_else_is_thrown_away(server: Server, tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / "m.pth.part").write_bytes(rubbish)
    download(f"{server.url}/m.pth", tmp_path / "m.pth", SHA, PATIENT)
    assert (tmp_path / "m.pth").read_bytes() == DATA


def test_a_wrong_digest_leaves_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=f"{SHA}, expected {'0' * 64}"):
        download(f"{server.url}/m.pth", tmp_path / "m.pth", "0" * 64, PATIENT)
    assert left(tmp_path) == []


def test_no_such_file_is_not_tried_again(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="answers 404"):
        download(f"{server.url}/none.pth", tmp_path / "m.pth", SHA, PATIENT)
    assert len(server.ranges) == 1


def test_a_busy_server_is_tried_again(server: Server, tmp_path: Path) -> None:
    server.manner = "busy"
    with pytest.raises(DownloadError, match=r"answers 503.*4 times"):
        download(f"{server.url}/m.pth", tmp_path / "m.pth", SHA, PATIENT)
    assert len(server.ranges) == 4


def test_nobody_listens(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="refused"):
        download("http://127.0.0.1:9/m.pth", tmp_path / "m.pth", SHA, FetchSettings(attempts=1))
    with pytest.raises(DownloadError, match="only http"):
        download("file:///etc/passwd", tmp_path / "m.pth", None)


def test_a_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be made"):
        download(f"{server.url}/m.pth", tmp_path / "file" / "m.pth", SHA, PATIENT)


def test_parts_become_one_file(server: Server, tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.ones(2, 3, 3, 3), "classifier.1.weight": torch.ones(4)}, tmp_path / "a")
    torch.save({"lin0.model.1.weight": torch.ones(1, 2, 1, 1)}, tmp_path / "b")
    parts = []
    for name in "ab":
        server.files[f"/{name}"] = (tmp_path / name).read_bytes()
        digest = hashlib.sha256(server.files[f"/{name}"]).hexdigest()
        parts.append(zoo.DownloadPart(url=f"{server.url}/{name}", sha256=digest))
    entry = zoo.ZooEntry(
        name="both", file="both.safetensors", sha256=None, architecture="LPIPS", licence="BSD", origin="here",
        advice="", parts=tuple(parts), use="measure",
    )  # fmt: skip
    digest = fetch.fetch_entry(entry, tmp_path / "out", None, PATIENT)
    tensors, card = checkpoint.read_tensors(tmp_path / "out" / "both.safetensors")
    assert set(tensors) == {"features.0.weight", "lin0.model.1.weight"} and card["licence"] == "BSD"
    assert left(tmp_path / "out") == ["both.safetensors"]
    assert digest == checkpoint.digest(tmp_path / "out" / "both.safetensors")
