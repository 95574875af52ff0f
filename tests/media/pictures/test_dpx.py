"""DPX files: pixels and header fields, judged by ffmpeg and ffprobe."""

from __future__ import annotations

import json
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import oracle, processes
from tests.support.clips import ClipFactory, picture
from vidsr.errors import InputError
from vidsr.frames import Colour, Frame, PixelFormat
from vidsr.media.pictures.dpx import DpxHeaders, packed, rate_in, read_fields, stamp, timecode_in, write_dpx
from vidsr.media.timecode import Timecode


def frame(layout: str, width: int = 65, height: int = 9) -> Frame:
    format = PixelFormat.parse(layout)
    assert format is not None
    rng = np.random.default_rng(1)
    planes = tuple(
        rng.integers(0, format.max_code + 1, (height, width)).astype(format.dtype) for _ in range(format.plane_count)
    )
    colour = Colour(matrix="gbr", range="full")
    return Frame(planes=planes, format=format, colour=colour, index=0, pts=0, time_base=Fraction(1, 25))


def said(path: Path) -> dict[str, Any]:
    """What ffprobe says of the one frame."""
    command = ["ffprobe", "-v", "error", "-show_frames", "-of", "json", str(path)]
    done = processes.run(command, check=True, capture_output=True, text=True)
    assert not done.stderr
    (found,) = json.loads(done.stdout)["frames"]
    return dict(found)


@pytest.mark.parametrize("layout", ["gbrp10le", "gbrp16le", "gbrap16le", "gray16le"])
def test_pixels_come_back_and_ffprobe_reads_the_header(layout: str, tmp_path: Path) -> None:
    path, made = tmp_path / "a.dpx", frame(layout)
    write_dpx(path, made)
    code = packed(Timecode(1, 2, 3, 14))
    shape = {"aspect_horizontal": 16, "aspect_vertical": 15}
    # ffprobe reads the timecode only where there is a rate.
    stamp(path, {"timecode": code, "transfer": 6, "colorimetric": 6, "frame_rate": 25.0, **shape}, "a.dpx")
    back = oracle.decoded(path, layout).reshape(len(made.planes), *made.planes[0].shape)
    assert all(np.array_equal(a, b) for a, b in zip(back, made.planes, strict=True))
    found = said(path)
    assert found["tags"]["timecode"] == "01:02:03:14"
    assert (found["color_transfer"], found["color_primaries"]) == ("bt709", "bt709")
    assert found["sample_aspect_ratio"] == "16:15"
    assert read_fields(path)["file_name"].rstrip(b"\0") == b"a.dpx"
    # The size in the header is that of the file.
    assert struct.unpack(">I", path.read_bytes()[16:20]) == (path.stat().st_size,)


@given(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), st.integers(0, 29), st.booleans())
def test_a_timecode_survives_its_packing(hours: int, minutes: int, seconds: int, frames: int, drop: bool) -> None:
    code = Timecode(hours, minutes, seconds, frames, drop)
    assert timecode_in({"timecode": packed(code)}) == code


def test_drop_frames_are_read_by_ffprobe(tmp_path: Path) -> None:
    write_dpx(tmp_path / "a.dpx", frame("gbrp10le"))
    fields = {"timecode": packed(Timecode(1, 2, 3, 14, drop=True)), "frame_rate": 29.97}
    stamp(tmp_path / "a.dpx", fields, "a.dpx")
    assert said(tmp_path / "a.dpx")["tags"]["timecode"] == "01:02:03;14"


@pytest.mark.parametrize(
    ("stored", "rate"), [(24.0, Fraction(24)), (23.976, Fraction(24000, 1001)), (29.97003, Fraction(30000, 1001))]
)
def test_the_rate_is_the_usual_fraction(stored: float, rate: Fraction) -> None:
    assert rate_in({"frame_rate": stored}) == rate
    assert rate_in({"film_rate": stored}) == rate
    assert rate_in({"frame_rate": 0.0}) is None


def test_files_without_industry_headers_and_other_files(clips: ClipFactory, tmp_path: Path) -> None:
    # FFmpeg's own: its pixels begin where the film header would.
    made = clips.make("f.dpx", *picture(), "-frames:v", "1", "-pix_fmt", "gbrp10be")
    assert {"timecode", "film_code", "frame_rate"}.isdisjoint(read_fields(made))
    for content in (b"", b"SDPX", b"x" * 3000):
        (tmp_path / "x.dpx").write_bytes(content)
        with pytest.raises(InputError, match="not a DPX file"):
            read_fields(tmp_path / "x.dpx")


def test_little_endian_headers_are_read(tmp_path: Path) -> None:
    head = bytearray(b"\xff" * 2048)
    head[:8] = b"XPDS" + struct.pack("<I", 2048)
    struct.pack_into("<I", head, 1920, packed(Timecode(10, 0, 0, 1)))
    struct.pack_into("<f", head, 1940, 25.0)
    (tmp_path / "x.dpx").write_bytes(head)
    fields = read_fields(tmp_path / "x.dpx")
    assert timecode_in(fields) == Timecode(10, 0, 0, 1) and rate_in(fields) == 25


def test_headers_count_on() -> None:
    headers = DpxHeaders(first={"timecode": packed(Timecode(0, 59, 59, 24)), "frame_position": 7}, rate=Fraction(25))
    assert timecode_in(headers.of(1)) == Timecode(1, 0, 0, 0)
    assert headers.of(3)["frame_position"] == 10
