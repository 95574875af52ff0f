"""Colour that lies beside its luma, moved back."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from vidsr.filters.before.descriptor import FilterDescriptor, write_number
from vidsr.filters.before.filter import quantised, with_planes
from vidsr.filters.detect.inspection import Inspection
from vidsr.frames import Floats, Frame

#: Lobes of the windowed sinc that moves chroma.
_LOBES = 4
#: The farthest delay, luma px.
_FARTHEST_PX = 64


class Chroma:
    """Moves the chroma planes to the left by the part of a sample that is needed, by a Lanczos filter.

    Args:
        delay: how far colour lies to the right of luma, in luma pixels; negative for the left.
    """

    name = "chroma"
    lookaround = (0, 0)

    def __init__(self, delay: float) -> None:
        self.delay = delay

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if frame.format.family != "yuv":
                yield frame
                continue
            by = self.delay / (1 << frame.format.log2_chroma_w)
            planes = list(frame.planes)
            planes[1:3] = [quantised(moved_left(p.astype(np.float32), by), frame) for p in planes[1:3]]
            yield with_planes(frame, planes)


def moved_left(plane: Floats, by: float) -> Floats:
    """Each row of ``[h, w]`` moved left by ``by`` samples; the last sample repeats."""
    whole = math.floor(by)
    offsets = np.arange(whole - _LOBES + 1, whole + _LOBES + 1)
    place = offsets - by
    taps = np.sinc(place) * np.sinc(place / _LOBES)
    taps /= taps.sum()
    width = plane.shape[1]
    columns = np.arange(width)
    out = np.zeros_like(plane)
    for offset, tap in zip(offsets, taps, strict=True):
        out += np.float32(tap) * plane[:, (columns + offset).clip(0, width - 1)]
    return out


def _parse(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < abs(value) <= _FARTHEST_PX:
        raise ValueError(f"give the delay of colour in pixels, up to {_FARTHEST_PX}, negative if it lies to the left")
    return value


def _find(found: Inspection) -> float | None:
    return round(found.tape.chroma_delay, 2) or None


FILTER: FilterDescriptor[float] = FilterDescriptor(
    name="chroma",
    help="moves colour that lies beside its luma back into place",
    syntax="PIXELS",
    parse=_parse,
    write=write_number,
    make=lambda delay: Chroma(delay or 0.0),
    find=_find,
    absent="no delay of colour was found; give it, for example chroma=4",
    recommended=lambda found: found.tape.chroma_delay != 0,
    families=("yuv",),
)
