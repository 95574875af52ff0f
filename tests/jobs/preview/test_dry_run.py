"""A dry run says what the job does, and leaves the disk as it was."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.support import processes
from tests.support.clips import ClipFactory, picture, tone
from vidsr import DryRun, NoPlaceError, OutputError, dry_run, enhance
from vidsr.jobs.preview.dry_run import described


def snapshot(*folders: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder below, with size and time of change."""
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for f in folders for p in [f, *f.rglob("*")]}


@pytest.fixture
def untouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a dry run and checks that nothing has changed: beside source and result, in the register, in /tmp."""
    place, state, scratch = tmp_path / "place", tmp_path / "state", tmp_path / "scratch"
    for folder in (place, state, scratch):
        folder.mkdir()
    monkeypatch.setenv("VIDSR_STATE", str(state))
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))

    def run(source: Path, output: Path | None, **options: Any) -> DryRun:
        folders = (source.parent, place, state)
        before = snapshot(*folders)
        try:
            return dry_run(source, output, **options)
        finally:
            assert snapshot(*folders) == before
            assert list(scratch.iterdir()) == []

    return run


def test_it_says_what_the_job_then_does(clips: ClipFactory, identity: Path, tmp_path: Path, untouched: Any) -> None:
    source = clips.make(
        "rich.mkv", *picture(), *tone(), "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "pcm_mulaw",
        "-metadata", "title=A title",
    )  # fmt: skip
    output = tmp_path / "place" / "out.mp4"
    found = untouched(source, output, model=str(identity), scale=1, restore="denoise=0.3", strength=0.5)
    fates = [(fate.kind, fate.action, fate.into) for fate in found.streams]
    assert fates == [("video", "enhance", "h264"), ("audio", "convert", "flac")]
    assert found.filters == "denoise=0.3"
    assert found.steps == ("strength 0.5",)
    assert found.estimate.frames == 24
    assert found.estimate.seconds > 0 and found.free_bytes > 0 and found.fits
    result = enhance(source, output, model=str(identity), scale=1, restore="denoise=0.3", strength=0.5)
    assert (found.size, found.codec, found.device, found.precision) == (
        *(result.size, result.codec, result.device, result.precision),
    )
    assert found.output == result.output
    assert set(found.losses) <= set(result.notes)
    assert any("pcm_mulaw is converted to flac" in note for note in found.losses)
    text = described(found)
    for part in ("1 audio (pcm_mulaw): converted to flac", "denoise=0.3", "24", found.command, "nothing is written"):
        assert part in text
    json.dumps(found.to_json())


def test_an_interrupted_job_is_seen(clips: ClipFactory, identity: Path, tmp_path: Path, untouched: Any) -> None:
    output = tmp_path / "place" / "out.mkv"
    asked: dict[str, Any] = {"model": str(identity), "scale": 1, "segment_frames": 6}

    def give_up(event: Any) -> None:
        if event.kind == "segment" and event.segment == 1:
            raise RuntimeError("as a crash would")

    with pytest.raises(RuntimeError):
        enhance(clips("basic"), output, progress=give_up, **asked)
    assert "of 4 segments are done" in untouched(clips("basic"), output, **asked).resumes
    assert "started with something else" in untouched(clips("basic"), output, **asked, crf=30).resumes


def test_numbered_pictures(clips: ClipFactory, identity: Path, tmp_path: Path, untouched: Any) -> None:
    pattern = tmp_path / "place" / "new folder" / "%04d.jpg"
    source = clips.make("a.mov", *picture(seconds=0.25), *tone(0.25), "-vf", "format=argb", "-c:v", "qtrle")
    found = untouched(source, pattern, model=str(identity), scale=1)
    assert found.kind == "sequence" and found.estimate.frames == 6
    assert [fate.action for fate in found.streams] == ["enhance", "drop"]
    assert any("without alpha" in note for note in found.losses)


def test_pictures_and_folders(clips: ClipFactory, identity: Path, tmp_path: Path, untouched: Any) -> None:
    one = clips.make("one.png", *picture(), "-frames:v", "1")
    found = untouched(one, tmp_path / "place" / "two.png", model=str(identity), height=96)
    assert (found.kind, found.source_size, found.size) == ("picture", (64, 48), (128, 96))
    (one.parent / "words.txt").write_text("no picture")
    found = untouched(one.parent, tmp_path / "place" / "all", model=str(identity), picture_format="webp")
    assert found.pictures == ((str(one), str(tmp_path / "place" / "all" / "one.webp")),)
    assert any("words.txt" in note for note in found.losses)
    (one.parent / "words.txt").unlink()


def test_what_stops_the_job_stops_the_dry_run(
    clips: ClipFactory, identity: Path, tmp_path: Path, untouched: Any
) -> None:
    taken = tmp_path / "place" / "taken.mkv"
    taken.write_bytes(b"mine")
    with pytest.raises(OutputError, match="already exists"):
        untouched(clips("basic"), taken, model=str(identity))
    with pytest.raises(NoPlaceError, match="This command works"):
        untouched(clips("basic"), tmp_path / "place" / "out.xyz", model=str(identity))


def test_the_command_line(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vidsr", "enhance", str(clips("basic")), "-o", str(tmp_path / "o.mkv")]
    command += ["--model", str(identity), "--dry-run", "--json"]
    done = processes.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    found = json.loads(done.stdout)
    assert found["output"] == str(tmp_path / "o.mkv")
    assert found["estimate"]["frames"] == 24
    assert list(tmp_path.iterdir()) == []
