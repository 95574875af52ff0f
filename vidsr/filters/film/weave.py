"""Weave: the motion of film in the gate taken out of the picture, the motion of the camera left in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from vidsr.filters.before.descriptor import FilterDescriptor
from vidsr.filters.before.filter import quantised, scale8, with_planes
from vidsr.filters.detect.inspection import UNSTEADY
from vidsr.filters.film.moved_plane import Area, covered, moved_area
from vidsr.filters.film.registration import Registered, Shift, registered_shift
from vidsr.filters.film.steady_path import FEWEST, REACH, gate_share, steady_position
from vidsr.frames import Frame, Plane

#: Least trust in a displacement; with less, as across a cut, the frames before and after do not belong together.
TRUSTED = 0.2
#: Corrections up to this many pixels are not made: nobody sees them, and every one of them resamples the picture.
_LEAST_PX = 0.04
#: Larger ones, as a share of the shorter side, are not the gate's.
_MOST = 0.04
#: Frames on either side that lend what a moved picture lacks at its edges; a strip of px at which they must match it,
#: and the most that they may differ there on average, in 8-bit code values.
_LENDERS, _SEAM_PX, _SEAM = 4, 4, 6.0


@dataclass(slots=True)
class _Gated:
    """A frame, and how it moved from the one before; ``frame`` is dropped when no other frame needs it."""

    frame: Frame | None
    shift: Shift


class Weave:
    """Steadies the picture to hundredths of a pixel.

    The displacement between each two frames is measured, added up over the scene within ``REACH`` frames, and the
    picture moved to where the smooth path of :mod:`vidsr.filters.film.steady_path` leads. What is missing at an edge
    then comes from a neighbouring frame that has it, or repeats the edge. The frame keeps its size.
    """

    name = "weave"
    lookaround = (REACH, REACH)

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        window: deque[_Gated] = deque()
        at = 0
        for gated in _measured(frames):
            window.append(gated)
            if len(window) - at > REACH:
                yield _steadied(window, at)
                at = self._advance(window, at)
        while at < len(window):
            yield _steadied(window, at)
            at = self._advance(window, at)

    @staticmethod
    def _advance(window: deque[_Gated], at: int) -> int:
        """The place of the next frame, after what it does not need is dropped."""
        at += 1
        if at > _LENDERS:
            window[at - _LENDERS - 1].frame = None
        if at > REACH:
            window.popleft()
            at -= 1
        return at


def _measured(frames: Iterator[Frame]) -> Iterator[_Gated]:
    before: Registered | None = None
    for frame in frames:
        now = Registered(frame.planes[0], frame.format.max_code)  # luma; of RGB green
        shift = Shift(x=0.0, y=0.0, trust=0.0, repeat=False) if before is None else registered_shift(before, now)
        before = now
        yield _Gated(frame, shift)


def _steadied(window: Sequence[_Gated], at: int) -> Frame:
    frame = window[at].frame
    assert frame is not None
    low, high = _scene(window, at)
    positions = gate_positions([window[n].shift for n in range(low, high)])
    shown = _distinct([window[n].shift for n in range(low, high)])
    if shown[-1] + 1 < FEWEST:
        return frame
    first_of_each = [shown.index(k) for k in range(shown[-1] + 1)]
    own = positions[at - low]
    paths = [np.ascontiguousarray(positions[first_of_each, axis]) for axis in (0, 1)]
    share = gate_share(paths)
    if share == 0:
        return frame
    x, y = (share * (steady_position(path, shown[at - low]) - own[axis]) for axis, path in enumerate(paths))
    limit = _MOST * min(frame.width, frame.height)
    if max(abs(x), abs(y)) < _LEAST_PX or max(abs(x), abs(y)) > limit:
        return frame
    lenders = [
        (lender, (x + own[0] - positions[n - low][0], y + own[1] - positions[n - low][1]))
        for n in sorted(range(max(low, at - _LENDERS), min(high, at + _LENDERS + 1)), key=lambda n: (-abs(n - at), n))
        if n != at and (lender := window[n].frame) is not None
    ]
    return with_planes(frame, [_plane(frame, number, (x, y), lenders) for number in range(len(frame.planes))])


def _scene(window: Sequence[_Gated], at: int) -> tuple[int, int]:
    """The frames around ``at`` of its scene, as a half-open range."""
    low, high = at, at + 1
    while low > max(0, at - REACH) and window[low].shift.trust >= TRUSTED:
        low -= 1
    while high < min(len(window), at + REACH + 1) and window[high].shift.trust >= TRUSTED:
        high += 1
    return low, high


def gate_positions(shifts: Sequence[Shift]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Where the picture lies in each frame of a scene relative to its first, ``[N, 2]``, px."""
    x, y = (list(accumulate([0.0, *(getattr(s, axis) for s in shifts[1:])])) for axis in ("x", "y"))
    return np.stack((x, y), 1)


def _distinct(shifts: Sequence[Shift]) -> list[int]:
    """For each frame of a scene the number of its picture; repeats have that of the frame before."""
    return list(accumulate([0, *(int(not s.repeat) for s in shifts[1:])]))


def _plane(
    frame: Frame, number: int, move: tuple[float, float], lenders: Sequence[tuple[Frame, tuple[float, float]]]
) -> Plane:
    """Plane ``number`` of ``frame`` moved by ``move`` px of luma; ``lenders`` with theirs, the nearest last."""
    is_chroma = frame.format.family == "yuv" and number in (1, 2)
    right, down = (frame.format.log2_chroma_w, frame.format.log2_chroma_h) if is_chroma else (0, 0)
    x, y = move[0] / (1 << right), move[1] / (1 << down)
    plane = frame.planes[number]
    height, width = plane.shape
    whole = Area(0, 0, width, height)
    made = moved_area(plane, x, y, whole)
    own = covered(width, height, x, y)
    for lender, (luma_x, luma_y) in lenders:
        lx, ly = luma_x / (1 << right), luma_y / (1 << down)
        theirs = covered(width, height, lx, ly)
        for strip in own.missing(width, height):
            part, wide = strip.common(theirs), strip.grown(_SEAM_PX).common(whole).common(theirs)
            seam = wide.common(own)
            if part.is_empty or seam.is_empty:
                continue
            lent = moved_area(lender.planes[number], lx, ly, wide)
            apart = made[seam.rows, seam.columns] - lent[seam.within(wide).rows, seam.within(wide).columns]
            if np.abs(apart).mean() <= _SEAM * scale8(frame):
                made[part.rows, part.columns] = lent[part.within(wide).rows, part.within(wide).columns]
    return quantised(made, frame)


FILTER: FilterDescriptor[None] = FilterDescriptor(
    name="weave",
    help="steadies the weave and jitter of film in the gate, without touching pans",
    make=lambda _: Weave(),
    recommended=lambda found: found.weave > UNSTEADY,
    whole=True,
)
