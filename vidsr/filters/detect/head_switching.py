"""The head-switching band of helical-scan tape: the last rows, displaced further and further towards the bottom.

The next video head takes over just above the bottom of each field, and its first lines arrive with another timing. The
displacement of each row against the one above it is found by matching them in segments. One frame may show little,
where the bottom is dark, flat or blurred, so the logarithms of the likelihood are added up over frames. A band is the
course of displacements, all in one direction down to the last row, that gains most by them; it must gain in nearly all
frames and along the whole line, which no slanting edge does.

Where rows are too flat to be matched, the band still shows by its edge: the line's blanking, moved into the picture,
grows row by row on one side, and noise sets in on the same row. Either alone is not trusted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from operator import add

import numpy as np
import numpy.typing as npt

from vidsr.frames import Floats

#: Rows at the bottom that are matched; the most that a band may have, and the fewest.
ROWS = 32
_MOST, _FEWEST = 18, 3
#: Segments of a line; columns that a row may be displaced against the one above, as a share of the width, and at least.
SEGMENTS, _STEP_SHARE, _LEAST_STEP = 6, 1 / 32, 8
#: Samples that count as one, since neighbours are alike; difference that counts as none, 8-bit code values.
_ALIKE, _NO_DIFFERENCE = 4, 0.25
#: Most that one row of one frame may say, in units of the logarithm of its likelihood.
_MOST_SAID = 12.0
#: What a row of a band must gain in six frames, and what a step of another length than the row above costs, in these
#: units.
_ROW_COST, _JUMP_COST = 1.0, 1.0
#: Displacement of the last row, px; mean displacement of all rows, and of the last three, against the one above; rows
#: at the top of a band that move by less than this, and less than half the mean, are a slant of the picture; the most
#: by which the lower half's may be smaller than the upper half's.
_LEAST_PX, _MEAN_PX, _LAST_PX, _SLANT_PX, _SHRINKS_PX = 5.0, 1.4, 2.0, 2, 0.5
#: Least gain of the whole band; least share of it without the two segments that gain most; share of stretches in which
#: it must gain; the least of a row, and the most of rows above the band, as shares of the mean row's.
_GAIN, _ELSEWHERE, _AGREE, _LEAST_OF_ROW, _MOST_ABOVE = 8.0, 0.25, 0.75, -0.2, 0.3
#: Rows above the band that must stand still, and rows at the top that show what is usual.
_ABOVE, _USUAL_ROWS = 8, 10
#: Fewest frames; stretches whose sums are kept; into how many their gains are gathered, to compare them.
_FRAMES, _BINS, _TIMES = 6, 64, 6
#: Black, 8-bit code values; least level of a picture beside which it is seen; part of the width on each side where
#: both are looked for.
_BLACK, _PICTURE, _SIDE_SHARE = 16.0, 32.0, 1 / 4
#: Rows with less contrast, 8-bit code values, are not matched when they are moved back.
_CONTRAST = 2.0
#: Most that blanking on the other side, or above the band, may grow, as a share of the growth; px on each row; noise of
#: the band against that above it.
_OTHER_SIDE, _GROWS_PX, _NOISIER = 0.25, 0.75, 1.4


@dataclass(slots=True)
class _Sums:
    """What was seen in some frames: gains ``[SEGMENTS, ROWS, shifts]``, columns of blanking ``[2, ROWS]`` and how often
    these were known, noise ``[ROWS]``."""

    frames: int
    gains: Floats
    lost: npt.NDArray[np.float64]
    known: npt.NDArray[np.float64]
    noise: npt.NDArray[np.float64]

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(
            frames=self.frames + other.frames,
            gains=self.gains + other.gains,
            lost=self.lost + other.lost,
            known=self.known + other.known,
            noise=self.noise + other.noise,
        )


@dataclass(slots=True)
class BandSearch:
    """Takes frames one by one, of which it keeps sums over at most 64 stretches."""

    _bins: list[_Sums] = field(default_factory=list)
    _each: int = 1

    def add(self, luma: Floats) -> None:
        """Look at ``[h, w]`` in 8-bit code values. Small pictures, and those of another width than the first, say
        nothing."""
        if luma.shape[0] < 2 * ROWS or luma.shape[1] < 128:
            return
        seen = _seen(luma)
        if self._bins and self._bins[-1].gains.shape != seen.gains.shape:
            return
        if self._bins and self._bins[-1].frames < self._each:
            self._bins[-1] += seen
            return
        if len(self._bins) == _BINS:
            self._bins = [a + b for a, b in zip(self._bins[::2], self._bins[1::2], strict=True)]
            self._each *= 2
        self._bins.append(seen)

    def rows(self) -> int:
        """Rows of the band; 0 if there is none."""
        if sum(one.frames for one in self._bins) < _FRAMES:
            return 0
        return _by_matching(self._bins) or _by_edge(self._bins)


def _seen(luma: Floats) -> _Sums:
    rows = luma[luma.shape[0] - ROWS - 1 :]
    lost, known = _blanking(rows[1:])
    noise = np.abs(rows[1:, :-2] - 2 * rows[1:, 1:-1] + rows[1:, 2:]).mean(1)
    return _Sums(frames=1, gains=gains(rows), lost=lost, known=known, noise=noise.astype(np.float64))


def gains(rows: Floats) -> Floats:
    """By how much the likelihood of each row but the first grows, logarithms, if its segments lie ``s`` px to the right
    of the row above: ``[segments, rows, shifts]``; the shift in the middle is 0."""
    width = rows.shape[1]
    reach = max(_LEAST_STEP, round(width * _STEP_SHARE))
    soft = _softened(rows)
    each = (width - 2 * reach) // SEGMENTS
    left = (width - each * SEGMENTS) // 2
    right = left + each * SEGMENTS
    above = np.ascontiguousarray(soft[:-1, left:right])
    apart, ones = np.empty_like(above), np.ones(each, np.float32)
    sums = np.empty((2 * reach + 1, above.size // each), np.float32)
    for number, shift in enumerate(range(-reach, reach + 1)):
        np.abs(np.subtract(soft[1:, left + shift : right + shift], above, out=apart), out=apart)
        np.matmul(apart.reshape(-1, each), ones, out=sums[number])
    sums += _NO_DIFFERENCE * each
    # Differences with a Laplacian distribution of unknown width.
    said = (each / _ALIKE) * np.log(sums[reach] / sums).reshape(2 * reach + 1, -1, SEGMENTS).transpose(2, 1, 0)
    # No row says more than the most, and none loses its best place by that.
    whole = said.sum(0, keepdims=True)
    said = said * (_MOST_SAID / np.maximum(whole.max(2, keepdims=True), _MOST_SAID))
    whole = np.maximum(-said.sum(0, keepdims=True), _MOST_SAID)
    return np.asarray(said * (_MOST_SAID / whole), np.float32)


def _softened(rows: Floats) -> Floats:
    """A binomial filter along the line: tape has no finer detail than that, noise has."""
    width = rows.shape[1]
    padded = np.pad(rows, ((0, 0), (2, 2)), mode="edge")
    taps = (1, 4, 6, 4, 1)
    return np.asarray(sum(tap * padded[:, n : n + width] for n, tap in enumerate(taps)) / np.float32(16), np.float32)


def _blanking(rows: Floats) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Black columns at both ends of each row, and where they are known: beside a picture that is not dark itself."""
    lost, known = np.zeros((2, len(rows))), np.zeros((2, len(rows)))
    part = int(rows.shape[1] * _SIDE_SHARE)
    soft = _softened(rows)
    for side, ends in enumerate((soft, soft[:, ::-1])):
        level = float(np.median(ends[:_USUAL_ROWS, :part]))
        if level < _PICTURE:
            continue
        light = ends[:, :part] > 0.5 * (_BLACK + level)
        lost[side] = np.where(light.any(1), light.argmax(1), part)
        known[side] = 1
    return lost, known


