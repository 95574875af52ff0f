"""TIFF through tifffile: any depth, any size, read by strips or tiles and written by tiles.

TIFF 6.0, BigTIFF above 4 GB, GeoTIFF and private tags kept.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from vidsr.errors import InputError
from vidsr.frames import Array
from vidsr.media.pictures.metadata import STRUCTURAL_TAGS, directory_bytes, tiff_directories
from vidsr.media.pictures.tiff_strips import JPEG, can_decode, decode_strip
from vidsr.media.pictures.types import Picture, PictureMeta

_TILE = 256
_CLASSIC_LIMIT = 3 << 30  # bytes of pixels above which 32-bit offsets might not do
#: Compressions tifffile decodes with nothing but the standard library: none, deflate (two numbers), PackBits.
_OWN_COMPRESSIONS = frozenset({1, 8, 32946, 32773})
#: Other kinds are decoded whole, up to this many pixels; and no strip or tile may be larger than this.
_WHOLE_PX = 100_000_000
_LARGEST_PART_BYTES = 1 << 30
_READABLE = {1: "MINISBLACK", 0: "MINISWHITE", 2: "RGB", 5: "SEPARATED"}


class SegmentedPixels:
    """Pixels of one TIFF page; a slice decodes only the strips or tiles it touches.

    The last few decoded segments are kept, so that reading row by row decodes each one once.
    """

    _KEEP_BYTES = 96 << 20

    def __init__(self, page: tifffile.TiffPage, channels: int) -> None:
        self._page = page
        self._cache: dict[int, Array] = {}
        self._held = 0
        self.shape: tuple[int, ...] = (page.imagelength, page.imagewidth, channels)
        self.dtype: np.dtype[Any] = np.dtype(page.dtype)
        tile = page.tile
        self._rows = int(tile[0]) if tile else int(min(page.rowsperstrip, page.imagelength))
        self._columns = int(tile[1]) if tile else int(page.imagewidth)
        self._across = -(-self.shape[1] // self._columns)
        self._planes = channels if page.planarconfig == 2 else 1
        self.segment_bytes = self._rows * self._columns * (channels // self._planes) * self.dtype.itemsize

    def __getitem__(self, where: tuple[slice, slice]) -> Array:
        """The pixels of these rows and columns, [rows, columns, channels]."""
        y0, y1, _ = where[0].indices(self.shape[0])
        x0, x1, _ = where[1].indices(self.shape[1])
        out = np.zeros((y1 - y0, x1 - x0, self.shape[2]), self.dtype)
        per_plane = self._across * -(-self.shape[0] // self._rows)
        for plane in range(self._planes):
            depth = slice(plane, plane + 1) if self._planes > 1 else slice(None)
            for row in range(y0 // self._rows, -(-y1 // self._rows)):
                for column in range(x0 // self._columns, -(-x1 // self._columns)):
                    segment = self._segment(plane * per_plane + row * self._across + column)
                    if segment is None:
                        continue  # a sparse file: nothing stored here
                    top, left = row * self._rows, column * self._columns
                    a, b = max(y0, top), min(y1, top + segment.shape[0])
                    c, d = max(x0, left), min(x1, left + segment.shape[1])
                    out[a - y0 : b - y0, c - x0 : d - x0, depth] = segment[a - top : b - top, c - left : d - left]
        return out

    def _segment(self, index: int) -> Array | None:
        if index in self._cache:
            return self._cache[index]
        page = self._page
        handle = page.parent.filehandle
        if index >= len(page.dataoffsets) or page.databytecounts[index] == 0:
            return None
        handle.seek(page.dataoffsets[index])
        stored = handle.read(page.databytecounts[index])
        try:
            if int(page.compression) in _OWN_COMPRESSIONS:
                decoded, _, _ = page.decode(stored, index)
                segment: Array | None = None if decoded is None else np.asarray(decoded[0])
            else:
                segment = decode_strip(page, stored, self._shape_of(index))
        except Exception as error:
            raise InputError(f"{handle.path}: strip or tile {index} of the TIFF is damaged ({error})") from error
        if segment is None:
            return None
        self._held += segment.nbytes
        while self._cache and self._held > self._KEEP_BYTES:
            self._held -= self._cache.pop(next(iter(self._cache))).nbytes
        self._cache[index] = segment
        return segment

    def _shape_of(self, index: int) -> tuple[int, int, int]:
        """(rows, columns, samples) that a strip or tile holds; only strips end where the picture does."""
        samples = 1 if self._planes > 1 else self.shape[2]
        row = index // self._across % -(-self.shape[0] // self._rows)
        rows = self._rows if self._page.is_tiled else min(self._rows, self.shape[0] - row * self._rows)
        return rows, self._columns, samples


def read_tiff(path: Path) -> Picture | None:
    """Open a TIFF for reading by parts, or None if its compression or kind needs another reader.

    Raises:
        InputError: it is not a TIFF, is damaged, or has several pages that are pictures of their own.
    """
    try:
        file = tifffile.TiffFile(path)
        pages = [p for p in file.pages if not int(getattr(p.keyframe, "subfiletype", 0) or 0) & 1]
    except (tifffile.TiffFileError, ValueError, OSError, IndexError) as error:
        raise InputError(f"{path}: not a readable TIFF ({error})") from error
    if len(pages) != 1 or not isinstance(pages[0], tifffile.TiffPage):
        count = len(pages)
        file.close()
        raise InputError(f"{path}: holds {count} pages: split it first (`tiffsplit`), one picture a file")
    page = pages[0]
    mode = _mode(page)
    plain = int(page.fillorder) == 1 and page.bitspersample in (8, 16, 32, 64) and page.dtype is not None
    known = int(page.compression) in _OWN_COMPRESSIONS or can_decode(page)
    if mode is None or not plain or not known or page.imagedepth != 1:
        file.close()
        _check_small(path, page)
        return None
    end = max(a + b for a, b in zip(page.dataoffsets, page.databytecounts, strict=False))
    if end > file.filehandle.size:
        file.close()
        raise InputError(f"{path}: the TIFF is cut off: its pixels end at byte {end}, the file before that")
    pixels = SegmentedPixels(page, page.samplesperpixel)
    if pixels.segment_bytes > _LARGEST_PART_BYTES:
        file.close()
        raise InputError(
            f"{path}: stored in parts of {pixels.segment_bytes >> 20} MB, which can be decoded only whole: store it in "
            "tiles first, for example with `gdal_translate -co TILED=YES` or `tiffcp -t`"
        )
    low_is_white = int(page.photometric) == 0
    return Picture(
        path=path,
        format="TIFF",
        mode=mode,
        pixels=pixels,
        value_range=_value_range(pixels, _nodata(page)),
        meta=_meta(page, white_is_zero=low_is_white),
        close=file.close,
    )


def _check_small(path: Path, page: tifffile.TiffPage) -> None:
    """Refuse what only another reader can decode, and only whole, where it is large.

    Raises:
        InputError: it is.
    """
    pixels = int(page.imagewidth) * int(page.imagelength)
    if pixels > _WHOLE_PX:
        name = getattr(page.compression, "name", page.compression)
        raise InputError(
            f"{path}: {pixels:,} pixels in a kind of TIFF ({name}) that can be decoded only whole: convert it "
            "first, for example with `tiffcp -c zip -t` or `gdal_translate -co COMPRESS=DEFLATE -co TILED=YES`"
        )


def tiff_meta(path: Path) -> PictureMeta:
    """The metadata of a TIFF whose pixels another reader decodes."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        return _meta(page, white_is_zero=False)


