"""Small RGB pictures of frames and stills, and the live thumbnail of a running job."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vidsr.errors import VidsrError
from vidsr.frames import LUMA_WEIGHTS, Array, Frame, PixelFormat, Plane
from vidsr.jobs.state.job_folders import LIVE_NAME
from vidsr.storage import write_atomically

if TYPE_CHECKING:
    from vidsr.media.pictures.types import Picture


#: A picture of the work is made at most this often, and this wide.
_EVERY_SECONDS = 1.5
_WIDTH_PX = 480


def picture_rgb(pixels: Array, picture: Picture) -> Array:
    """Pixels of a still picture, or of its result, as people see them: RGB uint8 [h, w, 3], turned as its EXIF says,
    transparency over a mid grey, grey deeper than 8 bit by the range of its values."""
    from PIL import Image, ImageOps

    low, high = picture.value_range
    unit = ((pixels.astype(np.float64) - low) / (high - low)).clip(0, 1)
    codes = np.rint(np.nan_to_num(unit) * 255).astype(np.uint8)
    image = Image.fromarray(codes[..., 0] if picture.mode == "L" else codes, picture.mode)
    if picture.has_alpha:
        paper = Image.new("RGBA", image.size, (128, 128, 128, 255))
        paper.alpha_composite(image.convert("RGBA"))
        image = paper
    image = image.convert("RGB")
    if picture.meta.exif:
        image.getexif().load(picture.meta.exif)
        image = ImageOps.exif_transpose(image)
    return np.asarray(image)


def small_picture(path: Path, width: int) -> Array:
    """A still picture as RGB uint8, its sides divided by a whole number so that it is at most ``width`` wide.

    Raises:
        InputError: it is not a readable picture.
    """
    from vidsr.media.pictures.files import read_picture

    picture = read_picture(path)
    try:
        columns, rows = picture.size
        step = max(1, -(-columns // width))
        strips = [picture.pixels[top : top + 1, 0:columns][:, ::step] for top in range(0, rows, step)]
        return picture_rgb(np.concatenate(strips), picture)
    finally:
        picture.close()


def small_rgb(frame: Frame, width: int = _WIDTH_PX) -> Array:
    """A frame as RGB uint8 of at most ``width`` columns.

    In numpy alone: this runs in parallel with the network, and torch would start threads of its own for it.
    """
    small = reduced(frame, width)
    planes = [p.astype(np.float32) / small.format.max_code * 255 for p in small.planes]
    limited = frame.colour.range == "limited"
    offset, span = (16.0, 219 / 255) if limited else (0.0, 1.0)
    if small.format.family == "rgb":
        rgb = [(planes[n] - offset) / span for n in (2, 0, 1)]
    else:
        light = (planes[0] - offset) / span
        rgb = [light] * 3
    if small.format.family == "yuv":
        red, blue = LUMA_WEIGHTS.get(frame.colour.matrix, LUMA_WEIGHTS["bt709"])
        chroma = 224 / 255 if limited else 1.0
        to_red, to_blue = (planes[2] - 128) / chroma * 2 * (1 - red), (planes[1] - 128) / chroma * 2 * (1 - blue)
        to_green = -(red * to_red + blue * to_blue) / (1 - red - blue)
        rgb = [light + to_red, light + to_green, light + to_blue]
    picture: Array = np.dstack(rgb).round().clip(0, 255).astype(np.uint8)
    return picture


def reduced(frame: Frame, width: int = _WIDTH_PX) -> Frame:
    """A frame without alpha, its sides divided by a whole number so that it is at most ``width`` wide."""
    format = frame.format
    step = max(1, -(-frame.width // width))
    name = {"yuv": "yuv444p", "gray": "gray", "rgb": "gbrp"}[format.family]
    small = PixelFormat(name, format.family, 8).with_depth(format.depth)
    rows, columns = np.arange(0, frame.height, step), np.arange(0, frame.width, step)
    planes = []
    for number in range(small.plane_count):
        chroma = format.family == "yuv" and number > 0
        down, across = (format.log2_chroma_h, format.log2_chroma_w) if chroma else (0, 0)
        planes.append(_mean(frame.planes[number], rows >> down, columns >> across, step >> max(down, across)))
    return replace(frame, planes=tuple(planes), format=small)


def _mean(plane: Plane, rows: Array, columns: Array, span: int) -> Plane:
    """Means over ``span`` × ``span`` samples from each crossing of ``rows`` and ``columns`` on."""
    total = np.zeros((len(rows), len(columns)), np.uint32)
    for y in range(max(1, span)):
        line = plane[np.minimum(rows + y, plane.shape[0] - 1)]
        for x in range(max(1, span)):
            total += line[:, np.minimum(columns + x, plane.shape[1] - 1)]
    mean: Plane = (total // max(1, span) ** 2).astype(plane.dtype)
    return mean


class LivePicture:
    """Keeps the newest frame of a job as ``live.jpg`` in its folder. Failures are ignored. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LIVE_NAME
        self._next = 0.0
        self._busy = threading.Lock()

    def __call__(self, frame: Frame) -> None:
        """Show a finished frame, if the last one was shown long enough ago."""
        if time.monotonic() < self._next or not self._busy.acquire(blocking=False):
            return
        try:
            self._write(frame)
        finally:
            self._busy.release()

    def _write(self, frame: Frame) -> None:
        from PIL import Image

        memory = io.BytesIO()
        Image.fromarray(small_rgb(frame)).save(memory, "JPEG", quality=80)
        with contextlib.suppress(VidsrError):
            write_atomically(self._path, memory.getvalue(), durable=False)
        self._next = time.monotonic() + _EVERY_SECONDS