def _by_matching(bins: list[_Sums]) -> int:
    in_time = [reduce(add, bins[len(bins) * n // _TIMES : len(bins) * (n + 1) // _TIMES]).gains for n in range(_TIMES)]
    # What frames say by chance grows with the root of their number.
    by_segment = sum(in_time) / np.sqrt(_FRAMES * sum(one.frames for one in bins))
    total = by_segment.sum(0)
    reach = total.shape[1] // 2
    steps = course(total[-_MOST - 2 :]).steps
    steps = np.concatenate((np.zeros(ROWS - len(steps), np.int64), steps))
    moved = np.flatnonzero(steps)
    slant = min(_SLANT_PX, 0.5 * float(np.abs(steps[moved]).mean()))
    band = moved[int(np.argmax(np.abs(steps[moved]) >= slant)) :]
    length, shift = len(band), abs(int(steps[band].sum()))
    if not _FEWEST <= length <= _MOST or shift < max(_LEAST_PX, _MEAN_PX * length):
        return 0
    upper, lower = np.abs(steps[band[: length // 2]]).mean(), np.abs(steps[band[length // 2 :]]).mean()
    if np.abs(steps[-_FEWEST:]).mean() < _LAST_PX or lower < upper - _SHRINKS_PX:
        return 0
    of_row = total[band, reach + steps[band]]
    gain, usual = float(of_row.sum()), float(of_row.mean())
    elsewhere = float(np.sort(by_segment[:, band, reach + steps[band]].sum(1))[:-2].sum())
    agree = np.mean([one[:, band, reach + steps[band]].sum() > 0 for one in in_time])
    if gain < _GAIN or elsewhere < _ELSEWHERE * gain or agree < _AGREE:
        return 0
    least = -(-shift // (2 * length))
    above = total[max(0, band[0] - _ABOVE) : band[0]]
    moving = np.concatenate((above[:, : reach - least + 1], above[:, reach + least :]), 1).max(1)
    if of_row.min() < _LEAST_OF_ROW * usual or moving.clip(0).mean() > _MOST_ABOVE * usual:
        return 0
    # The first line of a band is displaced little, or in a part of it.
    first = total[band[0] - 1, reach + np.sign(steps[-1])]
    return length + int(first > -_ROW_COST and abs(int(steps[band[0]])) > 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Displacements of each row against the one above, px; 0 above the band. What they gain, less costs."""

    steps: npt.NDArray[np.int64]
    gain: float


def course(total: Floats) -> Course:
    """The course to the last row, in one direction, that gains most (Viterbi); ``total`` are the :func:`gains` of all
    segments together, ``[rows, shifts]``."""
    return max((_course(total, sign) for sign in (1, -1)), key=lambda one: one.gain)


def _course(total: Floats, sign: int) -> Course:
    reach = total.shape[1] // 2
    shifts = np.arange(1, reach + 1)
    gained = total[:, reach + sign * shifts] - _ROW_COST
    jumps = _JUMP_COST * np.abs(shifts[:, None] - shifts)
    best = np.full(reach, -np.inf)
    came = np.full((len(total), reach), -1)
    for row in range(len(total)):
        on = best - jumps
        last = on.argmax(1)
        on_best = on[np.arange(reach), last]
        came[row] = np.where(on_best > 0, last, -1)
        best = np.maximum(on_best, 0) + gained[row]
    steps = np.zeros(len(total), np.int64)
    at, row = int(best.argmax()), len(total) - 1
    gain = float(best[at])
    while at >= 0:
        steps[row] = sign * shifts[at]
        at, row = int(came[row, at]), row - 1
    return Course(steps=steps, gain=gain)


def _by_edge(bins: list[_Sums]) -> int:
    """The rows on which blanking grows on one side and noise has set in."""
    whole = reduce(add, bins)
    if (whole.known < _AGREE * whole.frames).any():
        return 0
    lost = whole.lost / whole.known
    grown = lost - np.median(lost[:, :_USUAL_ROWS], axis=1, keepdims=True)
    side = int(grown[1, -1] > grown[0, -1])
    growth = np.diff(grown[side], prepend=0)
    length = 0
    while length < ROWS and growth[ROWS - 1 - length] >= _GROWS_PX:
        length += 1
    first, most = ROWS - length, float(grown[side, -1])
    if not _FEWEST <= length <= _MOST or most < _LEAST_PX:
        return 0
    if max(np.abs(grown[side, :first]).max(), np.abs(grown[1 - side]).max()) > _OTHER_SIDE * most:
        return 0
    noise = whole.noise / whole.frames
    if noise[first:].min() < _NOISIER * np.median(noise[max(0, first - _ABOVE) : first - 1]):
        return 0
    reach = whole.gains.shape[2] // 2
    steps = np.rint(growth[first:]).astype(int).clip(-reach, reach) * (1 if side == 0 else -1)
    matched = whole.gains.sum(0)[np.arange(first, ROWS), reach + steps].sum()
    return length if matched >= 0 else 0


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
