"""AVIF of more than 8 bits, which Pillow cuts to 8: decoded by FFmpeg, converted to RGB of 16."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Interpolation

from vidsr.frames import Array
from vidsr.media.libav import AvError

_HEAD_BYTES = 1 << 16
#: Codes of ITU-T H.273 that libswscale knows, and the one that libavif takes where the file says nothing.
_MATRICES, _BT601 = (1, 4, 5, 6, 7, 9), 6


def avif_depth(path: Path) -> int:
    """Bits per sample of an AVIF, by its AV1 configuration (AV1-ISOBMFF, section 2.3.3); 8 if it has none."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    at = head.find(b"av1C")
    if at < 0 or len(head) < at + 7:
        return 8
    flags = head[at + 6]
    return 12 if flags & 0x20 else 10 if flags & 0x40 else 8


def deep_avif(path: Path, size: tuple[int, int]) -> Array | None:
    """The colour of a deep AVIF as ``[height, width, 3]`` uint16; None where FFmpeg does not see the whole picture.

    That is so for pictures put together from several, as cameras make very large ones.
    """
    try:
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
    except (AvError, StopIteration):
        return None
    if (frame.width, frame.height) != size:
        return None
    space = frame.colorspace if frame.colorspace in _MATRICES else _BT601
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("gbr")
    how = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    rgb = frame.reformat(
        format="rgb48le",
        src_colorspace=space,
        src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=int(how | Interpolation.FULL_CHR_H_INP),
    )
    plane = rgb.planes[0]
    lines = np.frombuffer(bytes(plane), "<u2").reshape(size[1], plane.line_size // 2)
    return lines[:, : 3 * size[0]].reshape(size[1], size[0], 3).astype(np.uint16)
