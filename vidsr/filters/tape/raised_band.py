"""Halos by their spectrum: frequencies that are raised along the lines, and not across them.

A camera records as much detail along the lines as across them, and what sharpens pictures sharpens both; a chain of
tape machines acts along the lines only. So the power of luma along them over that across them, at each frequency, shows
what the chain did. Of one piece of a picture it shows what is pictured there; its median over many pieces is smooth:
one direction falls off earlier, or both alike. A raised band stands out from that with a shape that is known. Softness
does not hide it, as it hides overshoot, and no edge need stand free (see :mod:`vidsr.filters.tape.halos`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from vidsr.filters.tape.halos import Ringing
from vidsr.frames import Floats

#: Pixels of a piece, and from one piece to the next; most pieces kept of one frame.
_PIECE, _STEP, _MOST = 64, 32, 400
#: Frequencies that are fitted, in cycles a piece; least share of them that must show something, and pieces at each.
_FIRST, _STOP, _SEEN, _FEWEST = 2, 29, 0.6, 12
#: Power below which a piece shows nothing at a frequency, 8-bit code values squared: rounding and the noise of codecs.
_FLOOR = 0.5
#: Gains and periods, px, that are tried; and what a gain of 1 must take off the error at least.
_GAINS, _PERIODS, _WORTH = np.arange(0, 2.55, 0.05), np.arange(3.5, 10.75, 0.25), 0.02
#: Without a raised band the logarithm of the ratio follows a straight line, at most so steep, and a band that ends at
#: one of these frequencies, cycles a pixel, in one of the directions; what such an end must take off the error.
_STEEPEST, _ENDS, _END_WORTH = 5.0, (0.12, 0.15, 0.19, 0.24, 0.3, 0.38), 0.01
#: When a raised band is reported: gain, error, and the error's share of that without it, of all pieces and of halves.
_LEAST_GAIN, _MOST_ERROR, _LEFT, _HALF_LEFT = 0.3, 0.35, 0.6, 0.85
#: By how much the ratio, as a logarithm, may be lower above the raised band than below it: a picture that was enlarged
#: along the lines ends abruptly there, and that looks like a band before it. Both places are shares of its frequency.
_FALL, _BELOW, _ABOVE = -2.4, 0.45, 1.67
#: Shortest period; below ``_SHORT`` px what resampling does looks alike, and gain and fall must be clearer.
_SHORTEST, _SHORT, _SHORT_GAIN, _SHORT_FALL = 4.25, 5.0, 0.65, -2.0
#: By how much periods in halves of the picture may differ from that of all, and by how many times their gains; how many
#: of the four halves may differ by more.
_SAME_PERIOD, _SAME_GAIN, _OTHERS = 0.2, 2.5, 1
#: The band counts beside the edges where its gain is so many times as large, unless its fit leans on a line so steep or
#: an end as low as this.
_LARGER, _LEANING, _LOW_END = 1.33, 3.5, 0.25


@dataclass(frozen=True, slots=True)
class Pieces:
    """What pieces of one frame show.

    Attributes:
        ratios: natural logarithm of the power along the lines over that across them, at 0 to 32 cycles a piece;
            NaN where neither shows anything: ``[count, 33]``.
        places: middle of each piece, 0 to 1 of height and width: ``[count, 2]``.
    """

    ratios: Floats
    places: Floats


def pieces(luma: Floats) -> Pieces:
    """What the pieces of luma ``[h, w]``, in 8-bit code values, show."""
    height, width = luma.shape
    if min(height, width) < _PIECE:
        return Pieces(np.zeros((0, _PIECE // 2 + 1), np.float32), np.zeros((0, 2), np.float32))
    along, across = _power(luma), _power(luma.T).transpose(1, 0, 2)
    rows, columns = along.shape[:2]
    ratio = np.log((along + 0.1) / (across + 0.1)).astype(np.float32)
    ratio[along + across < 2 * _FLOOR] = np.nan
    y, x = np.mgrid[:rows, :columns] * _STEP + _PIECE // 2
    places = np.stack((y / height, x / width), axis=-1).astype(np.float32).reshape(-1, 2)
    every = ratio.reshape(-1, ratio.shape[-1])
    shown = np.flatnonzero(np.isfinite(every[:, _FIRST:_STOP]).any(1))
    if len(shown) > _MOST:
        shown = shown[np.linspace(0, len(shown) - 1, _MOST).astype(int)]
    return Pieces(every[shown], places[shown])


def _power(lines: Floats) -> Floats:
    """Mean power along the lines of each piece of ``[h, w]``: ``[down, right, 33]``."""
    window = np.hanning(_PIECE + 2)[1:-1].astype(np.float32)
    cut = np.lib.stride_tricks.sliding_window_view(lines, _PIECE, axis=1)[:, ::_STEP]
    spectrum = np.fft.rfft((cut - cut.mean(-1, keepdims=True)) * window)
    power = (spectrum.real**2 + spectrum.imag**2) / _PIECE
    strips = power[: len(power) // _STEP * _STEP].reshape(-1, _STEP, *power.shape[1:]).mean(1)
    return np.asarray((strips[:-1] + strips[1:]) / 2, np.float32)


def measured(frames: Sequence[Pieces], edges: Ringing | None) -> Ringing | None:
    """The ringing of many frames, from their pieces and from what their ``edges`` show; None if neither shows any.

    Edges measure it best where they are sharp. Softness hides overshoot, so where the spectrum shows more, the mean of
    both counts (of the logarithms); but not if it only shows more because the band of the picture seems to end early,
    which ringing makes up for.
    """
    band = _found(frames)
    if edges is None or band is None:
        return edges if band is None else band.ringing
    leans = band.slope <= -_LEANING or 0 < band.end < _LOW_END
    if leans or band.ringing.gain <= _LARGER * edges.gain:
        return edges
    gain, period = math.sqrt(band.ringing.gain * edges.gain), math.sqrt(band.ringing.period * edges.period)
    return Ringing(gain=round(gain, 2), period=round(period, 2))


@dataclass(frozen=True, slots=True)
class _BandFit:
    """The raised band that fits best.

    Attributes:
        ringing: its gain and period.
        error: RMS of the logarithm with it, and the least ``without`` any.
        slope: of the line, in units of the logarithm a cycle a pixel.
        end: where the band of the lines ends, cycles a pixel; negative: that across them; 0: neither.
        fall: by how much the ratio is lower above the raised band than below it, negative.
    """

    ringing: Ringing
    error: float
    without: float
    slope: float
    end: float
    fall: float


def _found(frames: Sequence[Pieces]) -> _BandFit | None:
    if not frames:
        return None
    ratios = np.concatenate([one.ratios for one in frames])
    down, right = np.concatenate([one.places for one in frames]).T
    whole = _fitted(ratios)
    if whole is None or not _is_clear(whole):
        return None
    halves = [_fitted(ratios[half]) for half in (down < 0.5, down >= 0.5, right < 0.5, right >= 0.5)]
    others = sum(part is not None and not _agrees(part, whole) for part in halves)
    return whole if others <= _OTHERS else None


def _is_clear(fit: _BandFit) -> bool:
    gain, period = fit.ringing.gain, fit.ringing.period
    least, fall = (_SHORT_GAIN, _SHORT_FALL) if period < _SHORT else (_LEAST_GAIN, _FALL)
    inside = _SHORTEST <= period < _PERIODS[-1]
    return gain >= least and inside and fit.fall >= fall and fit.error <= min(_MOST_ERROR, _LEFT * fit.without)


def _agrees(part: _BandFit, whole: _BandFit) -> bool:
    same = abs(part.ringing.period / whole.ringing.period - 1) <= _SAME_PERIOD
    times = part.ringing.gain / whole.ringing.gain
    return same and 1 / _SAME_GAIN <= times <= _SAME_GAIN and part.error <= _HALF_LEFT * part.without


def _fitted(ratios: Floats) -> _BandFit | None:
    """The raised band that fits the median of ``ratios`` best; None if they show too little."""
    seen = np.isfinite(ratios).sum(0) >= _FEWEST
    numbers = tuple(n for n in range(_FIRST, _STOP) if seen[n])
    if len(numbers) < _SEEN * (_STOP - _FIRST):
        return None
    usual = np.nanmedian(ratios[:, numbers], axis=0).astype(np.float64)
    frequencies = np.array(numbers) / _PIECE
    line = frequencies - frequencies.mean()
    raised, gains = _raised(numbers), np.tile(_GAINS, len(_PERIODS))
    fits: list[tuple[float, int, float, float, float]] = []
    without = []
    for end in (0.0, *_ENDS, *(-e for e in _ENDS)):
        level = usual + (np.sign(end) * np.log1p((frequencies / end) ** 4) if end else 0)
        level -= level.mean()
        without.append(_rms(level - (level @ line) / (line @ line) * line))
        rest = level - raised
        slopes = (rest @ line / (line @ line)).clip(-_STEEPEST, _STEEPEST)
        errors = np.sqrt(((rest - slopes[:, None] * line) ** 2).mean(1))
        costs = errors + _WORTH * gains + (_END_WORTH if end else 0)
        n = int(np.argmin(costs))
        fits.append((float(costs[n]), n, float(errors[n]), float(slopes[n]), end))
    _, n, error, slope, end = min(fits)
    ringing = Ringing(gain=round(float(gains[n]), 2), period=float(_PERIODS[n // len(_GAINS)]))
    below = usual[frequencies <= max(_BELOW / ringing.period, frequencies[1])].mean()
    above = usual[np.argmin(np.abs(frequencies - _ABOVE / ringing.period))]
    return _BandFit(ringing, error, min(without), slope, end, float(above - below))


@lru_cache(maxsize=4)
def _raised(numbers: tuple[int, ...]) -> npt.NDArray[Any]:
    """Twice the logarithm of what each period and gain does at these frequencies, less its mean."""
    frequencies = np.array(numbers) / _PIECE
    made = [
        -2 * np.log(Ringing(gain=gain, period=period).undone(frequencies)) for period in _PERIODS for gain in _GAINS
    ]
    return np.asarray(np.stack(made) - np.mean(made, axis=1, keepdims=True))


def _rms(values: npt.NDArray[Any]) -> float:
    return float(np.sqrt((values**2).mean()))