def _mode(page: tifffile.TiffPage) -> str | None:
    kind, samples = _READABLE.get(int(page.photometric)), int(page.samplesperpixel)
    extra = len(page.extrasamples)
    if kind in ("MINISBLACK", "MINISWHITE"):
        return {(1, 0): "L", (2, 1): "LA"}.get((samples, extra))
    if int(page.photometric) == 6 and int(page.compression) == JPEG and samples == 3:
        return "RGB"  # libtiff converts it
    if kind == "RGB":
        return {(3, 0): "RGB", (4, 1): "RGBA"}.get((samples, extra))
    return "CMYK" if kind == "SEPARATED" and samples == 4 and extra == 0 else None


def _value_range(pixels: SegmentedPixels, nodata: float | None) -> tuple[float, float]:
    """Black and white: the range of the type for 8 bit and for colour, else the range found in the picture."""
    height, width, channels = pixels.shape
    if pixels.dtype == np.uint8 or (pixels.dtype == np.uint16 and channels >= 3):
        return 0.0, float(np.iinfo(pixels.dtype).max)
    low, high = np.inf, -np.inf
    for y in range(0, height, 256):
        part = pixels[y : y + 256, 0:width][..., 0]
        part = part[np.isfinite(part)] if part.dtype.kind == "f" else part
        part = part[part != nodata] if nodata is not None else part
        if part.size:
            low, high = min(low, float(part.min())), max(high, float(part.max()))
    return (low, high) if low < high else (0.0, max(1.0, abs(float(low)) if np.isfinite(low) else 1.0))


def _nodata(page: tifffile.TiffPage) -> float | None:
    """The value that means "nothing here" (GDAL's private tag 42113), or None."""
    tag = page.tags.get(42113)
    try:
        return float(str(tag.value).strip("\0 ")) if tag is not None else None
    except ValueError:
        return None


def _meta(page: tifffile.TiffPage, *, white_is_zero: bool) -> PictureMeta:
    tags = []
    for tag in page.tags:
        if tag.code in STRUCTURAL_TAGS or tag.value is None or isinstance(tag.value, dict):
            continue
        value = tag.value if isinstance(tag.value, (str, bytes, tuple, int, float)) else None
        if value is None:
            continue
        count = 0 if isinstance(value, str) else tag.count
        tags.append((tag.code, int(tag.dtype), count, value, True))
    details: dict[str, Any] = {
        "description": page.description,
        "software": _text(page, 305),
        "datetime": _text(page, 306),
        "compression": int(page.compression),
        "white_is_zero": white_is_zero,
        "nodata": _nodata(page),
        "unassociated": [int(e) for e in page.extrasamples],
    }
    unit = page.tags.get(296)
    resolution = _ratio(page.tags.get(282)), _ratio(page.tags.get(283))
    dpi = None
    if resolution[0] and resolution[1]:
        to_inch = 2.54 if unit is not None and int(unit.value) == 3 else 1.0
        dpi = (resolution[0] * to_inch, resolution[1] * to_inch)
        details["resolution"] = (page.tags[282].value, page.tags[283].value, int(unit.value) if unit else 2)
    icc = page.tags.get(34675)
    return PictureMeta(dpi=dpi, icc=bytes(icc.value) if icc else None, tags=tuple(tags), details=details)


