"""Deblocking: steps on the 8×8 grid of block codecs smoothed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from vidsr.filters.before.descriptor import FilterDescriptor, StillForm, StillPart, parse_share, write_number
from vidsr.filters.before.filter import quantised, scale8, with_planes
from vidsr.filters.detect.inspection import BLOCKY
from vidsr.frames import Frame, Plane
from vidsr.native import block_kernels

DEFAULT_STRENGTH = 0.5
#: The largest step taken for a block edge at strength 1, in 8-bit code values.
LARGEST_STEP = 24
#: Blocking (see :func:`vidsr.filters.detect.statistics.blocking`) above which a still picture should be deblocked.
_BLOCKY_STILL = 0.35


class Deblock:
    """Smooths the steps on the 8×8 grid of block codecs, where both sides are flat and the step is small.

    Args:
        strength: 0 to 1; the largest step that is taken for a block edge, in shares of :data:`LARGEST_STEP`.
    """

    name = "deblock"
    lookaround = (0, 0)

    def __init__(self, strength: float = DEFAULT_STRENGTH) -> None:
        self.strength = strength

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            limit = LARGEST_STEP * self.strength * scale8(frame)
            planes = []
            for number, plane in enumerate(frame.planes):
                if frame.format.alpha and number == frame.format.plane_count - 1:
                    planes.append(plane)
                    continue
                made = block_kernels.smoothed(plane, limit, frame.format.max_code)
                planes.append(_smoothed(plane, limit, frame) if made is None else made)
            yield with_planes(frame, planes)


def _smoothed(plane: Plane, limit: float, frame: Frame) -> Plane:
    """A plane of ``frame`` with its steps smoothed across and down."""
    values = smooth_edges(plane.astype(np.float32), limit)
    return quantised(smooth_edges(values.T, limit).T, frame)


def smooth_edges(values: npt.NDArray[np.float32], limit: float, first: int = 0) -> npt.NDArray[np.float32]:
    """Spread each small step between columns 8n-1 and 8n over the four columns around it.

    ``limit`` is the largest step that is smoothed; it and ``values`` are code values. ``first`` is the first column
    that is on the grid, 0 to 7.
    """
    edges = np.arange(first if first >= 2 else first + 8, values.shape[1] - 2, 8)
    if not len(edges):
        return values
    far_left, left, right, far_right = (values[:, edges + d] for d in (-2, -1, 0, 1))
    step = right - left
    # A true edge goes on beyond the grid line, or is higher than what quantising leaves.
    flat = np.maximum(np.abs(left - far_left), np.abs(far_right - right))
    weight = np.clip(1 - np.abs(step) / limit, 0, 1) * np.clip(1 - flat / (0.5 * np.abs(step) + 0.25), 0, 1)
    change = step * weight
    result = values.copy()
    for offset, share in ((-2, 0.125), (-1, 0.375), (0, -0.375), (1, -0.125)):
        result[:, edges + offset] += share * change
    return result


def _still(picture: npt.NDArray[Any], strength: float | None, part: StillPart) -> npt.NDArray[Any]:
    """The same on the grid of the whole picture, whatever part of it this is."""
    limit = LARGEST_STEP * (strength or DEFAULT_STRENGTH)
    planes = []
    for plane in np.moveaxis(picture * np.float32(255), 2, 0):
        across = smooth_edges(plane, limit, -part.origin[0] % 8)
        planes.append(smooth_edges(across.T, limit, -part.origin[1] % 8).T)
    return np.dstack(planes) / np.float32(255)


FILTER: FilterDescriptor[float] = FilterDescriptor(
    name="deblock",
    help="smooths small steps on the 8×8 grid of block codecs",
    syntax="0..1",
    parse=parse_share,
    write=write_number,
    make=lambda strength: Deblock(strength or DEFAULT_STRENGTH),
    recommended=lambda found: found.blocking > BLOCKY,
    still=StillForm(apply=_still, recommended=lambda seen: seen.blocking > _BLOCKY_STILL),
)
