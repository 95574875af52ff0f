"""Pixel formats: the planar working format of each native one, and planes of decoded frames as arrays."""

from __future__ import annotations

import av
import numpy as np

from vidsr.frames import PixelFormat, Plane

_YUV_OF = {(0, 0): "444", (1, 0): "422", (1, 1): "420", (0, 1): "440", (2, 0): "411", (2, 2): "410"}
# Formats whose components PyAV does not distinguish: the planar format that loses nothing of them.
_SPECIAL = {
    "pal8": "gbrap",
    "monow": "gray",
    "monob": "gray",
    "ya8": "gbrap",
    "ya16le": "gbrap16le",
    "ya16be": "gbrap16le",
    "xyz12le": "gbrp16le",
    "xyz12be": "gbrp16le",
    "grayf32le": "gray16le",
    "grayf32be": "gray16le",
    "grayf16le": "gray16le",
    "v30xle": "yuv444p10le",
    "yuv410p": "yuv410p",
}
# Depths for which libswscale has each family; a depth between is stored in the next one.
_YUV_DEPTHS, _YUVA_DEPTHS = (8, 9, 10, 12, 14, 16), (8, 9, 10, 12, 16)
_RGB_DEPTHS, _RGBA_DEPTHS, _GRAY_DEPTHS = (8, 9, 10, 12, 14, 16), (8, 10, 12, 14, 16), (8, 9, 10, 12, 14, 16)


def planar_format(native: str) -> PixelFormat:
    """The planar format that holds a native format without loss; the format itself if it is planar.

    Raises:
        ValueError: FFmpeg knows no format of this name.
    """
    known = PixelFormat.parse(_SPECIAL.get(native, native))
    if known is not None and not (known.family == "gray" and native.startswith("ya")):
        return known
    av_format = av.VideoFormat(native, 64, 64)
    parts = av_format.components
    alpha = any(part.is_alpha for part in parts)
    depth = min(16, max(part.bits for part in parts))
    if len(parts) == 1:
        return _named("gray", "", _at_least(depth, _GRAY_DEPTHS))
    if av_format.is_rgb:
        if av_format.is_bayer:
            depth = 16 if av_format.bits_per_pixel > 8 else 8
        return _named("gbrap" if alpha else "gbrp", "", _at_least(depth, _RGBA_DEPTHS if alpha else _RGB_DEPTHS))
    sub = _YUV_OF.get((_log2(64 // parts[1].width), _log2(64 // parts[1].height)), "444")
    if alpha and sub not in ("420", "422", "444"):
        sub = "444"
    name = f"yuva{sub}p" if alpha else f"yuv{sub}p"
    return _named(name, "", _at_least(depth, _YUVA_DEPTHS if alpha else _YUV_DEPTHS))


def _log2(ratio: int) -> int:
    return max(0, ratio.bit_length() - 1)


def _at_least(depth: int, depths: tuple[int, ...]) -> int:
    return next((d for d in depths if d >= depth), depths[-1])


def _named(base: str, suffix: str, depth: int) -> PixelFormat:
    format = PixelFormat.parse(f"{base}{suffix}" + ("" if depth <= 8 else f"{depth}le"))
    if format is None:
        raise ValueError(f"no planar format for {base} at {depth} bits")
    return format


def planes_of(frame: av.VideoFrame, format: PixelFormat) -> tuple[Plane, ...]:
    """The planes of a decoded frame as 2-D views of the decoder's own memory; reformatted first if need be.

    The views keep the frame alive. They count as writable and must never be written: a decoder may still
    predict from them.
    """
    if frame.format.name.replace("yuvj", "yuv") != format.name or any(p.line_size <= 0 for p in frame.planes):
        frame = to_planar(frame, format)
    return tuple(_view(frame, number, format) for number in range(format.plane_count))


def to_planar(frame: av.VideoFrame, format: PixelFormat, size: tuple[int, int] | None = None) -> av.VideoFrame:
    """``frame`` in a planar format, through libswscale, its range and matrix untouched."""
    width, height = size or (frame.width, frame.height)
    space = frame.colorspace if frame.colorspace in (1, 4, 5, 6, 7, 9) else 1
    span = frame.color_range if frame.color_range in (1, 2) else 1
    flags = av.video.reformatter.Interpolation
    how = flags.BICUBIC | flags.ACCURATE_RND | flags.FULL_CHR_H_INT | flags.FULL_CHR_H_INP
    return frame.reformat(
        width=width,
        height=height,
        format=format.name,
        src_colorspace=space,
        dst_colorspace=space,
        src_color_range=span,
        dst_color_range=span,
        interpolation=int(how),
    )


def _view(frame: av.VideoFrame, number: int, format: PixelFormat) -> Plane:
    rows, columns = format.plane_shape(number, frame.width, frame.height)
    plane = frame.planes[number]
    stride = plane.line_size // format.dtype.itemsize
    flat = np.frombuffer(plane, format.dtype)  # type: ignore[call-overload]
    if flat.size >= rows * stride:
        return flat[: rows * stride].reshape(rows, stride)[:, :columns]  # type: ignore[no-any-return]
    # The last row may end before its padding.
    view: Plane = np.lib.stride_tricks.as_strided(flat, (rows, columns), (plane.line_size, format.dtype.itemsize))
    return view
