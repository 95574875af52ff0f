"""The size and pixel shape of the result."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from vidsr.media.encode.codecs import EncoderFormat, fit_size
from vidsr.media.source import VideoInfo
from vidsr.options import SizeOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Width and height in pixels and the sample aspect ratio of the result, and what was done to them."""

    width: int
    height: int
    sar: Fraction
    notes: tuple[str, ...] = ()


def result_geometry(video: VideoInfo, options: SizeOptions, format: EncoderFormat, model_scale: int) -> Geometry:
    """The geometry of the result for a source and the size that was asked for."""
    width, height = options.target(video.width, video.height, model_scale)
    sar = video.sar
    notes: list[str] = []
    if options.size is not None and not options.square_pixels:
        # An exact size may bend the picture's shape: the pixel shape straightens it.
        sar = (sar * Fraction(video.width * height, video.height * width)).limit_denominator(4096)
        if abs(sar - 1) < Fraction(1, 100):
            sar = Fraction(1)
    elif options.square_pixels and sar != 1 and options.size is None:
        if sar > 1 or options.height is not None:
            width = max(1, round(width * sar))
        else:
            height = max(1, round(height / sar))
        notes.append(f"pixels of shape {sar.numerator}:{sar.denominator} are made square: {width}x{height}")
        sar = Fraction(1)
    elif options.square_pixels:
        sar = Fraction(1)
    width, height, note = fit_size(format, width, height)
    if note:
        notes.append(note)
    return Geometry(width=width, height=height, sar=sar, notes=tuple(notes))
