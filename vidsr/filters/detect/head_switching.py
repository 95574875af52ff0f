"""The head-switching band of helical-scan tape: the last rows, displaced further and further towards the bottom.

The next video head takes over just above the bottom of each field, and its first lines arrive with another timing. The
displacement from row to row is found by matching each row with the one above it. It counts if it grows in one
direction down to the last row, and is the same in nearly all frames: no picture does that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vidsr.frames import Floats

#: Rows at the bottom that are matched, the most that a band may have, and the fewest.
ROWS = 32
_MOST, _FEWEST = 20, 3
#: Columns on each side that a row may be displaced against the one above, about a seventieth of the width.
_STEP_SHARE, _LEAST_STEP = 1 / 40, 6
#: Rows match elsewhere if the mean difference falls to this share of what it was in place; rows with less contrast, in
#: code values, are not matched.
_MATCHES, _CONTRAST = 0.85, 2.0
#: Most rows side by side whose displacement may be unclear.
_UNKNOWN = 2
#: Displacement of the last row, px; of each row of the band against the one above; and the most of rows above the band,
#: px and as a share of the mean step within.
_LEAST_PX, _BEGINS_PX, _STEADY_PX, _STEADY = 5.0, 0.6, 0.35, 0.4
#: Fewest frames in which rows must have been matched, and the share of them that must agree in direction.
_FRAMES, _AGREE = 6, 0.8


def steps(luma: Floats) -> npt.NDArray[np.float64]:
    """For the last :data:`ROWS` rows, how far each lies to the right of the one above, px; NaN where unclear."""
    height, width = luma.shape
    if height < 2 * ROWS or width < 64:
        return np.full(ROWS, np.nan)
    rows = luma[height - ROWS - 1 :]
    reach = max(_LEAST_STEP, round(width * _STEP_SHARE))
    found = np.full(ROWS, np.nan)
    for n in range(ROWS):
        step, left = displacement(rows[n + 1], rows[n], 0, reach)
        if abs(step) < 1 or left < _MATCHES:
            found[n] = step
    return found


def displacement(row: Floats, above: Floats, around: int, reach: int) -> tuple[float, float]:
    """How far ``row`` lies to the right of ``above``, searched ``reach`` px around ``around``; and the share of the
    difference in place that is left then. NaN and 1 where neither row has contrast."""
    margin = abs(around) + reach + 1
    width = row.shape[0]
    if width <= 4 * margin or min(row.std(), above.std()) < _CONTRAST:
        return np.nan, 1.0
    middle = above[margin : width - margin]
    shifts = np.arange(around - reach, around + reach + 1)
    costs = np.array([np.abs(row[margin + s : width - margin + s] - middle).mean() for s in shifts])
    best = int(np.argmin(costs))
    in_place = float(np.abs(row[margin : width - margin] - middle).mean())
    left = float(costs[best]) / max(in_place, 1e-6)
    if not 0 < best < len(costs) - 1:
        return float(shifts[best]), left
    a, b, c = costs[best - 1], costs[best], costs[best + 1]
    # The cost is V-shaped around the place.
    part = 0.5 * (a - c) / max(max(a, c) - b, 1e-6)
    return float(shifts[best] + np.clip(part, -0.5, 0.5)), left


def band(frames: Sequence[npt.NDArray[np.float64]]) -> int:
    """Rows of the band, from the :func:`steps` of many frames; 0 if there is none."""
    if len(frames) < _FRAMES:
        return 0
    each = np.array(frames)
    known = np.isfinite(each)
    often = known.sum(0) >= max(_FRAMES, _AGREE * len(each))
    usual = np.array([np.median(each[known[:, n], n]) if often[n] else np.nan for n in range(ROWS)])
    total, rows, unknown = 0.0, 0, 0
    for row in range(1, _MOST + 2):
        step = float(usual[ROWS - row])
        if np.isnan(step) and unknown < _UNKNOWN:
            unknown += 1
            continue
        if not abs(step) >= _BEGINS_PX or step * total < 0:
            break
        same = np.sign(each[:, ROWS - row][known[:, ROWS - row]]) == np.sign(step)
        if same.mean() < _AGREE:
            break
        total, rows, unknown = total + step, row, 0
    if not _FEWEST <= rows <= _MOST or abs(total) < _LEAST_PX:
        return 0
    # What lies above must stand still, or the whole picture is slanted.
    above = np.abs(usual[: ROWS - rows - 2])
    above = above[np.isfinite(above)]
    if len(above) < _FEWEST or above.max() > max(_STEADY_PX, _STEADY * abs(total) / rows):
        return 0
    # The first line of the band is displaced little, or in a part of it.
    return rows if abs(usual[ROWS - rows - 1]) <= _STEADY_PX else rows + 1
