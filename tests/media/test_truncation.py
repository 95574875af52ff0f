"""How far files reach by their own framing: cut ones are known, late streams of program streams are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.clips import ClipFactory
from tests.support.hazards.catalogue import by_name
from vidsr.media.index import index_video
from vidsr.media.probe import probe
from vidsr.media.truncation import last_beginning, promised_bytes


@pytest.mark.parametrize("name", ["silent", "plain", "timecode", "fragments", "avi-drops", "opus-vp9"])
def test_whole_files_promise_what_they_have_and_cut_ones_more(name: str, clips: ClipFactory, tmp_path: Path) -> None:
    source = by_name(name).make(clips)
    size = source.stat().st_size
    assert promised_bytes(source) == size
    assert not any("cut off" in note for note in index_video(probe(source)).notes)
    cut = tmp_path / source.name
    # MP4 keeps its index at the end: what is left cannot be opened, but the framing still shows it.
    cut.write_bytes(source.read_bytes()[: size - 40])
    assert (promised_bytes(cut) or 0) > cut.stat().st_size


def test_other_files_promise_nothing(clips: ClipFactory, tmp_path: Path) -> None:
    for name in ("start-10s", "mpeg-ps", "y4m", "text", "noise"):
        assert promised_bytes(by_name(name).make(clips)) is None
    assert promised_bytes(tmp_path / "missing.mkv") is None
    short = tmp_path / "short.mkv"
    short.write_bytes(b"\x1a\x45\xdf\xa3\x00")
    assert promised_bytes(short) is None


def test_a_cut_file_is_named_when_it_is_probed(clips: ClipFactory) -> None:
    info = probe(by_name("cut-mkv").make(clips))
    assert info.missing_bytes > 0
    assert any("cut off" in note for note in info.notes)
    assert index_video(info).cut_off


def test_a_subtitle_that_begins_late_in_a_program_stream_is_found(clips: ClipFactory) -> None:
    source = by_name("late-subtitle").make(clips)
    assert last_beginning(source, source.stat().st_mtime_ns) > source.stat().st_size // 2
    assert [s.kind for s in probe(source).streams] == ["video", "audio", "subtitle"]


def test_the_beginnings_are_found_behind_damage(clips: ClipFactory, tmp_path: Path) -> None:
    whole = by_name("late-subtitle").make(clips)
    data = bytearray(whole.read_bytes())
    data[30000:33000] = bytes(3000)
    spoilt = tmp_path / "spoilt.vob"
    spoilt.write_bytes(data)
    want = last_beginning(whole, whole.stat().st_mtime_ns)
    assert last_beginning(spoilt, spoilt.stat().st_mtime_ns) == want
