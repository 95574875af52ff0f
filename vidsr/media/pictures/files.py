"""Reading and writing still pictures: Pillow for most, tifffile for TIFF, PyAV where Pillow cuts 16 bit to 8.

Pixels come out as they are stored: orientation, ICC profile and EXIF are kept separately and written back, so that
nothing is rotated or converted that need not be.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from PIL import Image, UnidentifiedImageError

from vidsr.errors import InputError, OutputError
from vidsr.frames import Array
from vidsr.media.pictures.avif import avif_depth, deep_avif
from vidsr.media.pictures.metadata import exif_of_tiff
from vidsr.media.pictures.png import write_png
from vidsr.media.pictures.types import CHANNELS, Picture, PictureMeta
from vidsr.storage import disk_full, is_disk_full, publish

#: Suffix → Pillow's name of the format: what `enhance` takes as a picture and can write.
FORMATS: dict[str, str] = {
    ".png": "PNG", ".apng": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".webp": "WEBP",
    ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP", ".tga": "TGA", ".dds": "DDS", ".avif": "AVIF", ".gif": "GIF",
    ".ppm": "PPM", ".pgm": "PPM", ".pnm": "PPM",
}  # fmt: skip
_READERS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "TGA", "DDS", "AVIF", "GIF", "PPM")
_MAX_SIDE = {"JPEG": 65535, "WEBP": 16383, "GIF": 65535, "TGA": 65535, "AVIF": 65536}
_DEEP = ("PNG", "TIFF")  # formats written with 16 bits a sample
_ALPHA = ("PNG", "TIFF", "WEBP", "TGA", "DDS", "AVIF", "GIF")
_DDS_COMPRESSED = ("DXT1", "DXT3", "DXT5", "BC2", "BC3")
#: Pixels that one picture may have: a bound against files that claim absurd sizes, far above real scans.
MAX_PIXELS = 2_000_000_000


def is_picture(path: Path) -> bool:
    """Whether the name's suffix is one of a picture format."""
    return path.suffix.lower() in FORMATS


def read_picture(path: Path) -> Picture:
    """Open a picture; TIFF pixels are read by parts later, others are decoded now.

    Raises:
        InputError: it is missing, no picture, damaged, or larger than :data:`MAX_PIXELS`.
    """
    with mapped_errors(path, InputError, "cannot be read"), open_image(path) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise InputError(f"{path}: {width}x{height} pixels are more than the {MAX_PIXELS:,} vidsr takes")
        if image.format == "TIFF":
            from vidsr.media.pictures.tiff import read_tiff, tiff_meta  # imports tifffile, which takes long

            if (tiff := read_tiff(path)) is not None:
                return replace(tiff, meta=replace(tiff.meta, exif=exif_of_tiff(image)))
        deep = _is_deep(image)  # asked first: loading forgets how the file stores its samples
        meta, notes = meta_of(image), []
        if image.format == "TIFF":
            meta = replace(tiff_meta(path), exif=exif_of_tiff(image))
        if getattr(image, "n_frames", 1) > 1:
            notes.append(f"only the first of its {image.n_frames} pictures")
        mode, pixels = _deep_pixels(path) if deep else _pixels(image)
        if image.format == "AVIF" and (bits := avif_depth(path)) > 8:
            found = deep_avif(path, image.size) if mode == "RGB" else None
            pixels = pixels if found is None else found
            if found is None:
                notes.append(f"its {bits} bits a sample are read as 8")
        image.load()  # so that a damaged file is found now, whoever decoded its pixels
        high = float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind == "u" else 1.0
        grey_deep = pixels.dtype != np.uint8 and CHANNELS[mode] == 1
        low, high = _found_range(pixels) if grey_deep else (0.0, high)
        return Picture(
            path=path,
            format="JPEG" if image.format == "MPO" else str(image.format),
            mode=mode,
            pixels=pixels,
            value_range=(low, high),
            meta=meta,
            notes=notes,
        )


@contextlib.contextmanager
def open_image(path: Path) -> Iterator[Any]:
    """Open with Pillow, without its size limit and its warnings."""
    with _relaxed, Image.open(path, formats=_READERS) as image:
        yield image


class _RelaxedPillow:
    """While any block runs: no size limit, which is our own matter, and no warnings of odd EXIF and such.

    Both are settings of the whole process, so blocks of several threads share them: the first one in changes them and
    the last one out restores them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = contextlib.ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
                self._before.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
                Image.MAX_IMAGE_PIXELS = None
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._before.close()


_relaxed = _RelaxedPillow()


@contextlib.contextmanager
def mapped_errors(path: Path, kind: type[InputError] | type[OutputError], what: str) -> Iterator[None]:
    """Map the errors of Pillow, tifffile and PyAV to vidsr's."""
    try:
        yield
    except FileNotFoundError as error:
        raise kind(f"{path}: no such file or folder") from error
    except UnidentifiedImageError as error:
        raise kind(f"{path}: not a picture of a known format ({', '.join(sorted(set(FORMATS.values())))})") from error
    except OSError as error:
        if is_disk_full(error):
            raise disk_full("writing", path) from error
        raise kind(f"{path}: {what} ({error.strerror or error})") from error
    except (SyntaxError, ValueError, EOFError, IndexError, OverflowError, MemoryError, KeyError, TypeError) as error:
        raise kind(f"{path}: {what} ({error})") from error
    except av.FFmpegError as error:
        raise kind(f"{path}: {what} ({error})") from error