def _text(page: tifffile.TiffPage, code: int) -> str | None:
    tag = page.tags.get(code)
    return str(tag.value) if tag is not None else None


def _ratio(tag: Any) -> float | None:
    if tag is None:
        return None
    value = tag.value
    return value[0] / value[1] if isinstance(value, tuple) and value[1] else None


def write_tiff(path: Path, bands: Iterator[Array], *, size: tuple[int, int], like: Picture) -> None:
    """Write one TIFF by tiles; BigTIFF where the pixels need it.

    Args:
        path: the file to make.
        bands: arrays [rows, width, channels] from top to bottom.
        size: (width, height) in pixels.
        like: the picture whose mode, sample type and metadata it has; gets a note of what could not be kept.
    """
    width, height = size
    first = next(bands)
    meta, details, channels = like.meta, like.meta.details, first.shape[2]
    big = width * height * channels * like.pixels.dtype.itemsize > _CLASSIC_LIMIT
    main, directories = tiff_directories(meta.exif)
    if big and directories:
        directories = {}
        like.notes.append("EXIF is not kept in a TIFF of more than 3 GB")
    resolution = details.get("resolution")
    stored_plain = details.get("compression") == 1
    with tifffile.TiffWriter(path, bigtiff=big, byteorder="<") as out:
        out.write(
            _tiles(first, bands, width),
            shape=(height, width, channels) if channels > 1 else (height, width),
            dtype=like.pixels.dtype,
            tile=(_TILE, _TILE),
            photometric=_photometric(like),
            planarconfig="contig" if channels > 1 else None,
            extrasamples=(details.get("unassociated") or ["unassalpha"]) if like.has_alpha else None,
            compression=None if stored_plain else "zlib",
            predictor=None if stored_plain or like.pixels.dtype.kind == "f" else True,
            iccprofile=meta.icc,
            description=details.get("description") or None,
            software=details.get("software") or False,
            datetime=details.get("datetime"),
            resolution=resolution[:2] if resolution else meta.dpi,
            resolutionunit=resolution[2] if resolution else (2 if meta.dpi else None),
            extratags=[*meta.tags, *_extra_tags(main, directories, meta)] or None,
            metadata=None,
            maxworkers=1,
        )
    _append_directories(path, directories)


def _photometric(like: Picture) -> str:
    if like.mode == "L" and like.meta.details.get("white_is_zero"):
        return "miniswhite"
    return {"L": "minisblack", "LA": "minisblack", "CMYK": "separated"}.get(like.mode, "rgb")


def _extra_tags(main: dict[int, Any], directories: dict[int, Any], meta: PictureMeta) -> Iterator[tuple[Any, ...]]:
    """Tags of an EXIF block's main directory, and a placeholder for each directory that is appended later."""
    have = {tag[0] for tag in meta.tags}
    for code, value in main.items():
        if code in have:
            continue
        if isinstance(value, str):
            yield code, 2, 0, value, True
        elif isinstance(value, int):
            yield code, 3 if value < 1 << 16 else 4, 1, value, True
    if meta.xmp and 700 not in have:
        yield 700, 1, len(meta.xmp), meta.xmp, True
    for pointer in directories:
        yield pointer - 1, 4, 1, 0, True  # tifffile refuses the real numbers; set in _append_directories


def _append_directories(path: Path, directories: dict[int, dict[int, Any]]) -> None:
    """Put directories behind the picture and their offsets into the tags that wait for them."""
    for pointer, entries in directories.items():
        with path.open("ab") as file:
            file.write(b"\0" * (file.tell() % 2))
            offset = file.tell()
            file.write(directory_bytes(entries, offset))
        with tifffile.TiffFile(path) as tiff:
            entry = tiff.pages.first.tags[pointer - 1].offset
        with path.open("r+b") as file:
            file.seek(entry)
            file.write(struct.pack("<HHII", pointer, 4, 1, offset))


def _tiles(first: Array, bands: Iterator[Array], width: int) -> Iterator[Array]:
    """Cut bands of any height into the tiles of a TIFF, row by row."""
    held = first
    ended = False
    while True:
        while len(held) < _TILE and not ended:
            more = next(bands, None)
            ended = more is None
            held = held if more is None else np.concatenate([held, more])
        if not len(held):
            return
        for x in range(0, width, _TILE):
            tile = held[:_TILE, x : x + _TILE]
            yield tile if tile.shape[2] > 1 else tile[..., 0]
        held = held[_TILE:]
