"""``vidsr probe`` as a user runs it; ``verify`` is in tests/media/check/test_verify.py."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.clips import ClipFactory
from tests.support.hazards.catalogue import by_name
from vidsr.cli.main import run


@dataclass
class Done:
    """What a command did."""

    returncode: int
    stdout: str
    stderr: str


def vidsr(*args: object) -> Done:
    """The command line in this process: the same code, without the start of another Python."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([str(arg) for arg in args])
    return Done(code, out.getvalue(), err.getvalue())


def probed(path: Path, *args: str) -> dict[str, Any]:
    done = vidsr("probe", path, "--json", *args)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("wmv", "audio stream 1: wmav2 is converted to flac"),
        ("cut-mkv", "cut off: 12"),
        ("cut-mp4", "cut off: 12"),
        ("data-ts", "data stream 1 (bin_data) has no place"),
    ],
)
def test_probe_names_what_cannot_be_kept(name: str, words: str, clips: ClipFactory) -> None:
    assert any(words in note for note in probed(by_name(name).make(clips))["notes"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain", {"frames": 24, "variable_rate": False, "width": 64, "height": 48, "codec": "h264", "hdr": None}),
        ("vfr-mp4", {"frames": 19, "variable_rate": True}),
        ("hdr10", {"hdr": "PQ", "bit_depth": 10, "light_level": [1000, 400], "matrix": "bt2020nc"}),
        ("mirrored", {"mirrored": True, "frames": 24}),
        ("sar", {"pixel_shape": "64:45"}),
        ("interlaced-bff", {"interlaced_frames": 25, "field_order": "bottom field first"}),
        ("alpha-vp9", {"alpha": True}),
        ("tag-709-full", {"range": "full", "matrix": "bt709", "primaries": "bt709", "transfer": "bt709"}),
        ("size-change", {"frames": 48, "sizes": [[0, 64, 48], [24, 96, 64]]}),
    ],
)
def test_probe_says_what_a_clip_is(name: str, expected: dict[str, Any], clips: ClipFactory) -> None:
    found = probed(by_name(name).make(clips))["video"]
    assert {key: found[key] for key in expected} == expected


def test_guesses_and_repairs_are_in_the_notes(clips: ClipFactory) -> None:
    notes = " ".join(probed(by_name("raw-h264").make(clips))["notes"])
    assert "matrix guessed as smpte170m" in notes
    assert "no timestamps" in notes
    overridden = probed(by_name("raw-h264").make(clips), "--input-matrix", "bt709")
    assert overridden["video"]["matrix"] == "bt709"
    assert any("--input-matrix" in note for note in overridden["notes"])


def test_the_text_lists_streams(clips: ClipFactory) -> None:
    done = vidsr("probe", by_name("rich-mkv").make(clips))
    assert done.returncode == 0
    for words in ("24 frames", "subrip", "ass", "cover", "attachment", "chapters  2", "ger, Ton"):
        assert words in done.stdout


def test_strict_refuses_what_lenient_repairs(clips: ClipFactory) -> None:
    path = by_name("size-change").make(clips)
    assert vidsr("probe", path).returncode == 0
    done = vidsr("probe", path, "--strict")
    assert done.returncode == 1
    assert "size changes" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/a.mp4", "concat:a.ts|b.ts", "rtsp://127.0.0.1:9/x"])
def test_addresses_are_refused_without_leave(address: str) -> None:
    done = vidsr("probe", address)
    assert done.returncode == 1
    assert "--allow-network" in done.stderr or "does not exist" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_playlist_does_not_open_other_files(clips: ClipFactory, tmp_path: Path) -> None:
    secret = clips("basic")
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:{secret}\n#EXT-X-ENDLIST\n")
    done = vidsr("probe", playlist)
    assert done.returncode == 1
    assert "not a video that can be read" in done.stderr
