"""The head-switching band at the bottom: rows moved back into place, and what they lack taken from the rows above."""

from __future__ import annotations

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
#: Pixels next to the lost edge that are taken from above, too.
_RIM_PX = 2
#: Rows above the band that show how much noise there is without it; rows of which less than this share is more than the
#: band's noise are taken from above; columns over which that share is measured elsewhere.
_ABOVE, _LEAST_SHARE, _LOCAL_PX = 6, 0.1, 15
#: Local variance counts as noise up to so many times the noise's, since it varies by chance.
_SAFELY = 1.5
#: Deviation of a normal distribution from its median absolute value; of second differences of independent samples.
_FROM_MEDIAN, _SECOND = 1.4826, 6**0.5


class HeadSwitch:
    """Rebuilds the last rows: each is matched with the rebuilt row above it, near the course that all rows of the frame
    make likely, and moved back by what that gives.

    Pixels that were moved out of the picture are taken from the row above. Where the band is noisier than the rows
    above it, so is what differs from the row above by no more than that noise (a local Wiener filter).

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
                    shows = 0.0 if any(np.isfinite(one.noise) for one in own) else np.nan
                    shift = float(np.mean([one.shift for one in own])) / across
                    chroma[n] = _placed(chroma[n], chroma[n - 1], _Place(shift, shows))
            planes[number] = _with_rows(frame, number, start, chroma[1:])
        return with_planes(frame, planes)


@dataclass(frozen=True, slots=True)
class _Place:
    """How far a row was displaced, px, and the variance of the band's own noise; NaN if the row shows nothing else."""

    shift: float
    noise: float


def _with_rows(frame: Frame, number: int, first: int, rows: Floats) -> Plane:
    plane = frame.planes[number].copy()
    plane[first:] = quantised(rows, frame)
    return plane


def _aligned(rows: Floats) -> list[_Place]:
    """Rebuild all of ``rows`` but those above the band, in place; where each lay."""
    from vidsr.filters.detect.head_switching import course, displacement, gains

    steps = course(gains(rows[_ABOVE:]).sum(0)).steps
    usual = float(np.median(_noise(rows[: _ABOVE + 1])))
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
        apart = _FROM_MEDIAN * float(np.median(np.abs(_placed(row, above, _Place(shift, 0.0)) - above)))
        shows = fits or apart**2 * (1 - _LEAST_SHARE) >= extra
        places.append(_Place(shift, extra if shows else np.nan))
        rows[n] = _placed(row, above, places[-1])
    return places


def _noise(rows: Floats) -> npt.NDArray[np.float64]:
    """The deviation of each row's noise, from its second differences, most of which are no edges."""
    second = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    return np.asarray(_FROM_MEDIAN / _SECOND * np.median(np.abs(second), axis=1), np.float64)


def _placed(row: Floats, above: Floats, place: _Place) -> Floats:
    """``row`` moved left by its shift; what that leaves open, and what is no more than noise, taken from ``above``."""
    from vidsr.filters.tape.chroma_shift import moved_left

    if np.isnan(place.noise):
        return above.copy()
    moved = row
    if abs(place.shift) >= _IN_PLACE_PX:
        moved = moved_left(row[None], place.shift)[0]
        width = row.shape[0]
        came = np.arange(width) + place.shift
        lost = (came > width - 1 - _RIM_PX) if place.shift > 0 else (came < _RIM_PX)
        moved = np.where(lost, above, moved)
    if place.noise <= 0:
        return moved
    apart = moved - above
    around = np.convolve(np.pad(apart**2, _LOCAL_PX // 2, mode="edge"), np.full(_LOCAL_PX, 1 / _LOCAL_PX), "valid")
    noise = _SAFELY * place.noise
    share = 1 - noise / np.maximum(around, noise)
    return np.asarray(above + share * apart, np.float32)


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
