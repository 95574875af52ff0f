"""The missing lines of each field from its neighbours in time and in the picture.

The estimate of a missing sample mixes the lines above and below it with the high vertical frequencies of the fields
before and after (three-field filter: Weston, "Interpolating lines of video signals", UK patent 2191361; coefficients
as published in BBC R&D Report 1988/2 and its successors). It is then clipped to the range that the neighbours in time
allow, wider where they differ, as motion-adaptive deinterlacers do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from vidsr.filters.before.filter import quantised, with_planes
from vidsr.frames import Frame, Plane
from vidsr.native import field_kernels

Lines = npt.NDArray[np.float32]

#: Frames before and after a frame that its moments depend on once the fields around are carried along the motion
#: (:mod:`vidsr.filters.before.carried_fields`).
REACH = 2

#: Three-field filter: lines of the own field (near, far), lines of the neighbours in time (same, ±2, ±4 lines).
_OWN = (4309 / 8192, 213 / 8192)
_OTHER = (5570 / 8192, 3801 / 8192, 1016 / 8192)
#: Within one field, where nothing in time can be trusted: lines at ±1 and ±3.
_SPATIAL = (5077 / 8192, 981 / 8192)
#: Changes up to half a code value are rounding: they give no leave to depart from the neighbours in time.
_ROUNDING = 0.5


def bob(before: Frame, now: Frame, after: Frame, *, first: bool, order: str) -> Frame:
    """The moment of one field of ``now`` as a whole frame: the first or the second field in ``order``.

    At the ends of a clip ``before`` or ``after`` may be ``now`` itself.
    """
    keep = 0 if (order == "tff") == first else 1
    # The other field as it was before and after this moment.
    past, future = (before, now) if first else (now, after)
    planes = []
    for number in range(len(now.planes)):
        around = [frame.planes[number] for frame in (now, past, future, before, after)]
        made = field_kernels.with_missing_lines(
            around,
            parity=1 - keep,
            most=now.format.max_code,
            same=_OWN,
            other=_OTHER,
            spatial=_SPATIAL,
            rounding=_ROUNDING,
        )
        planes.append(_whole(around, 1 - keep, now) if made is None else made)
    return with_planes(now, planes)


def _whole(around: Sequence[Plane], parity: int, frame: Frame) -> Plane:
    """The first plane of ``around`` with its lines of ``parity`` made from the other field."""
    own, past, future, before, after = (plane.astype(np.float32) for plane in around)
    values = own.copy()
    values[parity::2] = _missing(own, past, future, (before, after), parity)
    return quantised(values, frame)


def _missing(own: Lines, past: Lines, future: Lines, around: tuple[Lines, Lines], parity: int) -> Lines:
    """The lines of ``parity`` (0 even, 1 odd) at the moment of the other field of ``own``."""
    rows = np.arange(parity, own.shape[0], 2)
    last = own.shape[0] - 1

    def line(picture: Lines, offset: int) -> Lines:
        return np.asarray(picture[_reflected(rows + offset, last)])

    above, below = line(own, -1), line(own, 1)
    earlier, later = line(past, 0), line(future, 0)
    middle = (earlier + later) / 2
    change = np.abs(earlier - later)
    reach = np.maximum(np.maximum(change / 2, _field_change(line, around, (above, below))) - _ROUNDING, 0)
    # Beyond the reach, allow what the vertical course of the neighbours in time shows.
    up = (line(past, -2) + line(future, -2)) / 2 - above
    down = (line(past, 2) + line(future, 2)) / 2 - below
    to_above, to_below = middle - above, middle - below
    highest = np.maximum(np.maximum(to_below, to_above), np.minimum(up, down))
    lowest = np.minimum(np.minimum(to_below, to_above), np.maximum(up, down))
    # At the very edge there is no such course to be seen.
    inside = ((rows >= 2) & (rows + 2 <= last))[:, None]
    wide = np.where(inside, np.maximum(np.maximum(reach, lowest), -highest), reach)
    spatial = _SPATIAL[0] * (above + below) - _SPATIAL[1] * (line(own, -3) + line(own, 3))
    mixed = (
        _OTHER[0] * middle / 2
        - _OTHER[1] * ((line(past, -2) + line(future, -2)) + (line(past, 2) + line(future, 2))) / 4
        + _OTHER[2] * ((line(past, -4) + line(future, -4)) + (line(past, 4) + line(future, 4))) / 4
    )
    mixed = mixed + _OWN[0] * (above + below) - _OWN[1] * (line(own, -3) + line(own, 3))
    guess = np.where(np.abs(above - below) > change, mixed, spatial)
    held = np.clip(guess, middle - wide, middle + wide)
    return np.where(reach == 0, middle, held).astype(np.float32)


def _field_change(line: Callable[[Lines, int], Lines], around: tuple[Lines, Lines], own: tuple[Lines, Lines]) -> Lines:
    """The larger of the mean changes of the field's own lines to the frame before and to the frame after."""
    (before, after), (above, below) = around, own
    to_before = (np.abs(line(before, -1) - above) + np.abs(line(before, 1) - below)) / 2
    to_after = (np.abs(line(after, -1) - above) + np.abs(line(after, 1) - below)) / 2
    return np.asarray(np.maximum(to_before, to_after), np.float32)


def _reflected(rows: npt.NDArray[np.int64], last: int) -> npt.NDArray[np.int64]:
    """Row numbers brought inside by steps of two, so that each stays in its own field."""
    rows = np.where(rows < 0, rows % 2, rows)
    return np.where(rows > last, last - (last - rows) % 2, rows)
