"""Where each line of a capture begins and ends: the edge between black blanking and picture, to parts of a pixel.

The capture's blanking moves with its line, so its edges show the line's time-base error whatever the picture does.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erf

import numpy as np
import numpy.typing as npt

from vidsr.frames import Floats

#: Fewest and most columns of blanking, as a share of the width the latter; how far their samples may lie from their
#: level, 8-bit code values, in which share of the lines; the lightest level.
_FEWEST_PX, _MOST_SHARE, _LEVEL, _LINES_SHARE, _LIGHTEST = 2, 1 / 6, 8.0, 0.9, 48.0
#: Columns before and after the blanking's last that are fitted.
_BEFORE_PX, _AFTER_PX = 3, 9
#: Standard deviations of the Gaussian that the edge is taken to be softened by, px, of which one is chosen.
_WIDTHS = (0.4, 0.7, 1.0, 1.4, 1.9, 2.5)
#: It is chosen by one line in so many.
_EVERY = 8
#: Rounds of Gauss-Newton, fewer to choose a softness, and the longest step, px.
_ROUNDS, _FEW_ROUNDS, _STEP_PX = 6, 3, 1.0
#: Least height of an edge, 8-bit code values; largest misfit (RMS) as a share of it; largest standard error, px.
_HEIGHT, _MISFIT, _ERROR = 20.0, 0.08, 0.25
#: The integral of the Gaussian.
_TABLE_AT = np.linspace(-6, 6, 1201)
_TABLE = np.array([0.5 * (1 + erf(value / 2**0.5)) for value in _TABLE_AT])


@dataclass(frozen=True, slots=True, kw_only=True)
class LineEdges:
    """The ``place`` of one edge on each line, px from the left, where it is ``known``."""

    place: npt.NDArray[np.float64]
    known: npt.NDArray[np.bool_]


def edges_of(luma: Floats) -> tuple[LineEdges, LineEdges]:
    """The left and the right edge of ``[h, w]`` in 8-bit code values."""
    left, right = _left_edge(luma), _left_edge(luma[:, ::-1])
    return left, LineEdges(place=luma.shape[1] - 1 - right.place, known=right.known)


def _left_edge(luma: Floats) -> LineEdges:
    height, width = luma.shape
    nothing = LineEdges(place=np.zeros(height), known=np.zeros(height, np.bool_))
    columns = blanking_columns(luma)
    if columns < _FEWEST_PX or columns + _AFTER_PX >= width // 2:
        return nothing
    first = max(0, columns - _BEFORE_PX)
    part = luma[:, first : columns + _AFTER_PX].astype(np.float64)
    level = float(np.median(luma[:, : max(1, columns - 1)]))
    some = part[_EVERY // 2 :: _EVERY] - level
    tried = _fitted(np.tile(some, (len(_WIDTHS), 1)), np.repeat(_WIDTHS, len(some)), _FEW_ROUNDS)
    softness = _WIDTHS[int(np.argmin(np.median(tried.misfit.reshape(len(_WIDTHS), -1), axis=1)))]
    best = _fitted(part - level, np.full(height, softness), _ROUNDS)
    return LineEdges(place=best.place + first, known=best.known)


def blanking_columns(luma: Floats) -> int:
    """Columns from the left that are black on nearly all lines."""
    most = int(luma.shape[1] * _MOST_SHARE)
    level = np.median(luma[:, 0])
    if level > _LIGHTEST:
        return 0
    black = (np.abs(luma[:, :most] - level) < _LEVEL).mean(0) >= _LINES_SHARE
    return most if black.all() else int(np.argmin(black))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    place: npt.NDArray[np.float64]
    known: npt.NDArray[np.bool_]
    misfit: npt.NDArray[np.float64]


def _fitted(part: npt.NDArray[np.float64], widths: npt.NDArray[np.float64], rounds: int) -> _Fit:
    """A step softened by the line's own of ``widths`` ``[h]``, px, with a picture behind it that rises evenly, fitted
    to each line of ``[h, n]``, which lies above the level of black: height, rise and place."""
    count = part.shape[1]
    width = widths[:, None]
    at = np.arange(count)
    high = part[:, -5:].mean(1)
    place = (count - np.clip((part / np.maximum(high, 1)[:, None]).clip(0, 1).sum(1), 1, count - 1)) - 0.5
    values = np.stack((high, np.zeros_like(high)), 1)
    steep = np.zeros((len(part), 3, 3))
    left = part
    for _ in range(rounds):
        away = at - place[:, None]
        step = np.interp(away / width, _TABLE_AT, _TABLE)
        bell = np.exp(-0.5 * (away / width) ** 2) / (width * (2 * np.pi) ** 0.5)
        rising = values[:, :1] + values[:, 1:] * away
        left = part - rising * step
        slopes = np.stack((step, away * step, -values[:, 1:] * step - rising * bell), 2)
        steep = np.einsum("hni,hnj->hij", slopes, slopes)
        steep[:, range(3), range(3)] += np.array([1e-3, 0.3, 1e-3 * _HEIGHT**2]) + 1e-4 * steep[:, range(3), range(3)]
        change = np.linalg.solve(steep, np.einsum("hni,hn->hi", slopes, left)[..., None])[..., 0]
        values = values + change[:, :2]
        place = (place + change[:, 2].clip(-_STEP_PX, _STEP_PX)).clip(-2, count)
    misfit = np.sqrt((left**2).mean(1))
    spread = np.sqrt(np.linalg.inv(steep)[:, 2, 2].clip(0)) * np.maximum(misfit, 1.0)
    known = (values[:, 0] >= _HEIGHT) & (misfit <= _MISFIT * values[:, 0] + 1.5) & (spread < _ERROR)
    known &= (place > 0.5) & (place < count - 4)
    return _Fit(place=place, known=known, misfit=misfit)
