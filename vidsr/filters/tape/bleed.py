"""Colour that a tape's narrow colour band smeared along the line, sharpened by the edges of luma.

Sought is the colour that, smeared again, gives what is there, and that changes little where luma is even: the least of
``|K c − d|² + Σ w (c_i − c_j)²`` over neighbouring samples along and across the lines, with ``K`` the smear, ``d``
what is there, and weights ``w`` that fall with the step of luma (Farbman et al., "Edge-preserving decompositions for
multi-scale tone and detail manipulation", 2008, section 3, with a smear in the first term). A few steps of conjugate
gradients from ``d`` suffice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from vidsr.filters.before.descriptor import FilterDescriptor, write_number
from vidsr.filters.before.filter import quantised, with_planes
from vidsr.filters.detect.chroma_delay import luma_on_chroma_grid
from vidsr.filters.detect.inspection import Inspection
from vidsr.filters.tape.colour_band import colour_rate, gains, smeared
from vidsr.frames import Floats, Frame

_DEFAULT_MHZ = 0.4
_LEAST_MHZ, _MOST_MHZ = 0.2, 3.0
#: Step of luma, 8-bit code values, over which a weight falls to a half; the weight between even samples without noise,
#: and by how much it rises with the variance of the noise of colour.
_STEP, _EVEN, _PER_VARIANCE = 20.0, 0.05, 0.1
_ROUNDS = 10
#: From the median size of second differences of white noise to its standard deviation.
_MEDIAN_TO_SIGMA = 0.6745 * math.sqrt(6)


class Bleed:
    """Gives colour back the sharpness along the line that its bandwidth took.

    Args:
        bandwidth: of colour, MHz, for 720 samples a line at 13.5 MHz (ITU-R BT.601), whatever the width: 3 dB down
            there, and 12 dB an octave beyond.
    """

    name = "bleed"
    lookaround = (0, 0)

    def __init__(self, bandwidth: float) -> None:
        self.bandwidth = bandwidth

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            yield frame if frame.format.family != "yuv" else self._sharpened(frame)

    def _sharpened(self, frame: Frame) -> Frame:
        scale = np.float32(255 / frame.format.max_code)
        colour = np.stack(frame.planes[1:3]).astype(np.float32) * scale
        luma = luma_on_chroma_grid(frame) * scale
        smear = gains(colour.shape[-1], self.bandwidth, colour_rate(frame))
        sharp = sharpened(colour, luma, smear) / scale
        return with_planes(frame, [frame.planes[0], *(quantised(plane, frame) for plane in sharp)])


def sharpened(colour: Floats, luma: Floats, smear: Floats) -> Floats:
    """Planes ``[n, h, w]`` sharpened by ``luma`` ``[h, w]``; all in 8-bit code values.

    Args:
        smear: what the band lets pass, as of :func:`~vidsr.filters.tape.colour_band.gains`.
    """
    even = _EVEN + _PER_VARIANCE * noise(colour) ** 2
    along, across = (np.float32(even) / (1 + (np.diff(luma, axis=a) / np.float32(_STEP)) ** 2) for a in (1, 0))

    def applied(planes: Floats) -> Floats:
        out = smeared(planes, smear**2)
        step = along * np.diff(planes, axis=-1)
        out[..., :-1] -= step
        out[..., 1:] += step
        step = across * np.diff(planes, axis=-2)
        out[..., :-1, :] -= step
        out[..., 1:, :] += step
        return out

    found = colour.copy()
    rest = smeared(colour, smear) - applied(found)
    way, size = rest.copy(), _squared(rest, rest)
    for _ in range(_ROUNDS):
        turned = applied(way)
        length = size / (_squared(way, turned) + np.float32(1e-9))
        found += length * way
        rest -= length * turned
        smaller = _squared(rest, rest)
        way = rest + smaller / (size + np.float32(1e-9)) * way
        size = smaller
    return found


def noise(colour: Floats) -> float:
    """Standard deviation of the noise of planes ``[n, h, w]`` from line to line, in their unit."""
    second = colour[:, :-2] - 2 * colour[:, 1:-1] + colour[:, 2:]
    return float(np.median(np.abs(second))) / _MEDIAN_TO_SIGMA if second.size else 0.0


def _squared(a: Floats, b: Floats) -> npt.NDArray[Any]:
    """Of each plane the sum of its products."""
    return np.asarray(np.einsum("nhw,nhw->n", a, b)[:, None, None], np.float32)


def _parse(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not _LEAST_MHZ <= value <= _MOST_MHZ:
        raise ValueError(
            f"give the bandwidth of colour in MHz, {_LEAST_MHZ:g} to {_MOST_MHZ:g}: about 0.4 for VHS and Video8, "
            "0.6 for U-matic"
        )
    return value


def _find(found: Inspection) -> float | None:
    return found.tape.colour_band or None


FILTER: FilterDescriptor[float] = FilterDescriptor(
    name="bleed",
    help="sharpens colour that is smeared along the lines, by the edges of luma",
    syntax="MHZ",
    parse=_parse,
    write=write_number,
    make=lambda bandwidth: Bleed(bandwidth or _DEFAULT_MHZ),
    find=_find,
    absent="no smeared colour was found; give the bandwidth of colour in MHz, for example bleed=0.4",
    recommended=lambda found: found.tape.colour_band != 0,
    families=("yuv",),
)
