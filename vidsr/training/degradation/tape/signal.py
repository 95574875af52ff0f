"""Line signals in the frequency domain: bandwidth, delay, ringing, and another sampling rate.

Lines are ``[..., W]`` float32. A line of ``W`` pixels is the active line of ITU-R BT.601, 720 samples at 13.5 MHz, so
that frequencies can be given in MHz and delays in pixels, whatever the width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from vidsr.frames import Floats

#: Samples at each end that repeat the first or last one, so that filters do not wrap around.
_PAD = 64
#: From frequencies in MHz to real or complex gains.
Response = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


def filtered(lines: Floats, response: Response, rate: float) -> Floats:
    """``lines`` sampled at ``rate`` MHz, with ``response`` applied."""
    spectrum, length = _spectrum(lines)
    gains = response(np.fft.rfftfreq(length, 1 / rate))
    return _lines(spectrum * gains, length, slice(_PAD, _PAD + lines.shape[-1]))


def low_passed(lines: Floats, bandwidth: float, rate: float) -> Floats:
    """Without what lies above ``bandwidth`` MHz: 3 dB down there, 12 dB per octave beyond, no change of phase."""
    return filtered(lines, lambda f: 1 / np.sqrt(1 + (f / bandwidth) ** 4), rate)


def delayed(lines: Floats, pixels: float) -> Floats:
    """Moved to the right by ``pixels``, which need not be whole."""
    return filtered(lines, lambda f: np.exp(-2j * np.pi * f * pixels), 1.0)


def ringing(lines: Floats, amount: float, frequency: float, rate: float) -> Floats:
    """Edges overshoot, as after an aperture corrector: around ``frequency`` MHz the gain is up to ``1 + amount``."""
    width = frequency / 3
    return filtered(lines, lambda f: 1 + amount * np.exp(-(((f - frequency) / width) ** 2)), rate)


def resampled(lines: Floats, times: int) -> Floats:
    """With ``times`` as many samples, band-limited; the first sample stays in place."""
    spectrum, length = _spectrum(lines)
    more = np.zeros((*spectrum.shape[:-1], times * length // 2 + 1), spectrum.dtype)
    more[..., : spectrum.shape[-1]] = spectrum * times
    return _lines(more, times * length, slice(times * _PAD, times * (_PAD + lines.shape[-1])))


def reduced(lines: Floats, times: int) -> Floats:
    """The inverse of :func:`resampled`: every ``times``-th sample, after removing what those cannot hold."""
    width = lines.shape[-1] // times
    limit = 0.5 / times
    return filtered(lines, lambda f: (f < limit).astype(np.float64), 1.0)[..., : width * times : times]


def _spectrum(lines: Floats) -> tuple[npt.NDArray[Any], int]:
    width = lines.shape[-1]
    length = width + 2 * _PAD
    length += -length % 16  # sizes with small factors are transformed faster
    ends = [(0, 0)] * (lines.ndim - 1) + [(_PAD, length - width - _PAD)]
    return np.fft.rfft(np.pad(lines, ends, mode="edge"), axis=-1), length


def _lines(spectrum: npt.NDArray[Any], length: int, kept: slice) -> Floats:
    return np.fft.irfft(spectrum, length, axis=-1)[..., kept].astype(np.float32)
