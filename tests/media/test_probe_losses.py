"""What a re-encode cannot carry is found in real bits: captions in the video, Dolby Vision."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.support.clips import ClipFactory, picture
from tests.support.hazards.catalogue import by_name
from vidsr.errors import InputError
from vidsr.jobs.enhance import enhance
from vidsr.media.check.verify import verify
from vidsr.media.probe import probe

# An SEI message of ITU-T T.35 with one pair of caption bytes, as ATSC A/53 part 4 writes it.
_CAPTIONS = b"\xb5\x00\x31GA94\x03\xc1\xff\xfc\x94\x20\xff"


def with_captions(clips: ClipFactory, folder: Path) -> Path:
    """An H.264 stream with captions in an SEI message before its first picture."""
    data = by_name("raw-h264").make(clips).read_bytes()
    at = next(i for i in range(len(data)) if data[i : i + 3] == b"\0\0\1" and data[i + 3] & 31 == 5)
    message = b"\0\0\1\x06\x04" + bytes([len(_CAPTIONS)]) + _CAPTIONS + b"\x80"
    path = folder / "captions.h264"
    path.write_bytes(data[:at] + message + data[at:])
    return path


def with_dolby_vision(clips: ClipFactory, folder: Path, profile: int) -> Path:
    """An HEVC file in MP4 whose sample entry has a Dolby Vision configuration (Dolby's ISOBMFF specification, 3.2)."""
    source = clips.make(
        "plain-hevc.mp4", *picture(seconds=0.2), "-c:v", "libx265", "-x265-params", "log-level=error", "-pix_fmt",
        "yuv420p10le",
    )  # fmt: skip
    data = bytearray(source.read_bytes())
    # version 1.0; profile, level 1, RPU and base layer present.
    box = struct.pack(">I4sBBH", 32, b"dvcC", 1, 0, (profile << 9) | (1 << 3) | 0b101) + bytes(20)
    ends = []
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"hev1"):
        at = data.index(name, ends[-1][0] if ends else 0) - 4
        ends.append((at, struct.unpack(">I", data[at : at + 4])[0]))
    for at, size in ends:
        data[at : at + 4] = struct.pack(">I", size + len(box))
    at, size = ends[-1]
    path = folder / f"dv{profile}.mp4"
    path.write_bytes(data[: at + size] + box + data[at + size :])
    return path


def test_captions_in_the_video_are_named_at_the_start_and_by_verify(
    clips: ClipFactory, identity: Path, tmp_path: Path
) -> None:
    source = with_captions(clips, tmp_path)
    assert any("captions" in note for note in probe(source).notes)
    result = enhance(source, tmp_path / "out.mkv", model=str(identity), scale=1, preset="ultrafast")
    assert any("captions" in note for note in result.notes)
    found = [c for c in verify(source, result.output).checks if "captions" in c.name]
    assert [c.state for c in found] == ["announced"]


def test_captions_that_begin_later_are_named_before_the_work(
    clips: ClipFactory, identity: Path, tmp_path: Path
) -> None:
    plain = by_name("raw-h264").make(clips).read_bytes()
    (tmp_path / "two.h264").write_bytes(plain + with_captions(clips, tmp_path).read_bytes())
    info = probe(tmp_path / "two.h264")
    assert not info.video.lost
    result = enhance(info.path, tmp_path / "out.mkv", model=str(identity), scale=1, preset="ultrafast")
    assert any("captions" in note for note in result.notes)


def test_dolby_vision_8_is_enhanced_without_its_metadata_and_says_so(
    clips: ClipFactory, identity: Path, tmp_path: Path
) -> None:
    source = with_dolby_vision(clips, tmp_path, 8)
    info = probe(source)
    assert info.video.dolby_vision == 8
    assert any("Dolby Vision" in note for note in info.notes)
    result = enhance(source, tmp_path / "out.mkv", model=str(identity), scale=1, preset="ultrafast", codec="hevc")
    assert any("Dolby Vision" in note for note in result.notes)


def test_dolby_vision_5_is_refused(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    source = with_dolby_vision(clips, tmp_path, 5)
    with pytest.raises(InputError, match="Dolby Vision profile 5"):
        enhance(source, tmp_path / "out.mkv", model=str(identity), scale=1)
    assert [p.name for p in tmp_path.iterdir()] == ["dv5.mp4"]
