"""Lines of a picture moved along themselves, each by its own part of a sample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vidsr.frames import Floats

#: Lobes of the windowed sinc, and the parts of a sample for which its taps are kept.
_LOBES, _PARTS = 4, 64
#: Lines that would move by less than this are left bit for bit, px.
LEAST_PX = 0.05


def _tap_table() -> Floats:
    parts = np.arange(_PARTS)[:, None] / _PARTS
    place = np.arange(-_LOBES + 1, _LOBES + 1)[None] - parts
    taps = np.sinc(place) * np.sinc(place / _LOBES)
    return np.asarray(taps / taps.sum(1, keepdims=True), np.float32)


_TAPS = _tap_table()


def lines_moved(plane: Floats, shifts: npt.NDArray[np.float64], least: float = LEAST_PX) -> Floats:
    """Line y of ``[h, w]`` moved right by ``shifts[y]`` samples, to 1/64, by a Lanczos filter of four lobes.

    The first and last sample repeat. Lines with a shift below ``least`` stay as they are.
    """
    steps = np.rint(shifts * _PARTS).astype(np.int64)
    moving = np.flatnonzero(np.abs(shifts) >= least)
    out = plane.copy()
    if not len(moving):
        return out
    reach = int(np.abs(steps[moving]).max()) // _PARTS + 1 + _LOBES
    width = plane.shape[1]
    padded = np.pad(plane, ((0, 0), (reach, reach)), mode="edge")
    # Sample x of the result lies at x - shift of the line: whole samples to the left, and a part between two.
    wholes, parts = np.divmod(-steps, _PARTS)
    for y in moving:
        start = reach + int(wholes[y]) - _LOBES + 1
        out[y] = np.convolve(padded[y, start : start + width + 2 * _LOBES - 1], _TAPS[parts[y]][::-1], "valid")
    return out
