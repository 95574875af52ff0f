"""Halos beside edges: how a chain of tape machines and sharpeners raised some frequencies along the lines.

A raised band of frequencies makes every edge overshoot and ring, all in the same way. Single edges that stand free are
cut out, scaled to a step from 0 to 1 and put together by the median at each distance: what the picture shows there
cancels, the ringing stays. Whatever the lens and the bandwidth, a step that was not sharpened rises without turning
back; the band is the one whose removal leaves the least turning back (total variation beyond the step's own height).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidsr.frames import Floats

#: Width of the raised band, as a share of its frequency: exp(−((f − f₀) / (f₀ · this))²).
BAND = 1 / 3
#: Pixels of a profile on each side of the edge, and how many at each end must be flat.
_REACH, _FLAT = 16, 8
#: An edge is the steepest place within so many pixels, at least so steep and so high in 8-bit code values, and its
#: ends depart by at most this share of the height.
_ALONE_PX, _STEEP, _HIGH, _EVEN = 6, 8.0, 24.0, 0.08
#: Most profiles kept of one frame.
_MOST = 400
#: Gains and periods, px, that are tried; and what a gain of 1 must take away at least, in heights of the step.
_GAINS, _PERIODS, _WORTH = np.arange(0, 2.55, 0.05), np.arange(3.5, 10.75, 0.25), 0.1
_LENGTH = 128
#: When halos are reported: profiles, gain, turning back before, and the share of it that may be left after.
_FEWEST, _LEAST_GAIN, _LEAST, _LEFT = 200, 0.25, 0.1, 0.4
#: By how much the periods in the two halves of the profiles may differ from that of all.
_SAME_PERIOD = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Ringing:
    """Frequencies around one that is repeated every ``period`` px along the line are raised by up to ``1 + gain``."""

    gain: float
    period: float

    def undone(self, frequencies: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The gain that undoes it at each frequency, in cycles a pixel."""
        at = 1 / self.period
        return np.asarray(1 / (1 + self.gain * np.exp(-(((frequencies - at) / (at * BAND)) ** 2))))


def profiles(luma: Floats) -> Floats:
    """Edges of one picture that stand free, ``[count, 32]``, each scaled to a step from 0 to 1."""
    width = luma.shape[1]
    if width < 4 * _REACH:
        return np.zeros((0, 2 * _REACH), np.float32)
    steps = np.abs(np.diff(luma, axis=1))
    middle = steps[:, _REACH : width - _REACH]
    rows, columns = np.nonzero(middle >= _STEEP)
    columns += _REACH
    own = steps[rows, columns]
    steepest = np.ones(len(rows), np.bool_)
    for n in range(1, _ALONE_PX + 1):
        steepest &= (own >= steps[rows, columns - n]) & (own > steps[rows, columns + n])
    rows, columns = rows[steepest], columns[steepest]
    cut = luma[rows[:, None], columns[:, None] + np.arange(1 - _REACH, _REACH + 1)]
    left, right = cut[:, :_FLAT], cut[:, -_FLAT:]
    high = right.mean(1) - left.mean(1)
    size = np.abs(high)
    kept = (size >= _HIGH) & (left.std(1) < _EVEN * size) & (right.std(1) < _EVEN * size)
    chosen = np.flatnonzero(kept)
    if len(chosen) > _MOST:
        chosen = chosen[np.linspace(0, len(chosen) - 1, _MOST).astype(int)]
    scaled: Floats = (cut[chosen] - left[chosen].mean(1, keepdims=True)) / high[chosen, None]
    return scaled


def measured(frames: Sequence[Floats]) -> Ringing | None:
    """The ringing that the :func:`profiles` of many frames share; None if they show none for certain."""
    every = np.concatenate(frames) if frames else np.zeros((0, 2 * _REACH), np.float32)
    if len(every) < _FEWEST:
        return None
    whole, before, after = _fitted(every)
    if whole is None or whole.gain < _LEAST_GAIN or before < _LEAST or after > _LEFT * before:
        return None
    for half in (every[0::2], every[1::2]):
        part, _, _ = _fitted(half)
        if part is None or abs(part.period / whole.period - 1) > _SAME_PERIOD:
            return None
    return whole


def _fitted(every: Floats) -> tuple[Ringing | None, float, float]:
    """The ringing that fits best, and by how much the usual step turns back with it and without it."""
    usual = np.median(every, axis=0).astype(np.float64)
    outside = (_LENGTH - 2 * _REACH) // 2
    padded = np.pad(usual, outside, mode="edge")
    changes = np.fft.rfft(np.diff(padded, append=padded[-1]))
    frequencies = np.fft.rfftfreq(_LENGTH)
    before = _turning(usual[None])[0]
    best, least, left = None, before, before
    for period in _PERIODS:
        undone = np.stack([Ringing(gain=g, period=period).undone(frequencies) for g in _GAINS])
        steps = np.cumsum(np.fft.irfft(changes * undone, _LENGTH), axis=1)
        turning = _turning(steps[:, outside - 1 : outside - 1 + 2 * _REACH])
        cost = turning + _WORTH * _GAINS
        n = int(np.argmin(cost))
        if cost[n] < least and n:
            best, least, left = (
                Ringing(gain=round(float(_GAINS[n]), 2), period=float(period)),
                float(cost[n]),
                float(turning[n]),
            )
    return best, float(before), left


def _turning(steps: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """By how much each of ``[count, length]`` goes back and forth beyond the way from its first to its last value."""
    return np.asarray(np.abs(np.diff(steps, axis=1)).sum(1) - np.abs(steps[:, -1] - steps[:, 0]))
