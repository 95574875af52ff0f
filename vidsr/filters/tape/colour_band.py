"""The bandwidth of colour along the lines of a tape, measured against the picture's own detail across them.

A camera records as much detail along the lines as across them; a tape takes it along the lines only. So the power of
colour's detail along the lines over that across them, at each frequency, shows what the tape let pass. What the picture
itself has more of in one direction luma shows too, and it is divided out. Across the lines each field is taken by
itself, so that combing does not count as detail. Where luma and colour show different things, as titles before a
landscape, that misleads: so the steps of luma must also account for more of colour's when they are smeared as much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidsr.filters.detect.chroma_delay import explained, luma_on_chroma_grid, smoothed_along
from vidsr.frames import Floats, Frame

#: Samples of a piece of line; smallest width and height of chroma that is measured.
_PIECE = 64
#: Bandwidths that are tried, MHz, and that without a limit; the widest that is reported.
_TRIED = np.array([0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 1, 1.3, 2, 10])
_WIDEST = 0.8
#: Frequencies up to which luma and colour must agree in direction, and that are compared, MHz.
_LOW, _HIGH = 0.25, 1.6
#: Natural logarithm of the smallest ratio that counts: below lies the noise.
_FLOOR = -5.0
#: Fewest frames; fewest frequencies; mean departure of the logarithms that is allowed, and by how much more there must
#: be without a limit; by how much, as a ratio, the halves of the frames may differ.
_FRAMES, _FREQUENCIES, _DEPARTS, _MORE, _SAME = 4, 5, 0.5, 0.5, 1.35
#: Bandwidths to which luma is smeared, MHz; how many times as much of colour's steps that must account for.
_SMEARED, _BETTER = (0.3, 0.4, 0.5, 0.7), 1.06
#: Fewest samples at both ends of a line that repeat its first and last one.
_PAD = 64


@dataclass(frozen=True, slots=True)
class ColourDetail:
    """What one frame shows of colour's bandwidth.

    Attributes:
        power: of luma along and across the lines, and of colour along and across, at the frequencies of colour's
            samples along the line from 0 to a quarter of their rate: ``[4, 17]``, in 8-bit code values.
        explained: the energy of colour's steps along the line for which those of luma account, smeared to each of
            ``_SMEARED``, and as it is: ``[5]``.
    """

    power: Floats
    explained: Floats


def sampling_rate(width: int) -> float:
    """MHz at which a line of ``width`` pixels is sampled (ITU-R BT.601-7: 13.5 MHz for 720 samples)."""
    return 13.5 * width / 720


def passed(frequencies: npt.NDArray[Any], bandwidth: float) -> npt.NDArray[Any]:
    """The gain of a band of this width: 3 dB down at its end, 12 dB an octave beyond, no change of phase."""
    return np.asarray(1 / np.sqrt(1 + (frequencies / bandwidth) ** 4))


def smeared(planes: Floats, gains: npt.NDArray[Any]) -> Floats:
    """Lines of ``[..., h, w]`` with these :func:`gains`; beyond both ends the last sample repeats."""
    width = planes.shape[-1]
    longer = np.pad(planes, [(0, 0)] * (planes.ndim - 1) + [(_PAD, _length(width) - _PAD - width)], mode="edge")
    made = np.fft.irfft(np.fft.rfft(longer) * gains, longer.shape[-1])[..., _PAD : _PAD + width]
    return np.asarray(made, np.float32)


def gains(width: int, bandwidth: float, rate: float) -> Floats:
    """:func:`passed` for :func:`smeared`, of lines of ``width`` samples at ``rate`` MHz."""
    return np.asarray(passed(np.fft.rfftfreq(_length(width), 1 / rate), bandwidth), np.float32)


def _length(width: int) -> int:
    """Of a line with its ends: a number whose Fourier transform is fast."""
    least = width + 2 * _PAD
    return min(base << math.ceil(math.log2(least / base)) for base in (1, 3, 5))


def colour_rate(frame: Frame) -> float:
    """MHz at which colour is sampled along the line."""
    return sampling_rate(frame.width) / (1 << frame.format.log2_chroma_w)


def detail(frame: Frame) -> ColourDetail | None:
    """What a frame shows; None if it has no chroma planes or small ones, or if a chroma sample spans more than two
    columns."""
    form = frame.format
    if form.family != "yuv" or form.log2_chroma_w > 1:
        return None
    # A piece across the lines is as long as one along them; the lines of a field lie two apart.
    piece = (_PIECE << form.log2_chroma_w) // (2 << form.log2_chroma_h)
    if frame.planes[1].shape[1] < _PIECE or frame.planes[1].shape[0] // 2 < piece:
        return None
    scale = np.float32(255 / form.max_code)
    luma = luma_on_chroma_grid(frame) * scale
    colour = [plane.astype(np.float32) * scale for plane in frame.planes[1:3]]
    power = (
        _along([luma], _PIECE),
        _along([field.T for field in _fields(luma)], piece),
        _along(colour, _PIECE),
        _along([field.T for plane in colour for field in _fields(plane)], piece),
    )
    return ColourDetail(np.stack(power), _explained(luma, colour, colour_rate(frame)))


def bandwidth(frames: Sequence[ColourDetail], rate: float) -> float:
    """Bandwidth of colour in MHz, from what frames show whose colour is sampled at ``rate`` MHz; 0 where it is not
    clear that a narrow one limits it."""
    if len(frames) < _FRAMES:
        return 0.0
    found, departs, unlimited = _fitted(np.sum([one.power for one in frames], axis=0), rate)
    halves = [_fitted(np.sum([one.power for one in frames[n::2]], axis=0), rate)[0] for n in (0, 1)]
    clear = 0 < found <= _WIDEST and departs <= _DEPARTS and unlimited >= departs + _MORE
    if not clear or max(halves) > _SAME * min(halves):
        return 0.0
    smeared_too = np.sum([one.explained for one in frames], axis=0)
    nearest = int(np.argmin(np.abs(np.log(np.array(_SMEARED) / found))))
    return found if smeared_too[nearest] >= _BETTER * smeared_too[-1] else 0.0


def _explained(luma: Floats, colour: Sequence[Floats], rate: float) -> Floats:
    changes = [np.diff(smoothed_along(plane), axis=1) for plane in colour]
    found = []
    for band in (*_SMEARED, None):
        seen = luma if band is None else smeared(luma, gains(luma.shape[1], band, rate))
        edges = np.diff(smoothed_along(seen), axis=1)
        found.append(sum(explained(edges, one) for one in changes))
    return np.array(found, np.float32)


def _fitted(power: Floats, rate: float) -> tuple[float, float, float]:
    """The bandwidth that fits best, how far it departs, and how far none departs; zeros if too little is seen."""
    luma_along, luma_across, along, across = np.maximum(power[:, 1:].astype(np.float64), 1e-3)
    frequencies = np.fft.rfftfreq(_PIECE, 1 / rate)[1 : len(along) + 1]
    floor = along[-3:].min()  # of the noise: the band has taken all else
    seen = (across > 4 * floor) & (frequencies <= _HIGH)
    if seen.sum() < _FREQUENCIES:
        return 0.0, 0.0, 0.0
    share = np.log(np.maximum(along - floor, 1e-3) / (across - floor).clip(1e-3)) - np.log(luma_along / luma_across)
    low = frequencies <= max(_LOW, float(frequencies[0]))
    departs = []
    for tried in _TRIED:
        expected = 2 * np.log(passed(frequencies, float(tried)))
        apart = np.maximum(share - np.mean((share - expected)[low]), _FLOOR) - np.maximum(expected, _FLOOR)
        departs.append(float(np.abs(apart[seen]).mean()))
    best = int(np.argmin(departs))
    return float(_TRIED[best]), departs[best], departs[-1]


def _fields(plane: Floats) -> tuple[Floats, Floats]:
    return plane[0::2], plane[1::2]


def _along(planes: Sequence[Floats], piece: int) -> Floats:
    """Mean power of half overlapping pieces of the rows, at frequencies 0 to 16 of a piece of 64."""
    window = np.hanning(piece + 1)[:piece].astype(np.float32)
    total = np.zeros(_PIECE // 4 + 1, np.float32)
    for plane in planes:
        count = (plane.shape[1] - piece) // (piece // 2) + 1
        pieces = np.stack([plane[:, n * piece // 2 : n * piece // 2 + piece] for n in range(count)])
        pieces = (pieces - pieces.mean(-1, keepdims=True)) * window
        power = np.abs(np.fft.rfft(pieces)) ** 2
        total += power.mean((0, 1))[: len(total)] / len(planes) * (_PIECE / piece)
    return total
