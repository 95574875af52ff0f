"""The size, pixel shape and orientation of the result."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from vidsr.media.encode.codecs import EncoderFormat, fit_size
from vidsr.media.source import VideoInfo
from vidsr.options.enhance_options import SizeOptions


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


#: Entries of a display matrix that move the picture; the others turn, mirror, scale or shear it.
_TRANSLATION = (6, 7)
_FIXED_POINT_ONE = 1 << 16


def result_matrix(video: VideoInfo, width: int, height: int, sar: Fraction) -> tuple[int, ...] | None:
    """The display matrix for a result of this size and pixel shape; None if the source has none.

    A translation counts in pixels of the source (ISO/IEC 14496-12, 6.2.2), so it grows with the picture: phones move
    a turned picture back into view by its own height, which is another one here.
    """
    matrix = video.display_matrix
    if matrix is None or not any(matrix[i] for i in _TRANSLATION):
        return matrix
    before, after = video.width * video.sar, width * sar
    shift: tuple[int, int]
    if _is_in_view(matrix, before, video.height):
        shift = _view_shift(matrix, after, height)
    else:
        old, new = (_corners(matrix, w, h) for w, h in ((before, video.height), (after, height)))
        sides = [(max(new[i]) - min(new[i])) / ((max(old[i]) - min(old[i])) or 1) for i in (0, 1)]
        shift = round(matrix[6] * sides[0]), round(matrix[7] * sides[1])
    if max(map(abs, shift)) >= 1 << 31:  # does not fit in 16.16 fixed point
        shift = 0, 0
    return (*matrix[:6], *shift, *matrix[8:])


def is_same_orientation(a: tuple[int, ...] | None, b: tuple[int, ...] | None, width: Fraction, height: int) -> bool:
    """Whether two display matrices show a picture of this display size alike.

    Players place the turned picture in view by themselves: a translation that does only that may be absent.
    """
    if a is None or b is None or a == b:
        return a == b
    linear = [tuple(m[i] for i in range(9) if i not in _TRANSLATION) for m in (a, b)]
    return linear[0] == linear[1] and all(
        not any(m[i] for i in _TRANSLATION) or _is_in_view(m, width, height) for m in (a, b)
    )


def _corners(matrix: tuple[int, ...], width: Fraction, height: int) -> tuple[list[Fraction], list[Fraction]]:
    """x and y of the corners of the turned picture, in 1/65536 pixels, before any translation."""
    corners = [(x, y) for x in (Fraction(0), width) for y in (0, height)]
    return [x * matrix[0] + y * matrix[3] for x, y in corners], [x * matrix[1] + y * matrix[4] for x, y in corners]


def _view_shift(matrix: tuple[int, ...], width: Fraction, height: int) -> tuple[int, int]:
    """The translation that brings the top left corner of the turned picture to (0, 0)."""
    xs, ys = _corners(matrix, width, height)
    return round(-min(xs)), round(-min(ys))


def _is_in_view(matrix: tuple[int, ...], width: Fraction, height: int) -> bool:
    """Whether the translation brings the turned picture into view, to a pixel."""
    wanted = _view_shift(matrix, width, height)
    return all(abs(matrix[i] - w) <= _FIXED_POINT_ONE for i, w in zip(_TRANSLATION, wanted, strict=True))
