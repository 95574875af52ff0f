"""Parts of a plane moved by fractions of a pixel, and the areas that such parts are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidsr.frames import Array, Floats

#: Half the taps of the windowed sinc (Lanczos, a = 4): flat to 0.02 dB up to half the highest frequency, where cubic
#: interpolation has lost 1 dB.
_REACH = 4


@dataclass(frozen=True, slots=True)
class Area:
    """Half-open ranges of columns and rows."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def rows(self) -> slice:
        """Its rows, as an index."""
        return slice(self.top, self.bottom)

    @property
    def columns(self) -> slice:
        """Its columns, as an index."""
        return slice(self.left, self.right)

    @property
    def is_empty(self) -> bool:
        """Whether no pixel is in it."""
        return self.left >= self.right or self.top >= self.bottom

    def common(self, other: Area) -> Area:
        """What lies in both."""
        return Area(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )

    def grown(self, by: int) -> Area:
        """The area and what is no further than ``by`` px from it."""
        return Area(self.left - by, self.top - by, self.right + by, self.bottom + by)

    def within(self, other: Area) -> Area:
        """The same area in the coordinates of ``other``."""
        return Area(self.left - other.left, self.top - other.top, self.right - other.left, self.bottom - other.top)

    def missing(self, width: int, height: int) -> tuple[Area, ...]:
        """The strips of a picture at whose edges this area ends."""
        strips = (
            Area(0, 0, self.left, height),
            Area(self.right, 0, width, height),
            Area(0, 0, width, self.top),
            Area(0, self.bottom, width, height),
        )
        return tuple(strip for strip in strips if not strip.is_empty)


def covered(width: int, height: int, x: float, y: float) -> Area:
    """The part of a picture moved right by ``x`` and down by ``y`` px that has samples of its own."""
    left, top = max(0, int(np.ceil(x))), max(0, int(np.ceil(y)))
    right, bottom = min(width, int(np.floor(width - 1 + x)) + 1), min(height, int(np.floor(height - 1 + y)) + 1)
    return Area(left, top, max(left, right), max(top, bottom))


def moved_area(plane: Array, x: float, y: float, area: Area) -> Floats:
    """``area`` of ``plane`` moved right by ``x`` and down by ``y`` px; beyond its edges the plane repeats them."""
    rows, down = _taps(area.top, area.bottom, y, plane.shape[0])
    columns, across = _taps(area.left, area.right, x, plane.shape[1])
    part = plane[np.ix_(rows, columns)].astype(np.float32)
    height, width = area.bottom - area.top, area.right - area.left
    wide = np.zeros((height, part.shape[1]), np.float32)
    for number, tap in enumerate(down):
        wide += tap * part[number : number + height]
    out = np.zeros((height, width), np.float32)
    for number, tap in enumerate(across):
        out += tap * wide[:, number : number + width]
    return out


def _taps(first: int, stop: int, distance: float, length: int) -> tuple[npt.NDArray[np.int_], list[np.float32]]:
    """The samples that places ``first`` to ``stop`` are made from, clamped to the plane, and the weights."""
    whole = int(np.floor(-distance))
    part = -distance - whole
    if part == 0:
        return np.clip(np.arange(first + whole, stop + whole), 0, length - 1), [np.float32(1)]
    at = np.arange(1 - _REACH, _REACH + 1) - part
    weights = np.sinc(at) * np.sinc(at / _REACH)
    places = np.arange(first + whole + 1 - _REACH, stop + whole + _REACH)
    return np.clip(places, 0, length - 1), [np.float32(w) for w in weights / weights.sum()]
