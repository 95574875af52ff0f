"""How far each line of a picture lies beside the same line of the picture before, where both show the same.

A time-base error moves a whole line, so that all parts of it are displaced alike; what moves in the picture does not
do that. Each line is divided into blocks. The displacement is found by least squares on the gradient, with Huber's
weights, in the blocks that agree with the picture before once it is undone; two halves of these blocks measure it
independently.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidsr.filters.tape.lines_moved import lines_moved
from vidsr.frames import Floats

PerLine = npt.NDArray[np.float64]
Known = npt.NDArray[np.bool_]

#: Width of a block, px; rounds of least squares; where Huber's weights begin in each, 8-bit code values.
_BLOCK_PX, _LIMITS = 45, (16.0, 10.0, 6.0)
#: A block stands still if the mean square left in it is below so many times the noise, plus what this error of the
#: displacement, px², leaves of its gradient.
_NOISE_TIMES, _ERROR_PX2 = 4.0, 0.03
#: Least share of a line's gradient energy in blocks that stand still; the largest standard error of its displacement
#: and of that of a half, px; the largest displacement, and the largest of a whole field.
_STILL_SHARE, _ERROR, _HALF_ERROR, _LARGEST, _LARGEST_WHOLE = 0.5, 0.1, 0.2, 3.0, 1.5
#: Both halves must agree within this, px, and so many standard errors; lines of a field farther from a straight line
#: than so many times the usual distance do not move it.
_APART_PX, _APART_TIMES, _OUTLIER = 0.1, 4.0, 4.0
#: Slower variation down a field than this Gaussian's does not show that lines are displaced one by one; lines.
SLOW_LINES = 4.0
#: Least gradient energy that is divided by; less shows nothing.
_LEAST_ENERGY = 100.0
#: Fewest lines of a field that must be known.
_FEWEST_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Sums of products of two independent measures of the same displacements, and over how many lines."""

    lines: int = 0
    both: float = 0.0
    first: float = 0.0
    second: float = 0.0

    @classmethod
    def of(cls, first: PerLine, second: PerLine) -> Agreement:
        """Of two measures of the same lines."""
        return cls(
            lines=len(first),
            both=float(first @ second),
            first=float(first @ first),
            second=float(second @ second),
        )

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(
            lines=self.lines + other.lines,
            both=self.both + other.both,
            first=self.first + other.first,
            second=self.second + other.second,
        )

    @property
    def correlation(self) -> float:
        """-1 to 1; 0 without lines."""
        energy = self.first * self.second
        return self.both / math.sqrt(energy) if energy > 0 else 0.0

    @property
    def common_px(self) -> float:
        """RMS of the displacement that both share, px."""
        return math.sqrt(max(0.0, self.both / max(1, self.lines)))


@dataclass(frozen=True, slots=True, kw_only=True)
class LineDisplacement:
    """``shift`` of each line to the right of that of the picture before, px, where it is ``known``; what moves whole
    fields, and changes evenly down a field, is taken off. ``agreement`` is that of both halves in what varies from
    line to line."""

    shift: PerLine
    known: Known
    agreement: Agreement


def line_displacement(before: Floats, luma: Floats) -> LineDisplacement:
    """Of the lines of ``luma`` against those of ``before``, both ``[h, w]`` in 8-bit code values."""
    height, width = luma.shape
    blocks = width // _BLOCK_PX
    if blocks < 4:
        nothing = np.zeros(height, np.bool_)
        return LineDisplacement(shift=np.zeros(height), known=nothing, agreement=Agreement())
    left = (width - blocks * _BLOCK_PX) // 2
    inside = slice(left, left + blocks * _BLOCK_PX)
    was, now = _softened(before), _softened(luma)
    shift = np.zeros(height)
    share, energy, misfit = _blocks(was, now, inside, _LIMITS[0])
    for limit in _LIMITS[1:]:
        shift = (shift + _step(share, energy)).clip(-_LARGEST, _LARGEST)
        share, energy, misfit = _blocks(lines_moved(was, shift, least=0.0), now, inside, limit)
    noise = max(float(np.percentile(misfit, 25)), 0.25)
    still = misfit <= _NOISE_TIMES * noise + _ERROR_PX2 * energy / _BLOCK_PX
    total, kept = energy.sum(1), (energy * still).sum(1)
    found = shift + _step(share * still, energy * still)
    known = (kept >= _STILL_SHARE * total) & (kept * _ERROR**2 > noise) & (np.abs(found) < _LARGEST)
    halves, doubt = [], np.zeros(height)
    for first in (0, 1):
        part = still.copy()
        part[:, first::2] = False
        halves.append(shift + _step(share * part, energy * part))
        own = noise / np.maximum((energy * part).sum(1), _LEAST_ENERGY)
        known &= own < _HALF_ERROR**2
        doubt += own
    known &= np.abs(halves[0] - halves[1]) < _APART_PX + _APART_TIMES * np.sqrt(doubt)
    flat, known = _without_motion(found, known)
    fast = [without_slow(half, known)[known] for half in halves]
    return LineDisplacement(shift=flat, known=known, agreement=Agreement.of(*fast))


