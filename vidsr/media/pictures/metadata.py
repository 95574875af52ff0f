"""Metadata of pictures that has to change with their size: EXIF dimensions, and the map scale of GeoTIFF."""

from __future__ import annotations

import struct
from typing import Any

from PIL import Image, TiffImagePlugin

_EXIF_POINTER, _GPS_POINTER = 0x8769, 0x8825
_SIZE_TAGS = {0xA002: 0, 0xA003: 1, 0x0100: 0, 0x0101: 1}  # PixelX/YDimension, ImageWidth/Length → axis

#: TIFF tags (TIFF 6.0, TIFF/EP) that say how pixels are stored or where: the writer makes its own.
STRUCTURAL_TAGS = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 270, 273, 277, 278, 279, 282, 283, 284, 288, 289}
    | {292, 293, 296, 297, 305, 306, 317, 320, 322, 323, 324, 325, 330, 338, 339, 347, 530, 531, 532, 34675}
    | {34665, 34853, 40965, 512, 513, 514, 515, 517, 518, 519, 520, 521}
)
_MODEL_PIXEL_SCALE, _MODEL_TIEPOINT, _MODEL_TRANSFORMATION = 33550, 33922, 34264


def exif_for_size(exif: bytes | None, width: int, height: int) -> bytes | None:
    """The EXIF block with its size tags set to the new size and every other byte as it was.

    Patching in place keeps maker notes and thumbnails, which re-writing the block would lose. A block that is
    damaged is returned as it is.
    """
    if not exif:
        return exif
    head = 6 if exif.startswith(b"Exif\0\0") else 0
    block = bytearray(exif)
    order = {b"II": "<", b"MM": ">"}.get(bytes(block[head : head + 2]))
    if order is None:
        return exif
    try:
        first = struct.unpack_from(order + "I", block, head + 4)[0]
        sub = _patch_directory(block, order, head, first, (width, height))
        if sub:
            _patch_directory(block, order, head, sub, (width, height))
    except struct.error:
        return exif
    return bytes(block)


def _patch_directory(block: bytearray, order: str, head: int, offset: int, size: tuple[int, int]) -> int:
    """Set the size tags of one directory; the offset of the EXIF directory it points to, or 0."""
    sub = 0
    (count,) = struct.unpack_from(order + "H", block, head + offset)
    for entry in range(count):
        at = head + offset + 2 + 12 * entry
        tag, kind, number = struct.unpack_from(order + "HHI", block, at)
        if tag == _EXIF_POINTER:
            (sub,) = struct.unpack_from(order + "I", block, at + 8)
        elif tag in _SIZE_TAGS and number == 1 and kind in (3, 4):
            value = size[_SIZE_TAGS[tag]]
            if kind == 4:
                struct.pack_into(order + "I", block, at + 8, value)
            elif value < 1 << 16:
                struct.pack_into(order + "H", block, at + 8, value)
    return sub


def exif_of_tiff(image: Image.Image) -> bytes | None:
    """The EXIF and GPS directories of an open TIFF as an EXIF block of their own, or None if it has neither."""
    found, block = image.getexif(), Image.Exif()
    for pointer in (_EXIF_POINTER, _GPS_POINTER):
        if entries := found.get_ifd(pointer):
            block.get_ifd(pointer).update(entries)
    return block.tobytes() if block.get_ifd(_EXIF_POINTER) or block.get_ifd(_GPS_POINTER) else None


def tiff_directories(exif: bytes | None) -> tuple[dict[int, Any], dict[int, Any]]:
    """An EXIF block as TIFF has it: the tags for the main directory, and the directories to point to by tag."""
    parsed = Image.Exif()
    if exif:
        parsed.load(exif)
    main = {k: v for k, v in parsed.items() if k not in STRUCTURAL_TAGS}
    subs = {pointer: parsed.get_ifd(pointer) for pointer in (_EXIF_POINTER, _GPS_POINTER)}
    return main, {pointer: dict(entries) for pointer, entries in subs.items() if entries}


def directory_bytes(entries: dict[int, Any], offset: int) -> bytes:
    """A little-endian TIFF directory with its values, to stand at ``offset`` of the file."""
    directory = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    for tag, value in entries.items():
        directory[tag] = value
    return directory.tobytes(offset)


def scaled_geotiff(tags: tuple[tuple[Any, ...], ...], factor: tuple[float, float]) -> tuple[tuple[Any, ...], ...]:
    """The TIFF tags with those of GeoTIFF that count pixels brought to the new size (OGC 19-008r4, annex B).

    ``factor`` is (new width / old width, new height / old height).
    """
    out = []
    for code, kind, count, value, once in tags:
        new = value
        if code == _MODEL_PIXEL_SCALE:
            new = (value[0] / factor[0], value[1] / factor[1], *value[2:])
        elif code == _MODEL_TIEPOINT:
            new = tuple(v * factor[i % 6] if i % 6 < 2 else v for i, v in enumerate(value))
        elif code == _MODEL_TRANSFORMATION and len(value) == 16:
            new = tuple(v / factor[i % 4] if i % 4 < 2 else v for i, v in enumerate(value))
        out.append((code, kind, count, new, once))
    return tuple(out)
