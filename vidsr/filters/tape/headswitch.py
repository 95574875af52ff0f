"""The head-switching band at the bottom: rows moved back into place, and what they lack taken from the rows above."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vidsr.filters.before.descriptor import FilterDescriptor
from vidsr.filters.before.filter import quantised, scale8, with_planes
from vidsr.filters.detect.inspection import Inspection
from vidsr.frames import Floats, Frame, Plane

#: Default, and the most rows that can be rebuilt.
_DEFAULT_ROWS, _MOST_ROWS = 8, 64
#: Share of the width that a row may be displaced against the one above, at least so many px.
_STEP_SHARE, _LEAST_STEP = 1 / 40, 6
#: A row whose difference from the one above falls to no less than this share when it is moved, is replaced by it.
_FITS = 0.85
#: Rows displaced by less than this are left as they are.
_IN_PLACE_PX = 0.3
#: Pixels next to the lost edge that are taken from above, too.
_RIM_PX = 2


class HeadSwitch:
    """Rebuilds the last rows: each is matched with the rebuilt row above it and moved back by what that gives.

    Pixels that were moved out of the picture, and rows that match nowhere, are taken from the row above.

    Args:
        rows: height of the band.
    """

    name = "headswitch"
    lookaround = (0, 0)

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            yield self._rebuilt(frame)

    def _rebuilt(self, frame: Frame) -> Frame:
        height = frame.height
        first = height - self.rows
        if first < 2 or frame.format.family == "rgb":
            return frame
        scale = np.float32(scale8(frame))
        luma = frame.planes[0][first - 1 :].astype(np.float32) / scale
        shifts = _aligned(luma)
        planes = list(frame.planes)
        planes[0] = _with_rows(frame, 0, first, luma[1:] * scale)
        for number in (1, 2) if frame.format.family == "yuv" else ():
            down, across = 1 << frame.format.log2_chroma_h, 1 << frame.format.log2_chroma_w
            start = -(-first // down)
            chroma = planes[number][start - 1 :].astype(np.float32)
            for n in range(1, len(chroma)):
                own = shifts[(start + n - 1) * down - first : (start + n) * down - first]
                shift = float(np.mean(own)) / across if len(own) and np.isfinite(own).all() else np.nan
                chroma[n] = _placed(chroma[n], chroma[n - 1], shift)
            planes[number] = _with_rows(frame, number, start, chroma[1:])
        return with_planes(frame, planes)


def _with_rows(frame: Frame, number: int, first: int, rows: Floats) -> Plane:
    plane = frame.planes[number].copy()
    plane[first:] = quantised(rows, frame)
    return plane


def _aligned(rows: Floats) -> list[float]:
    """Rebuild all but the first of ``rows``, in place; how far each was displaced, NaN if that could not be found."""
    from vidsr.filters.detect.head_switching import displacement

    reach = max(_LEAST_STEP, round(rows.shape[1] * _STEP_SHARE))
    shifts: list[float] = []
    last = 0.0
    for n in range(1, len(rows)):
        shift, left = displacement(rows[n], rows[n - 1], round(last), reach)
        fits = np.isfinite(shift) and (left < _FITS or abs(shift) < 1)
        shifts.append(shift if fits else np.nan)
        rows[n] = _placed(rows[n], rows[n - 1], shifts[-1])
        last = shift if fits else last
    return shifts


def _placed(row: Floats, above: Floats, shift: float) -> Floats:
    """``row`` moved left by ``shift``, and what that leaves open taken from ``above``."""
    from vidsr.filters.tape.chroma_shift import moved_left

    if not np.isfinite(shift):
        return above.copy()
    if abs(shift) < _IN_PLACE_PX:
        return row
    moved = moved_left(row[None], shift)[0]
    width = row.shape[0]
    place = np.arange(width) + shift
    lost = (place > width - 1 - _RIM_PX) if shift > 0 else (place < _RIM_PX)
    placed: Floats = np.where(lost, above, moved)
    return placed


def _parse(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_ROWS:
        raise ValueError(f"give the rows of the band, 1 to {_MOST_ROWS}")
    return int(text)


def _find(found: Inspection) -> int | None:
    return found.tape.head_switching or None


FILTER: FilterDescriptor[int] = FilterDescriptor(
    name="headswitch",
    help="moves the displaced rows of the head-switching band at the bottom back into place",
    syntax="ROWS",
    parse=_parse,
    write=str,
    make=lambda rows: HeadSwitch(rows or _DEFAULT_ROWS),
    find=_find,
    absent="no head-switching band was found; give its rows, for example headswitch=8",
    recommended=lambda found: found.tape.head_switching > 0,
)
