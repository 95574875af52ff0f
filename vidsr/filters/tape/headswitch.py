"""The head-switching band at the bottom: rows moved back into place, and what they lack taken from the rows above."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidsr.filters.before.descriptor import FilterDescriptor
from vidsr.filters.before.filter import quantised, scale8, with_planes
from vidsr.filters.detect.inspection import Inspection
from vidsr.frames import Floats, Frame, Plane

#: Default, and the most rows that can be rebuilt.
_DEFAULT_ROWS, _MOST_ROWS = 8, 64
#: Narrower pictures are left as they are, px.
_LEAST_WIDTH = 96
#: Columns around the course within which each row's displacement is looked for.
_AROUND_PX = 2
#: A row whose difference from the one above falls to no less than this share when it is moved, is moved as the course
#: says.
_FITS = 0.95
#: Rows displaced by less than this are left as they are.
_IN_PLACE_PX = 0.3
#: Pixels next to the lost edge that are taken from above, too; and next to the black that came in at the other edge;
#: and pixels after the latter that show by how much the row is lighter than the one above.
_RIM_PX, _LEVEL_PX = 2, 4
#: Rows above the band that show how much noise there is without it; rows of which less than this share is more than the
#: band's noise are taken from above; columns over which that share is measured elsewhere, and over which the changes
#: between the rows above are.
_ABOVE, _LEAST_SHARE, _LOCAL_PX, _STEPS_PX = 6, 0.1, 31, 15
#: Local variance counts as noise alone up to so many times the noise's, since it varies by chance; of more than that,
#: so much is noise.
_ALONE, _SAFELY = 1.8, 1.5
#: Deviation of a normal distribution from its median absolute value; of second differences of independent samples.
_FROM_MEDIAN, _SECOND = 1.4826, 6**0.5


class HeadSwitch:
    """Rebuilds the last rows: each is matched with the rebuilt row above it, near the course that all rows of the frame
    make likely, and moved back by what that gives.

    Pixels that were moved out of the picture are taken from the row above. Where the band is noisier than the rows
    above it, so is what differs from the row above by no more than that noise (a local Wiener filter), as far as the
    rows above are alike.

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
        if frame.width < _LEAST_WIDTH or first < _ABOVE + 2:
            return frame
        scale = np.float32(scale8(frame))
        luma = frame.planes[0][first - _ABOVE - 1 :].astype(np.float32) / scale
        placed = _aligned(luma)
        planes = list(frame.planes)
        planes[0] = _with_rows(frame, 0, first, luma[_ABOVE + 1 :] * scale)
        for number in (1, 2) if frame.format.family == "yuv" else ():
            down, across = 1 << frame.format.log2_chroma_h, 1 << frame.format.log2_chroma_w
            start = -(-first // down)
            chroma = planes[number][start - 1 :].astype(np.float32)
            for n in range(1, len(chroma)):
                own = placed[(start + n - 1) * down - first : (start + n) * down - first]
                if own:
                    shift = float(np.mean([one.shift for one in own])) / across
                    shows = any(one.shows for one in own)
                    chroma[n] = _moved(chroma[n], chroma[n - 1], shift) if shows else chroma[n - 1]
            planes[number] = _with_rows(frame, number, start, chroma[1:])
        return with_planes(frame, planes)


@dataclass(frozen=True, slots=True)
class _Place:
    """How far a row was displaced, px, and whether it shows more than the band's own noise."""

    shift: float
    shows: bool


def _with_rows(frame: Frame, number: int, first: int, rows: Floats) -> Plane:
    plane = frame.planes[number].copy()
    plane[first:] = quantised(rows, frame)
    return plane


def _aligned(rows: Floats) -> list[_Place]:
    """Rebuild all of ``rows`` but those above the band, in place; where each lay."""
    from vidsr.filters.detect.head_switching import course, displacement, gains

    steps = course(gains(rows[_ABOVE:]).sum(0)).steps
    usual = float(np.median(_noise(rows[: _ABOVE + 1])))
    changes = _around((np.diff(rows[: _ABOVE + 1], axis=0) ** 2).mean(0), _STEPS_PX)
    places: list[_Place] = []
    before = 0.0
    for n in range(_ABOVE + 1, len(rows)):
        row, above = rows[n], rows[n - 1]
        expected = before + float(steps[n - _ABOVE - 1])
        shift, left = displacement(row, above, round(expected), _AROUND_PX)
        fits = np.isfinite(shift) and left < _FITS
        shift = shift if fits else expected
        before = shift
        extra = max(0.0, float(_noise(row[None])[0]) ** 2 - usual**2)
        moved = _moved(row, above, shift)
        apart = _FROM_MEDIAN * float(np.median(np.abs(moved - above)))
        shows = fits or apart**2 * (1 - _LEAST_SHARE) >= extra
        places.append(_Place(shift, shows))
        rows[n] = _less_noisy(moved, above, extra, changes) if shows else above
    return places


def _noise(rows: Floats) -> npt.NDArray[np.float64]:
    """The deviation of each row's noise, from its second differences, most of which are no edges."""
    second = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    return np.asarray(_FROM_MEDIAN / _SECOND * np.median(np.abs(second), axis=1), np.float64)


def _moved(row: Floats, above: Floats, shift: float) -> Floats:
    """``row`` moved left by ``shift``; what that leaves open taken from ``above``."""
    from vidsr.filters.tape.chroma_shift import moved_left

    if abs(shift) < _IN_PLACE_PX:
        return row
    if shift < 0:
        return _moved(row[::-1], above[::-1], -shift)[::-1]
    width = row.shape[0]
    # What came in with the displacement is black, which would ring into the picture: it goes on as the row above does.
    first = min(math.ceil(shift) + _RIM_PX, width - _LEVEL_PX)
    as_above = above[np.rint(np.arange(first + _LEVEL_PX) - shift).astype(int).clip(0)]
    level = (row[first : first + _LEVEL_PX] - as_above[first:]).mean()
    source = np.concatenate((as_above[:first] + level, row[first:]))
    lost = np.arange(width) + shift > width - 1 - _RIM_PX
    return np.where(lost, above, moved_left(source[None], shift)[0])


def _less_noisy(row: Floats, above: Floats, noise: float, changes: Floats) -> Floats:
    """``row`` with no more of what differs from ``above`` than it has beyond noise of this variance, or than the mean
    squared ``changes`` from row to row make likely."""
    if noise <= 0:
        return row
    apart = row - above
    around = _around(apart**2, _LOCAL_PX)
    seen = np.where(around > _ALONE * noise, 1 - _SAFELY * noise / np.maximum(around, noise), 0)
    return np.asarray(above + np.maximum(seen, changes / (changes + noise)) * apart, np.float32)


def _around(values: Floats, columns: int) -> Floats:
    """The mean over so many columns, an odd number."""
    padded = np.pad(values, columns // 2, mode="edge")
    return np.convolve(padded, np.full(columns, 1 / columns, np.float32), "valid")


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
    families=("yuv", "gray"),
)
