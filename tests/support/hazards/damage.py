"""Hazards of damaged files and of files that are not videos."""

from __future__ import annotations

from pathlib import Path

from tests.support.clips import ClipFactory, picture, tone
from tests.support.hazards.hazard import (
    AAC,
    X264,
    A,
    Hazard,
    T,
    changed,
    jpeg_cover,
    made,
    remade,
    written,
)


def _scratch(data: bytes) -> bytes:
    """Every 3011th byte changed, behind the first 8000."""
    out = bytearray(data)
    for at in range(8000, len(out), 3011):
        out[at] ^= 0x55
    return bytes(out)


def _cover_only(clips: ClipFactory) -> Path:
    return clips.make(
        "song.mp3", *A, "-i", str(jpeg_cover(clips)), "-map", "0", "-map", "1", "-c:v", "copy",
        "-disposition:v", "attached_pic",
    )  # fmt: skip


_BASE = made("base.mp4", *T, *A, *X264, *AAC)
_LONG = made("long.mp4", *picture(seconds=4), *tone(4), *X264, "-g", "48", *AAC)
_FAST = remade(_LONG, "fast.mp4", "-c", "copy", "-movflags", "+faststart")
_TS = made("a.ts", *T, *A, *X264, "-g", "12", *AAC)


DAMAGE = (
    Hazard(name="corrupt", what="random damage in MPEG-TS", make=changed(
        remade(_LONG, "bad0.ts", "-c", "copy"), "bad.ts", _scratch), pts=False, pixels=False, why="damaged"),
    Hazard(name="cut-mkv", what="truncated Matroska", make=changed(
        remade(_LONG, "cut0.mkv", "-c", "copy"), "cut.mkv", lambda b: b[: len(b) * 6 // 10]), pixels=False),
    Hazard(name="cut-mp4", what="MP4 truncated after its index", make=changed(
        _FAST, "cut.mp4", lambda b: b[: len(b) * 6 // 10]), pixels=False),
    Hazard(name="no-moov", what="MP4 without an index (moov)", make=changed(
        _LONG, "nomoov.mp4", lambda b: b[: len(b) // 2]), error="not a video that can be read"),
    Hazard(name="no-frames", what="a header but no frames", make=made("none.mkv", *T, "-frames:v", "0", *X264),
           error="ends before its first frame|no frame|not a video"),
    Hazard(name="text", what="text in a file named .mp4", make=written("text.mp4", b"no video, only words\n" * 99),
           error="not a video"),
    Hazard(name="empty", what="a file of 0 bytes", make=written("empty.mkv", b""), error="empty"),
    Hazard(name="noise", what="random bytes", make=written(
        "noise.mkv", bytes((i * 7919 >> 3) & 255 for i in range(20000))), error="not a video"),
    Hazard(name="audio-only", what="no video stream", make=made("only.mp4", *A, *AAC), error="no video stream"),
    Hazard(name="cover-only", what="audio with a cover", make=_cover_only, error="only cover art"),
    Hazard(name="garbage", what="transport stream that begins in the middle of a packet", make=changed(
        _TS, "garbage.ts", lambda b: bytes(777) + b[100:]), pts=False, why="damaged", sound=False),
)  # fmt: skip
