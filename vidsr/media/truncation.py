"""How far a file reaches, read from its own framing without decoding: how many bytes it promises, and where in a
program stream its streams begin."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from vidsr.media.joined import JoinedFile, is_joined
from vidsr.media.source_files import files_of

#: Bytes of a program stream that are searched for the beginnings of its streams; FFmpeg must read as much at once.
SEARCHED_BYTES = 256 << 20
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_MAX_BOXES = 200_000
_PACK, _END, _PRIVATE_1 = 0xBA, 0xB9, 0xBD
_HEAD_BYTES = 32


def promised_bytes(path: Path) -> int | None:
    """The size in bytes that a Matroska, MP4, MOV or AVI file says it has; None where the file does not say."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
            if head.startswith(_EBML):
                return _matroska_end(head)
            if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
                return 8 + int.from_bytes(head[4:8], "little")
            if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                return _boxes_end(file, path.stat().st_size)
    except OSError:
        pass
    return None


def _matroska_end(head: bytes) -> int | None:
    """The end of the Segment (RFC 8794, sections 4 and 6.2: a size of all ones is unknown)."""
    size, at = _ebml_size(head, 4)
    at += size or 0
    if head[at : at + 4] != _SEGMENT or at + 12 > len(head):
        return None
    size, at = _ebml_size(head, at + 4)
    return None if size is None else at + size


def _ebml_size(head: bytes, at: int) -> tuple[int | None, int]:
    length = 9 - head[at].bit_length()
    if length > 8:
        return None, at + 1
    ones = (1 << (7 * length)) - 1
    value = int.from_bytes(head[at : at + length], "big") & ones
    return (None if value == ones else value), at + length


def _boxes_end(file: BinaryIO, size: int) -> int:
    """The end of the last box at the top level (ISO/IEC 14496-12, section 4.2)."""
    at = 0
    for _ in range(_MAX_BOXES):
        file.seek(at)
        head = file.read(16)
        if at >= size or len(head) < 8 or not head[4:8].isascii():
            break
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # 0: to the end of the file
            return max(at, size)
        at += length
    return at


def _opened(path: Path) -> BinaryIO | JoinedFile:
    return JoinedFile(files_of(path)) if is_joined(path) else path.open("rb")


@lru_cache(maxsize=16)
def last_beginning(path: Path, stamp: int) -> int:
    """The byte at which the last of all streams of an MPEG program stream begins; 0 for any other file.

    Program streams have no list of their streams (ISO/IEC 13818-1, section 2.5): a subtitle of a DVD shows up with
    its first words. ``stamp`` is the file's modification time, so that a changed file is read again.
    """
    del stamp
    seen: set[tuple[int, int]] = set()
    last = at = 0
    with _opened(path) as file:
        if file.read(4) != b"\0\0\1\xba":
            return 0
        while at < SEARCHED_BYTES:
            file.seek(at)
            head = file.read(_HEAD_BYTES)
            if len(head) < 14:
                break
            if head[:3] != b"\0\0\1" or head[3] < _END:
                at = _next_pack(file, at + 1)
                continue
            if head[3] == _PACK:
                at += 14 + (head[13] & 7) if head[4] & 0xC0 == 0x40 else 12
            elif head[3] == _END:
                at += 4
            else:
                name = _stream_name(head)
                if name is not None and name not in seen:
                    seen.add(name)
                    last = at
                at += 6 + int.from_bytes(head[4:6], "big")
    return last


def _stream_name(head: bytes) -> tuple[int, int] | None:
    """What identifies a stream: the stream_id, and in private stream 1 the number that DVDs put in front."""
    kind = head[3]
    if 0xC0 <= kind <= 0xEF:
        return kind, 0
    start = 9 + head[8]
    if kind == _PRIVATE_1 and start < len(head) and (0x20 <= head[start] < 0x40 or 0x80 <= head[start] < 0xB0):
        return kind, head[start]
    return None


def _next_pack(file: BinaryIO | JoinedFile, at: int) -> int:
    """Where the next pack header after ``at`` begins; behind everything if there is none."""
    while at < SEARCHED_BYTES:
        file.seek(at)
        block = file.read(1 << 16)
        found = block.find(b"\0\0\1\xba")
        if found >= 0:
            return at + found
        if len(block) < 1 << 16:
            break
        at += len(block) - 3
    return SEARCHED_BYTES