def _softened(luma: Floats) -> Floats:
    """Less of the finest detail, which noise fills and interpolation weakens."""
    padded = np.pad(luma, ((0, 0), (1, 1)), mode="edge")
    made: Floats = 0.25 * (padded[:, :-2] + padded[:, 2:]) + 0.5 * luma
    return made


def _blocks(was: Floats, now: Floats, inside: slice, limit: float) -> tuple[PerLine, PerLine, PerLine]:
    """For each line and block: the gradient times what is left, the gradient squared, both with Huber's weights, and
    the mean square of what is left.

    The square is the product of both pictures' gradients. Noise, of which each has its own, does not add to that, so
    the displacement of noisy lines is not underestimated.
    """
    slope, apart = _slope(now)[:, inside], (now - was)[:, inside]
    weighted = slope * (limit / np.maximum(np.abs(apart), limit))
    shape = (len(was), -1, _BLOCK_PX)

    def summed(a: Floats, b: Floats) -> PerLine:
        return np.asarray(np.einsum("hbw,hbw->hb", a.reshape(shape), b.reshape(shape)), np.float64)

    energy = summed(weighted, _slope(was)[:, inside])
    return summed(weighted, apart), energy, summed(apart, apart) / _BLOCK_PX


def _slope(luma: Floats) -> Floats:
    """By how much a sample changes when its line moves right by one px."""
    slope = np.zeros_like(luma)
    slope[:, 1:-1] = 0.5 * (luma[:, :-2] - luma[:, 2:])
    return slope


def _step(share: PerLine, energy: PerLine) -> PerLine:
    """The least-squares step of each line, px."""
    return np.asarray((share.sum(1) / np.maximum(energy.sum(1), _LEAST_ENERGY)).clip(-1, 1), np.float64)


def _without_motion(shift: PerLine, known: Known) -> tuple[PerLine, Known]:
    """``shift`` less the straight line that fits each field's; fields that move too far are not known."""
    flat, sure = np.zeros_like(shift), known.copy()
    for parity in (0, 1):
        own, mask = shift[parity::2], known[parity::2]
        if mask.sum() < _FEWEST_LINES:
            sure[parity::2] = False
            continue
        line = _straight(own, mask)
        flat[parity::2] = own - line
        if np.abs(line).max() > _LARGEST_WHOLE:
            sure[parity::2] = False
    return flat, sure


def _straight(own: PerLine, mask: Known) -> PerLine:
    """The straight line through the known ones, without those that lie far from it."""
    places = np.linspace(-1, 1, len(own))
    line = np.full(len(own), np.median(own[mask]))
    for _ in range(2):
        away = np.abs(own - line)
        near = mask & (away <= _OUTLIER * max(float(np.median(away[mask])), _APART_PX))
        rise, level = np.polyfit(places[near], own[near], 1)
        line = level + rise * places
    return np.asarray(line, np.float64)


def without_slow(shift: PerLine, known: Known) -> PerLine:
    """``shift`` less what changes slowly down each field, both ``[…, h]``; meaningless where it is not known."""
    fast = np.zeros_like(shift)
    for parity in (0, 1):
        own, weights = shift[..., parity::2], known[..., parity::2].astype(np.float64)
        fast[..., parity::2] = own - smoothed(own, weights, SLOW_LINES)
    return fast


def smoothed(values: PerLine, weights: PerLine, sigma: float) -> PerLine:
    """The weighted mean around each place of the last axis, Gaussian with ``sigma``; 0 where there are no weights."""
    reach = int(3 * sigma)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)

    def along(a: PerLine) -> PerLine:
        # All in one convolution, with zeros between: calls cost more than sums.
        length = a.shape[-1] + 2 * reach
        padded = np.zeros((*a.shape[:-1], length))
        padded[..., reach : length - reach] = a
        made = np.convolve(padded.reshape(-1), taps, "same").reshape(padded.shape)
        return np.asarray(made[..., reach : length - reach])

    total = along(weights)
    return np.asarray(along(values * weights) / np.maximum(total, 1e-9))
