"""Places that only one frame has, as connected regions, and what these cover.

Single pixels say little about whether they are of a speck or of something that moves; regions are measured as a whole
(:mod:`vidsr.filters.film.speck_measures`) and judged by a small network (:mod:`vidsr.filters.film.speck_network`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidsr.frames import Floats

Indices = npt.NDArray[np.int64]
#: Pixels this close belong to one region.
_JOINED_PX = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenAround:
    """The lumas of a frame and of its neighbours carried onto it, ``[1, 1, h, w]`` each, and how they were carried.

    ``flows`` holds, for the frame before and the one after, the flow onto it and the flow from it back onto this one.
    ``far`` holds, for each side that has one, the flow onto the neighbour, that from there onto the frame beyond
    (``[1, 2, h, w]`` each), and the luma of that frame.
    """

    own: Tensor
    before: Tensor
    after: Tensor
    flows: Sequence[tuple[Tensor, Tensor]]
    far: Sequence[tuple[Tensor, Tensor, Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Regions:
    """Pixels that differ from both neighbours: where, in which of ``count`` regions, and by how much, with its sign."""

    y: Indices
    x: Indices
    region: Indices
    beyond: Floats
    count: int

    @property
    def sizes(self) -> Indices:
        """The pixels of each region."""
        return np.asarray(np.bincount(self.region, minlength=self.count))

    def mean(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """The mean of a value per pixel over each region."""
        return np.asarray(np.bincount(self.region, values, self.count) / self.sizes)

    def highest(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """The highest of a value per pixel in each region."""
        most = np.full(self.count, -np.inf)
        np.maximum.at(most, self.region, values)
        return most

    def of(self, chosen: npt.NDArray[np.bool_]) -> Regions:
        """The regions that are ``chosen``, numbered anew."""
        inside = chosen[self.region]
        number = np.cumsum(chosen) - 1
        return Regions(
            y=self.y[inside],
            x=self.x[inside],
            region=number[self.region[inside]],
            beyond=self.beyond[inside],
            count=int(chosen.sum()),
        )


def regions_of(near: Tensor, seen: SeenAround, limit: float, agree: float, peak: float) -> Regions:
    """The regions of pixels that lie beyond both neighbours by more than ``limit``, on the same side, where those
    differ by less than the share ``agree`` of that; and somewhere in each region by more than ``peak``.

    ``near`` ``[1, 1, h, w]`` is 1 at such pixels at least.
    """
    y, x = np.nonzero(near[0, 0].numpy())
    own, before, after = (p[0, 0].numpy()[y, x] for p in (seen.own, seen.before, seen.after))
    past, future = own - before, own - after
    least = np.minimum(np.abs(past), np.abs(future))
    inside = (least > limit) & (past * future > 0) & (np.abs(before - after) < agree * least)
    y, x, beyond = y[inside], x[inside], (least * np.sign(past))[inside]
    region, count = _joined(y, x, beyond > 0, (near.shape[2], near.shape[3]))
    found = Regions(y=y, x=x, region=region, beyond=beyond, count=count)
    return found.of(found.highest(np.abs(beyond)) > peak)


def _joined(y: Indices, x: Indices, bright: npt.NDArray[np.bool_], size: tuple[int, int]) -> tuple[Indices, int]:
    """The number of each pixel's region, and how many there are. Bright and dark pixels are never of one region."""
    edge = _JOINED_PX
    place = np.full((size[0] + 2 * edge, size[1] + 2 * edge), -1, np.int64)
    place[y + edge, x + edge] = np.arange(len(y))
    ones, others = [], []
    for down in range(edge + 1):
        for right in range(-edge if down else 1, edge + 1):
            other = place[y + edge + down, x + edge + right]
            linked = np.flatnonzero((other >= 0) & (bright[other] == bright))
            ones.append(linked)
            others.append(other[linked])
    one, two = np.concatenate(ones), np.concatenate(others)
    lowest = np.arange(len(y))
    while True:
        a, b = lowest[one], lowest[two]
        if np.array_equal(a, b):
            break
        np.minimum.at(lowest, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(jumped := lowest[lowest], lowest):
            lowest = jumped
    _, region = np.unique(lowest, return_inverse=True)
    return region, int(region.max(initial=-1)) + 1


def cover(found: Regions, seen: SeenAround, reach: int, noise: float) -> Tensor:
    """``[1, 1, h, w]``, 0 to 1: how much of each pixel the regions cover.

    All of their own pixels; and within ``reach`` px of these, as a soft edge, those that differ from the mean of the
    neighbours to the same side by more than ``noise``, in full from three times that.
    """
    height, width = seen.own.shape[-2:]
    made = np.zeros((height, width), np.float32)
    more = ((seen.own - (seen.before + seen.after) / 2) / (2 * noise))[0, 0].numpy()
    sign = np.sign(found.beyond)
    for down in range(-reach, reach + 1):
        rows = found.y + down
        for right in range(-reach, reach + 1):
            columns = found.x + right
            inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
            at = rows[inside], columns[inside]
            made[at] = np.maximum(made[at], np.clip(more[at] * sign[inside] - 0.5, 0, 1))
    made[found.y, found.x] = 1
    return torch.from_numpy(made)[None, None]