def _is_deep(image: Any) -> bool:
    """Whether Pillow would cut this colour picture's 16 bits to 8."""
    if image.format == "PNG":
        tile: Any = image.tile
        return bool(tile) and str(tile[0][3]) in ("RGB;16B", "RGBA;16B", "LA;16B")
    if image.format == "PPM":
        return image.mode == "RGB" and bool(image.tile) and "PPM" in str(image.tile[0][0]).upper() and _ppm_deep(image)
    return image.format == "TIFF" and "16" in str(image.tile[0][3] if image.tile else "") and image.mode != "I;16"


def _ppm_deep(image: Any) -> bool:
    arguments = image.tile[0][3]
    return isinstance(arguments, tuple) and len(arguments) > 1 and arguments[1] not in (None, 255)


def _deep_pixels(path: Path) -> tuple[str, Array]:
    """16-bit colour through FFmpeg's decoder."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    name = frame.format.name
    mode = {"rgb48": "RGB", "rgba64": "RGBA", "ya16": "LA", "gray16": "L"}.get(name[:-2])
    if mode is None:
        raise InputError(f"{path}: pixel format {name} is not supported")
    plane = frame.planes[0]
    lines = np.frombuffer(bytes(plane), ">u2" if name.endswith("be") else "<u2").reshape(
        frame.height, plane.line_size // 2
    )
    used = lines[:, : frame.width * CHANNELS[mode]].astype(np.uint16)
    return mode, used.reshape(frame.height, frame.width, CHANNELS[mode])


def _pixels(image: Image.Image) -> tuple[str, Array]:
    """The pixels through Pillow; palettes are resolved, rare modes become the nearest that loses nothing."""
    transparent = "transparency" in image.info
    if image.mode in ("P", "PA"):
        colours = image.palette.mode if image.palette else "RGB"
        image = image.convert("RGBA" if transparent or image.mode == "PA" or colours == "RGBA" else "RGB")
    elif image.mode == "1":
        image = image.convert("L")
    elif transparent and image.mode in ("L", "RGB"):
        image = image.convert("LA" if image.mode == "L" else "RGBA")
    elif image.mode in ("YCbCr", "HSV", "LAB", "RGBX"):
        image = image.convert("RGB")
    elif image.mode in ("RGBa", "La"):
        image = image.convert(image.mode.upper())
    if image.mode in CHANNELS:
        array = np.asarray(image)
        return image.mode, array.reshape(image.height, image.width, CHANNELS[image.mode])
    array = np.asarray(image)
    if array.dtype == np.int32 and image.mode == "I" and array.size and array.min() >= 0 and array.max() <= 65535:
        array = array.astype(np.uint16)
    return "L", array.astype(array.dtype.newbyteorder("="), copy=False).reshape(image.height, image.width, 1)


def _found_range(pixels: Array) -> tuple[float, float]:
    good = pixels[np.isfinite(pixels)] if pixels.dtype.kind == "f" else pixels
    low, high = (float(good.min()), float(good.max())) if good.size else (0.0, 1.0)
    return (low, high) if low < high else (0.0, max(1.0, abs(low)))


def meta_of(image: Image.Image) -> PictureMeta:
    """The metadata of an open picture."""
    info = image.info
    exif = info.get("exif")
    if exif is None and image.format == "PNG":
        found = image.getexif()
        exif = found.tobytes() if found else None
    xmp = info.get("xmp")
    dpi = info.get("dpi")
    image_texts = getattr(image, "text", {}) if image.format == "PNG" else {}
    texts = tuple((k, str(v)) for k, v in image_texts.items() if k != "XML:com.adobe.xmp")
    details: dict[str, Any] = {"progressive": bool(info.get("progressive"))}
    if image.format == "WEBP":
        details["lossless"] = _webp_lossless(image)
    if image.format == "DDS":
        details["pixel_format"] = getattr(image, "pixel_format", None)
    return PictureMeta(
        exif=exif or None,
        icc=info.get("icc_profile") or None,
        dpi=(float(dpi[0]), float(dpi[1])) if dpi and dpi[0] and dpi[1] else None,
        xmp=xmp.encode() if isinstance(xmp, str) else xmp,
        texts=texts,
        details=details,
    )


def _webp_lossless(image: Any) -> bool:
    """Whether the file holds a VP8L (lossless) bitstream: the first picture chunk decides."""
    with Path(image.filename).open("rb") as file:
        head = file.read(1 << 16)
    lossy, lossless = head.find(b"VP8 "), head.find(b"VP8L")
    return lossless >= 0 and (lossy < 0 or lossless < lossy)


def write_picture(path: Path, picture: Picture, bands: Iterator[Array], *, size: tuple[int, int], quality: int) -> None:
    """Write a picture under its final name once it is whole.

    Args:
        path: the file to make; its suffix names the format.
        picture: where mode, sample type and metadata are taken from (its pixels are not).
        bands: the new pixels, arrays [rows, width, channels] from top to bottom, of the picture's sample type.
        size: (width, height) of the new picture.
        quality: of the lossy formats, 1 to 100.

    Raises:
        OutputError: the format cannot hold the picture, or the file cannot be written.
        DiskFullError: no space is left.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise OutputError(
            f"{path}: cannot write {path.suffix or 'a picture without a suffix'}; use one of {' '.join(FORMATS)}"
        )
    limit = _MAX_SIDE.get(kind, 1 << 31)
    if max(size) > limit:
        raise OutputError(
            f"{path}: {size[0]}x{size[1]} is more than the {limit} pixels a side of {kind}: use .png or .tif"
        )
    part = path.with_name(path.name + ".part")
    try:
        with mapped_errors(path, OutputError, "cannot be written"):
            if kind == "TIFF":
                from vidsr.media.pictures.tiff import write_tiff

                write_tiff(part, bands, size=size, like=picture)
            elif kind == "PNG" and picture.mode != "CMYK" and picture.pixels.dtype in (np.uint8, np.uint16):
                like = np.empty((0, 0, CHANNELS[picture.mode]), picture.pixels.dtype)
                with part.open("wb") as file:
                    write_png(file, bands, size=size, like=like, meta=picture.meta)
            else:
                with part.open("wb") as file:
                    _save(file, kind, picture, np.concatenate(list(bands)), quality)
            publish(part, path)
    finally:
        part.unlink(missing_ok=True)


