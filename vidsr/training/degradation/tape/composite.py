"""Composite PAL and NTSC: colour on a subcarrier, and the simple decoders that leave dot crawl and rainbows.

Standards: SMPTE 170M-2004 and ITU-R BT.1700 (NTSC: subcarrier 227.5 cycles a line, 525 lines; PAL: 283.7516 cycles a
line, V reversed on every second line, 625 lines); colour differences limited to 1.3 MHz.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from vidsr.frames import Floats
from vidsr.training.degradation.tape.signal import filtered, low_passed, reduced, resampled

Decoder = Literal["notch", "comb"]
#: Bandwidth of the colour differences, MHz.
_COLOUR_MHZ = 1.3
#: Half the width of the notch that takes the subcarrier out of luma, MHz.
_NOTCH_MHZ = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """A colour system.

    Attributes:
        subcarrier: MHz.
        cycles: subcarrier cycles a line.
        lines: a frame, with blanking.
        switched: whether V changes its sign on every second line.
        opposite: distance, in lines of the frame, of lines of one field whose subcarriers are opposite.
    """

    subcarrier: float
    cycles: float
    lines: int
    switched: bool
    opposite: int


STANDARDS = {
    "ntsc": Standard(subcarrier=3.579545, cycles=227.5, lines=525, switched=False, opposite=2),
    "pal": Standard(subcarrier=4.43361875, cycles=283.7516, lines=625, switched=True, opposite=4),
}


def through_composite(yuv: Floats, standard: Standard, decoder: Decoder, rate: float) -> Floats:
    """A clip encoded to composite video and decoded again.

    Args:
        yuv: ``[T, H, W, 3]``; luma 0 to 1, U and V of BT.1700 (0.493 (B−Y), 0.877 (R−Y)).
        standard: one of :data:`STANDARDS`.
        decoder: "notch" separates by frequency, "comb" by the subcarrier's phase on neighbouring lines of a field.
        rate: MHz at which lines are sampled.
    """
    times = max(2, int(np.ceil(4 * standard.subcarrier / rate)))
    fine = times * rate
    out = np.empty_like(yuv)
    luma: Floats
    for number, picture in enumerate(yuv):
        y, u, v = (resampled(picture[..., n], times) for n in range(3))
        sine, cosine = _carriers(standard, number, y.shape, fine)
        u, v = low_passed(u, _COLOUR_MHZ, fine), low_passed(v, _COLOUR_MHZ, fine)
        signal = y + u * sine + v * cosine
        colour = _band(signal, standard, fine)
        if decoder == "comb":
            step = standard.opposite
            colour = np.asarray((colour - (_moved(colour, step) + _moved(colour, -step)) / 2) / 2, np.float32)
            luma = signal - colour
        else:
            luma = signal - _band(signal, standard, fine, _NOTCH_MHZ)
        for n, part in enumerate((luma, _demodulated(colour, sine, fine), _demodulated(colour, cosine, fine))):
            out[number, ..., n] = reduced(part, times)
    return out


def _carriers(standard: Standard, frame: int, shape: tuple[int, ...], rate: float) -> tuple[Floats, Floats]:
    """sin and ±cos of the subcarrier at each sample of a frame; lines of the two fields are sent one field apart."""
    rows = np.arange(shape[0])
    sent = frame * standard.lines + (rows % 2) * (standard.lines // 2 + 1) + rows // 2
    start = (sent.astype(np.float64) * standard.cycles) % 1
    phase = 2 * np.pi * (start[:, None] + np.arange(shape[1])[None] * (standard.subcarrier / rate))
    sign = np.where(sent % 2, -1.0, 1.0)[:, None] if standard.switched else 1.0
    return np.sin(phase).astype(np.float32), (sign * np.cos(phase)).astype(np.float32)


def _band(signal: Floats, standard: Standard, rate: float, half: float = _COLOUR_MHZ) -> Floats:
    """What lies within about ``half`` MHz of the subcarrier."""
    return filtered(signal, lambda f: np.exp(-(((f - standard.subcarrier) / half) ** 4)), rate)


def _demodulated(colour: Floats, carrier: Floats, rate: float) -> Floats:
    return low_passed(2 * colour * carrier, _COLOUR_MHZ, rate)


def _moved(lines: Floats, by: int) -> Floats:
    """Row y of the result is row y − ``by``, or the nearest row of the same field there is."""
    count = lines.shape[0]
    rows = np.arange(count) - by
    while (low := rows < 0).any():
        rows[low] += 2 * abs(by)
    while (high := rows >= count).any():
        rows[high] -= 2 * abs(by)
    moved: Floats = lines[rows.clip(0, count - 1)]
    return moved
