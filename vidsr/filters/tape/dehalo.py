"""Halos: the frequencies that a sharpener or a chain of tape machines raised along the lines, lowered again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from vidsr.filters.before.descriptor import FilterDescriptor, write_number
from vidsr.filters.before.filter import with_planes
from vidsr.filters.detect.inspection import Inspection
from vidsr.filters.tape.halos import Ringing
from vidsr.frames import Frame

_DEFAULT = Ringing(gain=0.5, period=6.0)
#: Largest gain that can be undone, and the periods, px.
_MOST_GAIN, _LEAST_PERIOD, _MOST_PERIOD = 4.0, 2.5, 32.0
#: Pixels on each side that the filter sees, in periods.
_REACH_PERIODS = 3


class Dehalo:
    """Filters luma along the lines by the inverse of what was measured (see :mod:`vidsr.filters.tape.halos`).

    Even areas stay as they are; colour is not touched. What ringing lost where it met black or white does not come
    back.
    """

    name = "dehalo"
    lookaround = (0, 0)

    def __init__(self, ringing: Ringing) -> None:
        self.ringing = ringing

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        from vidsr.filters.before.motion import plane_of, unit
        from vidsr.filters.resample import separable

        taps = undoing_taps(self.ringing)
        for frame in frames:
            planes = list(frame.planes)
            for number in range(3 if frame.format.family == "rgb" else 1):
                planes[number] = plane_of(separable(unit(frame, number), [1.0], taps), frame)
            yield with_planes(frame, planes)


@lru_cache(maxsize=8)
def undoing_taps(ringing: Ringing) -> list[float]:
    """The symmetric filter that undoes ``ringing``, an odd number of taps that add up to 1."""
    length = 1024
    response = np.fft.irfft(ringing.undone(np.fft.rfftfreq(length)), length)
    radius = math.ceil(_REACH_PERIODS * ringing.period)
    taps = np.concatenate((response[-radius:], response[: radius + 1]))
    return [float(t) for t in taps / taps.sum()]


def _parse(text: str) -> Ringing:
    gain, _, period = text.partition(":")
    try:
        asked = Ringing(gain=float(gain), period=float(period) if period else _DEFAULT.period)
    except ValueError:
        asked = Ringing(gain=math.nan, period=math.nan)
    if not (0 < asked.gain <= _MOST_GAIN and _LEAST_PERIOD <= asked.period <= _MOST_PERIOD):
        raise ValueError(
            f"give the gain of the ringing, up to {_MOST_GAIN:g}, and its period in pixels, {_LEAST_PERIOD:g} to "
            f"{_MOST_PERIOD:g}, for example dehalo=0.8:6"
        )
    return asked


def _write(ringing: Ringing) -> str:
    return f"{write_number(ringing.gain)}:{write_number(ringing.period)}"


def _find(found: Inspection) -> Ringing | None:
    return found.tape.ringing


FILTER: FilterDescriptor[Ringing] = FilterDescriptor(
    name="dehalo",
    help="takes away the halos and the ringing beside edges",
    syntax="GAIN:PERIOD",
    parse=_parse,
    write=_write,
    make=lambda ringing: Dehalo(ringing or _DEFAULT),
    find=_find,
    absent="no halos were found; give their gain and period in pixels, for example dehalo=0.8:6",
    recommended=lambda found: found.tape.ringing is not None,
)
