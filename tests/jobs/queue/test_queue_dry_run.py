"""The dry run of a queue says for every file what the queue then does with it, and leaves the disk as it was."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import mixed_folder
from tests.support.clips import ClipFactory
from vidsr import QueueDryRun, dry_run_many, enhance_many
from vidsr.cli.main import run
from vidsr.errors import JobError, OptionsError, OutputError
from vidsr.jobs.queue.queue_dry_run import described_queue
from vidsr.jobs.queue.records import Wishes, file_id, queue_id, queues_folder


@pytest.fixture
def options(
    identity: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Any]]:
    (tmp_path / "state").mkdir()
    monkeypatch.setenv("VIDSR_STATE", str(tmp_path / "state"))
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    yield {"model": str(identity), "scale": 1, "segment_frames": 16}
    assert list(scratch.iterdir()) == []


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder below, with size and time of change."""
    return {str(p): (p.lstat().st_size, p.lstat().st_mtime_ns) for p in folder.rglob("*")}


def dry(place: Path, *arguments: Any, **options: Any) -> QueueDryRun:
    """A dry run that leaves everything below ``place`` as it is."""
    before = snapshot(place)
    try:
        return dry_run_many(*arguments, **options)
    finally:
        assert snapshot(place) == before


@pytest.mark.long
def test_it_says_what_the_queue_then_does(options: dict[str, Any], tmp_path: Path) -> None:
    made = mixed_folder.make(tmp_path / "in", videos=4, pictures=1, broken=8, growing=1)
    out = tmp_path / "new" / "out"
    os.utime(made.root / made.growing[0], (2_000_000_000, 2_000_000_000))  # in the future: it has just changed
    found = dry(tmp_path, [made.root], out, **options)
    states = {file.name: file.state for file in found.files}
    wanted = {
        **dict.fromkeys(made.good, "waiting"),
        **dict.fromkeys(made.broken, "refused"),
        **dict.fromkeys(made.growing, "growing"),
        **dict.fromkeys(made.foreign, "skipped"),
    }
    assert states == wanted
    assert all(file.reason for file in found.files if file.state != "waiting")
    assert found.total.pictures == 1 and found.fits
    os.utime(made.root / made.growing[0], (1_000_000_000, 1_000_000_000))
    result = enhance_many([made.root], out, **options)
    done = {file.name: file for file in result.files}
    for file in found.files:
        if file.state in ("refused", "skipped"):
            assert (done[file.name].state, done[file.name].reason) == (file.state, file.reason)
        elif file.state == "waiting":
            assert (done[file.name].state, done[file.name].result) == ("done", file.result)
            assert set(file.notes) <= set(done[file.name].notes)
    videos = [name for name in made.good if not name.startswith("stills")]
    assert found.total.frames == sum(done[name].frames for name in videos)
    text = described_queue(found)
    for part in (*(f.reason for f in found.files), "its result is named tape.mpg.mkv", found.command):
        assert part in text
    json.dumps(found.to_json())
    again = dry(tmp_path, [made.root], out, **options)
    assert {f.name: f.reason for f in again.files if f.state == "done"} == dict.fromkeys(
        [*made.good, *made.growing], "by an earlier run"
    )
    with pytest.raises(JobError, match=r"results made with other options: --crf"):
        dry(tmp_path, [made.root], out, crf=30, **options)


def test_the_command_line(
    clips: ClipFactory, options: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A file in the way, one that was left out, one of which a part is asked for that it does not have."""
    tapes, out = tmp_path / "tapes", tmp_path / "out"
    tapes.mkdir()
    out.mkdir()
    for name in ("a.mkv", "b.mkv", "c.mkv"):
        shutil.copy2(clips("silent"), tapes / name)
        os.utime(tapes / name, (1_000_000_000, 1_000_000_000))
    shutil.copy2(clips("film"), tapes / "short.mp4")
    os.utime(tapes / "short.mp4", (1_000_000_000, 1_000_000_000))
    (out / "b.mkv").write_text("mine")
    queue = queues_folder() / queue_id([], out)
    queue.mkdir(parents=True)
    Wishes(left_out=(file_id(str(tapes / "c.mkv")),)).save(queue)
    before = snapshot(tmp_path)
    command = ["enhance", str(tapes), str(out), "--model", options["model"], "--scale", "1", "--dry-run", "-q"]
    assert run([*command, "--frames", "10:20", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    files = {file["name"]: file for file in found["files"]}
    assert {name: file["state"] for name, file in files.items()} == {
        "a.mkv": "waiting", "b.mkv": "refused", "c.mkv": "skipped", "short.mp4": "refused",
    }  # fmt: skip
    assert files["a.mkv"]["run"]["estimate"]["frames"] == found["frames"] == 10
    assert files["b.mkv"]["reason"].endswith(
        "b.mkv already exists; use --overwrite to replace it, or choose another --output"
    )
    assert "left out on request" in files["c.mkv"]["reason"]
    assert "16 frames" in files["short.mp4"]["reason"]
    assert "--frames 10:20" in found["command"]
    assert run(command) == 0
    said = capfd.readouterr().out
    assert f"enhance  a.mkv → {out / 'a.mkv'} (24 frames, about" in said and "refused  b.mkv: " in said
    assert snapshot(tmp_path) == before


def test_what_stops_the_queue_stops_the_dry_run(clips: ClipFactory, options: dict[str, Any], tmp_path: Path) -> None:
    tapes = tmp_path / "tapes"
    tapes.mkdir()
    shutil.copy2(clips("silent"), tapes / "a.mkv")
    with pytest.raises(OutputError, match="is the source folder itself"):
        dry(tmp_path, [tapes], tapes, **options)
    with pytest.raises(OptionsError, match="--watch: give a folder"):
        dry(tmp_path, [tapes / "a.mkv"], tmp_path / "out", watch=True, **options)
