"""Write the display shape of the video track into a finished Matroska file.

PyAV has no way to give its muxer a sample aspect ratio, and AV1, VP9 and FFV1 have no place for one in their own
bits. So the muxer is given a track name with spaces to spare, and this module turns the spare bytes into the
elements DisplayWidth and DisplayHeight (RFC 9559, section 5.1.4.1.28). No byte moves.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from vidsr.errors import OutputError

#: Appended to the track's name while muxing; gone afterwards.
SPARE = "\u00a0" * 24

_SEGMENT, _TRACKS, _ENTRY, _CLUSTER = 0x18538067, 0x1654AE6B, 0xAE, 0x1F43B675
_TYPE, _NAME, _VIDEO, _VOID, _CRC = 0x83, 0x536E, 0xE0, 0xEC, 0xBF
_WIDTH, _HEIGHT, _UNIT = 0x54B0, 0x54BA, 0x54B2
Element = tuple[int, bytes]


def display_size(width: int, height: int, sar: Fraction) -> tuple[int, int]:
    """A display size of exactly the shape that ``sar`` gives, near the real size; rounded if its numbers are huge."""
    shape = Fraction(width, height) * sar
    if shape.denominator > 4 * height:
        return max(1, round(width * sar)), height
    times = max(1, round(height / shape.denominator))
    return shape.numerator * times, shape.denominator * times


def set_display_size(path: Path, size: tuple[int, int]) -> None:
    """Write ``size`` into the first video track, in place of the spare part of its name.

    Raises:
        OutputError: the file is not laid out as its muxer always does.
    """
    with path.open("r+b") as file:
        start, length = _find_tracks(file, path)
        file.seek(start)
        payload = file.read(length)
        changed = _with_display(payload, size)
        if changed is None or len(changed) != length:
            raise OutputError(f"{path}: its pixel shape could not be written")
        file.seek(start)
        file.write(changed)
        file.flush()


def _find_tracks(file: BinaryIO, path: Path) -> tuple[int, int]:
    """(offset, size) of the payload of the Tracks element."""
    end = path.stat().st_size
    position = 0
    while position < end:
        file.seek(position)
        head = file.read(12)
        if len(head) < 2:
            break
        identifier, at = _identifier(head, 0)
        size, at = _size(head, at)
        position += at
        if identifier == _TRACKS:
            return position, size
        if identifier == _CLUSTER:
            break
        if identifier != _SEGMENT:  # step into the segment, over everything else
            position += size
    raise OutputError(f"{path}: no track list where its muxer writes it")


def _with_display(tracks: bytes, size: tuple[int, int]) -> bytes | None:
    """The payload of Tracks with the display size in its first video entry; None if there is none."""
    for identifier, payload, end in _children(tracks):
        if identifier == _ENTRY and (_TYPE, b"\x01") in _elements(payload):
            changed = _entry_with_display(payload, size)
            start = end - len(payload)
            return _with_checksum(tracks[:start] + changed + tracks[end:])
    return None


def _entry_with_display(entry: bytes, size: tuple[int, int]) -> bytes:
    out: list[Element] = []
    for identifier, payload in _elements(entry):
        kept = payload
        if identifier == _NAME:
            kept = payload.decode().replace(SPARE, "").encode()
            if not kept:
                continue
        elif identifier == _VIDEO:
            picture = [e for e in _elements(payload) if e[0] not in (_WIDTH, _HEIGHT, _UNIT)]
            picture += [(_WIDTH, _number(size[0])), (_HEIGHT, _number(size[1]))]
            kept = b"".join(_bytes(e) for e in picture)
        out.append((identifier, kept))
    made = b"".join(_bytes(e) for e in out)
    spare = len(entry) - len(made)
    # A Void element: one byte of name, eight of size, the rest empty.
    return made + bytes([_VOID, 0x01]) + (spare - 9).to_bytes(7, "big") + bytes(spare - 9)


def _with_checksum(tracks: bytes) -> bytes:
    """Recompute the CRC-32 that Tracks may begin with."""
    if tracks[:2] == bytes([_CRC, 0x84]):
        return tracks[:2] + zlib.crc32(tracks[6:]).to_bytes(4, "little") + tracks[6:]
    return tracks


def _elements(payload: bytes) -> list[Element]:
    return [(identifier, body) for identifier, body, _ in _children(payload)]


def _children(payload: bytes) -> Iterator[tuple[int, bytes, int]]:
    """(identifier, payload, where it ends) of each element inside a payload."""
    position = 0
    while position < len(payload):
        identifier, position = _identifier(payload, position)
        size, position = _size(payload, position)
        yield identifier, payload[position : position + size], position + size
        position += size


def _identifier(data: bytes, at: int) -> tuple[int, int]:
    length = 9 - data[at].bit_length()
    return int.from_bytes(data[at : at + length], "big"), at + length


def _size(data: bytes, at: int) -> tuple[int, int]:
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length], "big") & ((1 << (7 * length)) - 1)
    return value, at + length


def _bytes(element: Element) -> bytes:
    identifier, payload = element
    name = identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")
    length = next(n for n in range(1, 9) if len(payload) < (1 << (7 * n)) - 1)
    return name + ((1 << (7 * length)) | len(payload)).to_bytes(length, "big") + payload


def _number(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
