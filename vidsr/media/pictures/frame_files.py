"""Frames as numbered picture files: PNG and TIFF of 8 or 16 bit, JPEG and others of 8, EXR in linear light."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np

from vidsr.errors import OutputError
from vidsr.frames import Colour, Frame, PixelFormat
from vidsr.media.image_sequence import name_of
from vidsr.media.libav import AvError, output_error
from vidsr.media.pictures.files import FORMATS, write_picture
from vidsr.media.pictures.types import Array, Picture
from vidsr.media.source import VideoInfo
from vidsr.storage import publish

_DEEP = (".png", ".tif", ".tiff", ".exr")
#: Colour of picture files: RGB without a matrix, all code values used.
PICTURE_COLOUR = Colour(matrix="gbr", range="full", chroma_location="center")


def frame_format(pattern: Path, video: VideoInfo, bit_depth: int | None) -> PixelFormat:
    """The planar format that frames must have for these files.

    ``bit_depth`` is the wanted one; the source's decides if None. Depths between 8 and 16 become 16 where the
    format has that.

    Raises:
        OutputError: the suffix names no picture format, or an HDR source would become linear light.
    """
    suffix = pattern.suffix.lower()
    if suffix not in FORMATS and suffix != ".exr":
        raise OutputError(f"{pattern}: cannot write numbered {suffix or 'files without a suffix'}")
    if suffix == ".exr" and video.colour.transfer in ("smpte2084", "arib-std-b67"):
        raise OutputError(f"{pattern}: EXR of HDR video is not supported: use 16-bit .tif, which keeps its code values")
    deep = suffix == ".exr" or (suffix in _DEEP and (bit_depth or video.format.depth) > 8)
    alpha = video.format.alpha and suffix in (".png", ".tif", ".tiff", ".webp")
    base = "gray" if video.format.family == "gray" and not alpha else ("gbrap" if alpha else "gbrp")
    format = PixelFormat.parse(base + ("16le" if deep else ""))
    assert format is not None
    return format


class FrameFiles:
    """A sink that writes each frame as one file of a numbered pattern; whole or not at all.

    ``first`` is the number of frame 0.
    """

    def __init__(self, pattern: Path, *, first: int, quality: int) -> None:
        self.pattern = pattern
        self.first = first
        self.quality = quality

    def path_of(self, index: int) -> Path:
        """The file of the frame with this index."""
        return name_of(self.pattern, self.first + index)

    def write(self, frame: Frame) -> None:
        """Write one frame.

        Raises:
            OutputError: the file cannot be written.
            DiskFullError: no space is left.
        """
        path = self.path_of(frame.index)
        if path.suffix.lower() == ".exr":
            _write_exr(path, frame)
            return
        pixels = interleaved(frame)
        mode = {1: "L", 3: "RGB", 4: "RGBA"}[pixels.shape[2]]
        white = float(frame.format.max_code)
        picture = Picture(path=path, format=path.suffix, mode=mode, pixels=pixels, value_range=(0, white))
        write_picture(path, picture, iter([pixels]), size=(frame.width, frame.height), quality=self.quality)


def interleaved(frame: Frame) -> Array:
    """The planes of a grey or RGB frame as [height, width, channels] in the order R, G, B, A."""
    if frame.format.family == "gray":
        return np.ascontiguousarray(frame.planes[0])[..., None]
    green, blue, red = frame.planes[:3]
    return np.dstack([red, green, blue, *frame.planes[3:]])


def linear(codes: Array, max_code: int) -> Array:
    """sRGB code values as linear light, float32 in 0..1 (IEC 61966-2-1)."""
    unit = codes.astype(np.float32) / max_code
    return np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _write_exr(path: Path, frame: Frame) -> None:
    grey = frame.format.family == "gray"
    name = "grayf32le" if grey else "gbrpf32le"
    picture = av.VideoFrame(frame.width, frame.height, name)
    for plane, codes in zip(picture.planes, frame.planes, strict=False):
        target: Any = np.frombuffer(plane, np.float32).reshape(frame.height, plane.line_size // 4)  # type: ignore[call-overload]
        target[:, : frame.width] = linear(codes, frame.format.max_code)
    part = path.with_name(path.name + ".part")
    try:
        encoder: Any = av.CodecContext.create("exr", "w")
        encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, name
        encoder.time_base = frame.time_base
        encoder.options = {"compression": "zip16"}
        packets = [*encoder.encode(picture), *encoder.encode(None)]
        part.write_bytes(b"".join(bytes(p) for p in packets))
        publish(part, path)
    except (AvError, OSError, ValueError) as error:
        raise output_error(error, path, "writing") from error
    finally:
        part.unlink(missing_ok=True)
