"""Numbered DPX pictures in and out of a job; timecode from MOV, MXF and DPX into every result that can hold it."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import oracle, processes
from tests.support.clips import ClipFactory, picture
from vidsr import enhance
from vidsr.errors import OptionsError
from vidsr.jobs.verify import verify_result
from vidsr.media.pictures.dpx import packed, read_fields, stamp
from vidsr.media.timecode import Timecode
from vidsr.options.enhance_options import EnhanceOptions

_MXF = ("-c:v", "mpeg2video", "-b:v", "2M", "-pix_fmt", "yuv420p", "-timecode", "10:20:30:05")
_MOV = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-timecode", "01:00:00;02")


def timecodes(path: Path) -> set[str]:
    """Every timecode that ffprobe finds on streams, file or frames."""
    command = ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-show_frames", "-of", "json", str(path)]
    said = json.loads(processes.run(command, check=True, capture_output=True, text=True).stdout)
    parts = [said["format"], *said["streams"], *said["frames"]]
    tags = [{k.lower(): v for k, v in part.get("tags", {}).items()} for part in parts]
    return {tag["timecode"] for tag in tags if "timecode" in tag}


def scans(folder: Path, count: int = 6) -> Path:
    """Numbered 10-bit DPX scans from 0001001 on, with timecode, film code, rate, and a slate that changes."""
    folder.mkdir()
    pattern = folder / "scan.%07d.dpx"
    processes.run(
        ["ffmpeg", "-v", "error", *picture(seconds=count / 24), "-start_number", "1001", "-pix_fmt", "gbrp10be",
         str(folder / "raw.%07d.dpx")], check=True,
    )  # fmt: skip
    for number in range(count):
        raw, path = folder / f"raw.{1001 + number:07d}.dpx", folder / f"scan.{1001 + number:07d}.dpx"
        data = raw.read_bytes()
        head = bytearray(data[:1664]) + b"\0" * 48 + b"\xff" * 20 + b"\0" * 188 + b"\xff" * 52 + b"\0" * 76
        head[4:8] = head[808:812] = (2048).to_bytes(4, "big")
        path.write_bytes(bytes(head) + data[1664:])
        raw.unlink()
        code = packed(Timecode(1, 0, 0, 20).later(number, Fraction(24)))
        fields = {"timecode": code, "transfer": 1, "colorimetric": 1, "film_code": b"KJ 12 3456",
                  "slate": b"take %d" % number, "frame_rate": 24.0, "user_bits": 99}  # fmt: skip
        stamp(path, fields, path.name)
    return pattern


def test_dpx_to_dpx_keeps_pixels_and_every_field(identity: Path, tmp_path: Path) -> None:
    source = scans(tmp_path / "in")
    result = enhance(source, tmp_path / "out" / "scan.%07d.dpx", model=str(identity), scale=1, segment_frames=4)
    assert result.frames == 6
    for number in range(1001, 1007):
        was, now = (tmp_path / side / f"scan.{number:07d}.dpx" for side in ("in", "out"))
        kept = read_fields(was).keys() - {"creator", "aspect_horizontal", "aspect_vertical"}
        assert {k: read_fields(now)[k] for k in kept} == {k: read_fields(was)[k] for k in kept}
        assert timecodes(now) == timecodes(was) != set()
        assert np.abs(oracle.decoded(now, "gbrp10le") - oracle.decoded(was, "gbrp10le")).max() <= 1
    assert verify_result(str(source), result.output, EnhanceOptions()).ok
    stamp(tmp_path / "out" / "scan.0001004.dpx", {"timecode": 0}, "scan.0001004.dpx")
    report = verify_result(str(source), result.output, EnhanceOptions())
    assert [c.name for c in report.differences] == ["timecode of scan.0001004.dpx"]


@pytest.mark.parametrize("suffix", [".mov", ".mkv", ".mp4"])
def test_the_timecode_and_rate_of_dpx_get_into_a_video(suffix: str, identity: Path, tmp_path: Path) -> None:
    source = scans(tmp_path / "in")
    result = enhance(source, tmp_path / f"out{suffix}", model=str(identity), scale=1)
    assert timecodes(result.output) == {"01:00:00:20"}
    assert oracle.streams(result.output)[0]["r_frame_rate"] == "24/1"


@pytest.mark.parametrize(("name", "recipe", "start"), [("a.mxf", _MXF, "10:20:30:05"), ("a.mov", _MOV, "01:00:00;02")])
def test_the_timecode_of_mxf_and_mov_gets_into_dpx_and_is_named_where_it_is_lost(
    name: str, recipe: tuple[str, ...], start: str, clips: ClipFactory, identity: Path, tmp_path: Path
) -> None:
    rate = "25" if name == "a.mxf" else "30000/1001"
    source = clips.make(name, *picture(rate=rate, seconds=0.2), *recipe)
    asked: dict[str, Any] = {"model": str(identity), "scale": 1}
    (tmp_path / "d").mkdir()
    enhance(source, tmp_path / "d" / "%04d.dpx", **asked, segment_frames=2)
    files = sorted((tmp_path / "d").glob("*.dpx"))
    first = Timecode.parse(start)
    assert first is not None and len(files) >= 5
    for number, path in enumerate(files):
        assert timecodes(path) == {str(first.later(number, 25 if name == "a.mxf" else 30))}  # type: ignore[arg-type]
    movie = enhance(source, tmp_path / "out.mov", **asked)
    assert timecodes(movie.output) == {start}
    png = enhance(source, tmp_path / "p" / "%04d.png", **asked)
    assert any(start in note and "hold no timecode" in note for note in png.notes)
    webm = enhance(source, tmp_path / "out.webm", **asked, preset="12")
    assert timecodes(webm.output) == {start} or any("timecode" in note for note in webm.notes)


@pytest.mark.parametrize(("layout", "asked", "stored"), [
    ("gbrp", None, "gbrp10le"), ("gbrp", 16, "rgb48be"), ("yuv420p10le", None, "gbrp10le"),
    ("gbrp12le", None, "rgb48be"), ("gray", None, "gray16be"), ("yuva420p", None, "rgba64be"),
])  # fmt: skip
def test_depth_and_alpha_choose_the_layout(
    layout: str, asked: int | None, stored: str, clips: ClipFactory, identity: Path, tmp_path: Path
) -> None:
    source = clips.make("a.mkv", *picture(seconds=0.1), "-c:v", "ffv1", "-pix_fmt", layout)
    enhance(source, tmp_path / "%d.dpx", model=str(identity), scale=1, bit_depth=asked)
    assert oracle.streams(tmp_path / "1.dpx")[0]["pix_fmt"] == stored


def test_dpx_without_a_rate_needs_one(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    clips.make("%d.dpx", *picture(seconds=0.1), "-pix_fmt", "gbrp10be")
    pattern = clips.make("%d.dpx", *picture(seconds=0.1), "-pix_fmt", "gbrp10be")
    with pytest.raises(OptionsError, match="--fps"):
        enhance(pattern, tmp_path / "out.mkv", model=str(identity), scale=1)