def _save(file: BinaryIO, kind: str, picture: Picture, pixels: Array, quality: int) -> None:
    """Encode whole pixels with Pillow; depth and channels the format lacks are brought to what it has."""
    mode = picture.mode
    if pixels.dtype != np.uint8:
        low, high = picture.value_range if pixels.dtype.kind == "f" else (0.0, float(np.iinfo(pixels.dtype).max))
        pixels = np.rint((pixels.astype(np.float64) - low) * (255.0 / (high - low))).clip(0, 255).astype(np.uint8)
        picture.notes.append(f"{kind} is written with 8 bits a sample")
    if mode in ("LA", "RGBA") and kind not in _ALPHA:
        mode, pixels = mode[:-1], pixels[..., :-1]
        picture.notes.append(f"{kind} holds no transparency")
    image = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if mode == "L" else pixels), mode)
    if mode == "CMYK" and kind not in ("JPEG",):
        image = image.convert("RGB")
        picture.notes.append(f"{kind} holds no CMYK: converted to RGB, colour profile dropped")
    if kind in ("DDS", "WEBP", "AVIF") and mode == "LA":
        image = image.convert("RGBA")
    if kind == "DDS" and mode == "L" and picture.meta.details.get("pixel_format") in _DDS_COMPRESSED:
        image = image.convert("RGB")
    if kind == "GIF" and mode == "RGBA":
        image = image.quantize(method=Image.Quantize.FASTOCTREE)
    profile = None if mode == "CMYK" and kind != "JPEG" else picture.meta.icc
    image.save(file, format=kind, **_save_options(kind, picture, profile, quality))


def _save_options(kind: str, picture: Picture, profile: bytes | None, quality: int) -> dict[str, Any]:
    """Pillow's keyword arguments for one format."""
    meta = picture.meta
    carried = {"exif": meta.exif, "icc_profile": profile, "xmp": meta.xmp, "dpi": meta.dpi}
    takes = {
        "JPEG": ("exif", "icc_profile", "xmp", "dpi"),
        "WEBP": ("exif", "icc_profile", "xmp"),
        "AVIF": ("exif", "icc_profile", "xmp"),
        "BMP": ("dpi",),
    }.get(kind, ())
    options: dict[str, Any] = {k: v for k, v in carried.items() if k in takes and v}
    named = {"exif": "EXIF", "icc_profile": "colour profile", "xmp": "XMP"}
    lost = [named[key] for key, value in carried.items() if value and key in named and key not in takes]
    if lost:
        picture.notes.append(f"{kind} holds no {', '.join(lost)}")
    if kind == "JPEG":
        # 4:4:4: halving the chroma of a picture that was just enlarged would give away what was computed.
        options |= {"quality": quality, "subsampling": 0, "progressive": meta.details.get("progressive", False)}
    elif kind == "WEBP":
        options |= {"quality": quality, "lossless": meta.details.get("lossless", False), "exact": True}
    elif kind == "AVIF":
        options |= {"quality": quality, "subsampling": "4:4:4"}
    elif kind == "TGA":
        options["compression"] = "tga_rle"
    elif kind == "DDS":
        name = meta.details.get("pixel_format")
        if name in _DDS_COMPRESSED:
            options["pixel_format"] = name
        elif name:
            picture.notes.append(f"its {name} compression cannot be written: stored uncompressed")
    return options
