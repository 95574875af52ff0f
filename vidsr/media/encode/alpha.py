"""Transparency: keep it where the codec has it, or blend it over a colour by choice; never drop it unasked."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from vidsr.frames import LUMA_WEIGHTS, Colour, PixelFormat, Plane
from vidsr.media.source import SourceInfo

_NAMED = {"black": (0, 0, 0), "white": (255, 255, 255), "grey": (128, 128, 128), "gray": (128, 128, 128)}


def without_alpha(format: PixelFormat) -> PixelFormat:
    """The same format with its alpha plane left out."""
    found = PixelFormat.parse(re.sub(r"^yuva", "yuv", re.sub(r"^gbrap", "gbrp", format.name)))
    assert found is not None
    return found


def flattened(info: SourceInfo, background: str) -> SourceInfo:
    """``info`` with frames blended over ``background`` (a name or #RRGGBB) as they are decoded."""
    text = background.lower()
    rgb = _NAMED.get(text) or tuple(int(text[i : i + 2], 16) for i in (1, 3, 5))
    r, g, b = rgb
    video = replace(info.video, format=without_alpha(info.video.format), flatten=(r, g, b))
    return replace(info, video=video)


def blend_over(
    planes: tuple[Plane, ...], format: PixelFormat, colour: Colour, rgb: tuple[int, int, int]
) -> tuple[Plane, ...]:
    """Blend planes of a ``format`` with straight alpha over an 8-bit RGB background; new arrays without alpha.

    ``out = alpha · plane + (1 - alpha) · background``, per plane in code values, which is affine and so the same
    as blending in non-linear R'G'B'. Subsampled chroma uses the mean alpha of its pixels.
    """
    alpha: npt.NDArray[np.float32] = np.divide(planes[-1], format.max_code, dtype=np.float32)
    codes = background_codes(format, colour, rgb)
    out: list[Plane] = []
    for number, (plane, code) in enumerate(zip(planes[:-1], codes, strict=True)):
        weight: npt.NDArray[np.float32] = alpha
        if format.family == "yuv" and number in (1, 2):
            weight = _shrunk(alpha, 1 << format.log2_chroma_h, 1 << format.log2_chroma_w)
        mixed = weight * plane + (1 - weight) * code
        out.append(np.rint(mixed).clip(0, format.max_code).astype(format.dtype))
    return tuple(out)


def background_codes(format: PixelFormat, colour: Colour, rgb: tuple[int, int, int]) -> tuple[float, ...]:
    """Code values of an 8-bit RGB colour in each plane but alpha, in the plane order of ``format``."""
    r, g, b = (c / 255 for c in rgb)
    if format.family == "rgb":
        return tuple(c * format.max_code for c in (g, b, r))
    kr, kb = LUMA_WEIGHTS.get(colour.matrix, LUMA_WEIGHTS["bt709"])
    y = kr * r + (1 - kr - kb) * g + kb * b
    u, v = (b - y) / (2 - 2 * kb), (r - y) / (2 - 2 * kr)
    top, middle = format.max_code, float(1 << (format.depth - 1))
    if colour.range == "full":
        codes = (y * top, middle + u * top, middle + v * top)
    else:
        unit = float(1 << (format.depth - 8))
        codes = ((16 + 219 * y) * unit, (128 + 224 * u) * unit, (128 + 224 * v) * unit)
    return codes[:1] if format.family == "gray" else codes


def _shrunk(alpha: npt.NDArray[np.float32], down: int, across: int) -> npt.NDArray[np.float32]:
    """Means over blocks; the last ones repeat the edge."""
    rows, columns = -alpha.shape[0] % down, -alpha.shape[1] % across
    padded = np.pad(alpha, ((0, rows), (0, columns)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // down, down, padded.shape[1] // across, across)
    mean: npt.NDArray[np.float32] = blocks.mean(axis=(1, 3), dtype=np.float32)
    return mean
