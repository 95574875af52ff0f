"""Writing PNG row by row (ISO/IEC 15948), 8 or 16 bit, in memory that does not grow with the picture.

Pillow has no 16-bit colour and needs the whole picture at once; this writer has neither limit.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from vidsr.media.pictures.types import PictureMeta

_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}  # channels → PNG colour type: grey, grey+alpha, RGB, RGBA
_METRE_IN_INCHES = 39.3701
_BAND_BYTES = 4 << 20
_LEVEL = 6


def write_png(
    file: BinaryIO,
    bands: Iterable[npt.NDArray[Any]],
    *,
    size: tuple[int, int],
    like: npt.NDArray[Any],
    meta: PictureMeta,
) -> None:
    """Write one PNG.

    Args:
        file: where to; positioned at its start.
        bands: arrays [rows, width, channels] from top to bottom, uint8 or uint16, together ``height`` rows.
        size: (width, height) in pixels.
        like: any array with the dtype and the number of channels (its last axis) of the bands.
        meta: EXIF, ICC profile, XMP, texts and resolution to carry.

    Raises:
        ValueError: the bands have more or fewer rows than ``height``.
    """
    width, height = size
    channels, depth = like.shape[-1], 8 * like.dtype.itemsize
    file.write(b"\x89PNG\r\n\x1a\n")
    _chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, depth, _COLOUR_TYPE[channels], 0, 0, 0))
    for kind, data in _metadata_chunks(meta):
        _chunk(file, kind, data)
    packer = zlib.compressobj(_LEVEL)
    step = channels * like.dtype.itemsize
    above = np.zeros(width * step, np.uint8)
    rows_written = 0
    for band in bands:
        stored = np.ascontiguousarray(band.astype(like.dtype.newbyteorder(">"), copy=False)).reshape(len(band), -1)
        lines = stored.view(np.uint8).reshape(len(band), -1)
        for start in range(0, len(lines), max(1, _BAND_BYTES // lines.shape[1])):
            part = lines[start : start + max(1, _BAND_BYTES // lines.shape[1])]
            packed = packer.compress(_filtered(part, above, step).tobytes())
            if packed:
                _chunk(file, b"IDAT", packed)
            above = part[-1]
        rows_written += len(band)
    if rows_written != height:
        raise ValueError(f"{rows_written} rows given for a PNG of {height}")
    _chunk(file, b"IDAT", packer.flush())
    _chunk(file, b"IEND", b"")


def _chunk(file: BinaryIO, kind: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


def _metadata_chunks(meta: PictureMeta) -> Iterator[tuple[bytes, bytes]]:
    """Ancillary chunks that must stand before the image data."""
    if meta.icc:
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(meta.icc)
    if meta.dpi:
        x, y = (round(d * _METRE_IN_INCHES) for d in meta.dpi)
        yield b"pHYs", struct.pack(">IIB", x, y, 1)
    if meta.exif:
        yield b"eXIf", meta.exif.removeprefix(b"Exif\0\0")
    if meta.xmp:
        yield b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + meta.xmp
    for key, text in meta.texts:
        yield b"iTXt", key.encode("latin-1", "replace")[:79] + b"\0\0\0\0\0" + text.encode()


def _filtered(lines: npt.NDArray[np.uint8], above: npt.NDArray[np.uint8], step: int) -> npt.NDArray[np.uint8]:
    """The lines with, for each, the filter of the five whose output has the smallest sum of absolute values
    (the heuristic of ISO/IEC 15948, 12.8), and its number in front: [rows, 1 + bytes]."""
    up = np.vstack([above[None], lines[:-1]])
    left = np.zeros_like(lines)
    left[:, step:] = lines[:, :-step]
    up_left = np.zeros_like(lines)
    up_left[:, step:] = up[:, :-step]
    mean = ((left.astype(np.uint16) + up) >> 1).astype(np.uint8)
    best: npt.NDArray[np.uint8] = np.empty((len(lines), 1 + lines.shape[1]), np.uint8)
    cost = np.full(len(lines), np.iinfo(np.int64).max)
    for number, guess in enumerate((None, left, up, mean, _paeth(left, up, up_left))):
        residue = lines if guess is None else lines - guess
        sums = np.minimum(residue, 0 - residue).sum(axis=1, dtype=np.int64)
        better = sums < cost
        best[better, 0] = number
        best[better, 1:] = residue[better]
        cost = np.minimum(cost, sums)
    return best


def _paeth(
    left: npt.NDArray[np.uint8], up: npt.NDArray[np.uint8], up_left: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """Paeth's predictor (ISO/IEC 15948, 9.4): whichever neighbour is nearest to left + up - up_left."""
    a, b, c = (x.astype(np.int16) for x in (left, up, up_left))
    to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    return np.where((to_a <= to_b) & (to_a <= to_c), left, np.where(to_b <= to_c, up, up_left))
