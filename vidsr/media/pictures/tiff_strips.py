"""Strips and tiles of a TIFF that tifffile cannot decode by itself: LZW and JPEG, one at a time through libtiff.

Pillow carries libtiff but reads whole pictures, and colour of 16 bits as 8. So each strip is dressed up as a small
TIFF of its own. LZW does not depend on the layout of samples: its
strip is decoded as a grey picture of bytes, which this module rearranges.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from vidsr.frames import Array

LZW, JPEG = 5, 7
_YCBCR = 6
#: Tags from which libtiff learns how a JPEG strip is coded: subsampling, positioning, reference black and white.
_JPEG_TAGS = (530, 531, 532)


def can_decode(page: tifffile.TiffPage) -> bool:
    """Whether :func:`decode_strip` knows the strips of this page."""
    if int(page.compression) == JPEG:
        return page.bitspersample == 8 and int(page.photometric) in (0, 1, 2, _YCBCR)
    whole_samples = page.dtype is not None and page.bitspersample == 8 * page.dtype.itemsize
    return int(page.compression) == LZW and whole_samples and int(page.predictor) in (1, 2)


def decode_strip(page: tifffile.TiffPage, stored: bytes, shape: tuple[int, int, int]) -> Array:
    """One strip or tile as ``[rows, columns, samples]``.

    Raises:
        OSError, ValueError: the data are damaged.
    """
    if int(page.compression) == JPEG:
        return _jpeg(page, stored, shape)
    rows, columns, samples = shape
    assert page.dtype is not None
    dtype = page.dtype.newbyteorder(page.parent.byteorder)
    raw = _picture(stored, (columns * samples * dtype.itemsize, rows), {258: 8, 259: LZW, 262: 1, 277: 1})
    values: Array = np.frombuffer(np.ascontiguousarray(raw), dtype).reshape(shape).astype(page.dtype)
    if int(page.predictor) == 2:
        values = np.cumsum(values, axis=1, dtype=values.dtype)
    return values


def _jpeg(page: tifffile.TiffPage, stored: bytes, shape: tuple[int, int, int]) -> Array:
    rows, columns, samples = shape
    tags: dict[int, Any] = {258: (8,) * samples, 259: JPEG, 262: int(page.photometric), 277: samples}
    if page.jpegtables is not None:
        tags[347] = page.jpegtables
    for code in _JPEG_TAGS if int(page.photometric) == _YCBCR else ():
        if code in page.tags:
            tags[code] = page.tags[code].value
    return _picture(stored, (columns, rows), tags).reshape(shape)


def _picture(stored: bytes, size: tuple[int, int], tags: dict[int, Any]) -> Array:
    """The pixels of a TIFF of one strip that holds ``stored``."""
    width, height = size
    entries = tags | {256: width, 257: height, 273: 8, 278: height, 279: len(stored), 284: 1}
    with Image.open(io.BytesIO(_tiff(stored, entries)), formats=["TIFF"]) as image:
        image.load()
        return np.asarray(image)


def _tiff(stored: bytes, entries: dict[int, Any]) -> bytes:
    """A little-endian TIFF: header, the strip, the values that do not fit into the directory, the directory."""
    stored += b"\0" * (len(stored) % 2)
    extra, at = b"", 8 + len(stored)
    directory = struct.pack("<H", len(entries))
    for code, value in sorted(entries.items()):
        kind, count, data = _packed(code, value)
        if len(data) > 4:
            directory += struct.pack("<HHII", code, kind, count, at + len(extra))
            extra += data + b"\0" * (len(data) % 2)
        else:
            directory += struct.pack("<HHI", code, kind, count) + data.ljust(4, b"\0")
    return struct.pack("<2sHI", b"II", 42, at + len(extra)) + stored + extra + directory + b"\0\0\0\0"


def _packed(code: int, value: Any) -> tuple[int, int, bytes]:
    """(type, count, bytes) of a tag: UNDEFINED, RATIONAL for reference black and white, LONG or SHORT."""
    if isinstance(value, bytes):
        return 7, len(value), value
    values = value if isinstance(value, tuple) else (value,)
    if code == 532:
        return 5, len(values) // 2, struct.pack(f"<{len(values)}I", *values)
    if code in (256, 257, 273, 278, 279):
        return 4, len(values), struct.pack(f"<{len(values)}I", *values)
    return 3, len(values), struct.pack(f"<{len(values)}H", *map(int, values))
