"""Places that only one frame has, as connected regions: which of them are specks, and which are things that move?

Single pixels say little. A speck lies in front of a picture that goes on behind it: around it the frames before and
after agree with each other, so do those two frames away, and it is brighter, or darker, than anything that the
neighbours show nearby. Where motion cannot be followed, the light at a place has no such single peak (five frames
against that: Corrigan, Harte and Kokaram, "Pathological motion detection for robust missing data treatment", EURASIP J.
Adv. Signal Process. 2008).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.filters.resample import separable
from vidsr.frames import Floats

Indices = npt.NDArray[np.int64]
#: Pixels this close belong to one region.
_JOINED_PX = 2
#: Pixels around a region in which the frame must fit its neighbours, and these each other.
_AROUND_PX = 8
#: Most that counts as grain.
_MOST_GRAIN = 5 / 255
#: Least depth of a region that its surroundings are compared with.
_LEAST_DEPTH = 4 / 255
#: What the features, in the order of :func:`features`, say for a speck; and what is said for it beforehand. Fitted by
#: logistic regression to the regions of ``benchmarks.quality.dirt --tuning``.
_SPEAKS, _BEFOREHAND = np.array([-5.5, -1.3, -3.4, 1.8]), 0.2
#: How far from a region something may have come: so many px, and so many times the root of its area.
_BESIDE_PX, _BESIDE = 8, 2.0
#: Most of a region's depth; and the area from which half of depth and area are enough.
_MOST_DEPTH, _LARGE_PX = 0.8, 200
#: Features beyond these say no more.
_LIMIT = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenAround:
    """The lumas of a frame and of its neighbours carried onto it, ``[1, 1, h, w]`` each, and how they were carried.

    ``far`` holds, for each side that has one, the flow onto the neighbour, that from there onto the frame beyond
    (``[1, 2, h, w]`` each), and the luma of that frame.
    """

    own: Tensor
    before: Tensor
    after: Tensor
    far: Sequence[tuple[Tensor, Tensor, Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Regions:
    """Pixels that differ from both neighbours: where, in which of ``count`` regions, and by how much, with its sign."""

    y: Indices
    x: Indices
    region: Indices
    beyond: Floats
    count: int

    def mean(self, values: Floats) -> npt.NDArray[np.float64]:
        """The mean of a value per pixel over each region."""
        sizes = np.bincount(self.region, minlength=self.count)
        return np.asarray(np.bincount(self.region, values, self.count) / sizes)

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
    most = np.zeros(count, np.float32)
    np.maximum.at(most, region, np.abs(beyond))
    return found.of(most > peak)


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


def features(found: Regions, near: Tensor, seen: SeenAround) -> npt.NDArray[np.float64]:
    """``[regions, 4]``, each as a share of what the region is beyond its neighbours: how far these differ from each
    other around it; how far the frame differs from them there, less the picture's usual difference, which is grain; how
    far frames two away differ from their mean inside; and how far it lies outside of what they show within 1 px.

    ``near`` ``[1, 1, h, w]`` is 1 at and around all pixels beyond their neighbours, which do not count as surroundings.
    """
    depth = np.maximum(found.mean(np.abs(found.beyond)), _LEAST_DEPTH)
    differ = (seen.before - seen.after).abs()
    misfit = (seen.own - seen.before).abs().maximum((seen.own - seen.after).abs())
    disagreement, apart = _around(found, near, differ, misfit)
    columns = (disagreement, apart - _usual(misfit), _far_off(found, seen), _outside(found, seen))
    return np.clip(np.stack(columns, 1) / depth[:, None], -_LIMIT, _LIMIT)


def are_specks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Whether :func:`features` are those of specks, for each region."""
    return np.asarray(values @ _SPEAKS + _BEFOREHAND > 0)


def _usual(difference: Tensor) -> float:
    """The median difference, but not what is more than grain: then all of the picture moves."""
    return float(difference[..., ::3, ::3].median().clamp(max=_MOST_GRAIN))


def _around(found: Regions, near: Tensor, *values: Tensor) -> list[npt.NDArray[np.float64]]:
    """The means of ``values`` around each region, for each of them."""
    taps = [1 / (2 * _AROUND_PX + 1)] * (2 * _AROUND_PX + 1)
    free = 1 - near
    stack = torch.cat((*(value * free for value in values), free), 1)
    sums = separable(F.pad(stack, (_AROUND_PX,) * 4), taps, taps)[0].numpy()
    at = sums[:, found.y + _AROUND_PX, found.x + _AROUND_PX]
    *means, share = (np.bincount(found.region, row, found.count) for row in at)
    return [mean / np.maximum(share, 1e-3) for mean in means]


def _far_off(found: Regions, seen: SeenAround) -> npt.NDArray[np.float64]:
    """By how much the worse of the frames two away differs from the mean of the neighbours."""
    worst = np.zeros(found.count)
    mean = (seen.before[0, 0].numpy()[found.y, found.x] + seen.after[0, 0].numpy()[found.y, found.x]) / 2
    for flow, beyond, picture in seen.far:
        first = flow[0].numpy()[:, found.y, found.x]
        y, x = found.y + first[1], found.x + first[0]
        second = sampled(beyond, y, x)
        value = sampled(picture, y + second[1], x + second[0])[0]
        worst = np.maximum(worst, found.mean(np.abs(value - mean)))
    return worst


def sampled(picture: Tensor, y: Floats, x: Floats) -> Floats:
    """``picture`` ``[1, C, h, w]`` at these places in pixels, bicubically: ``[C, places]``. Borders repeat."""
    height, width = picture.shape[-2:]
    places = np.stack((x * (2 / max(width - 1, 1)) - 1, y * (2 / max(height - 1, 1)) - 1), -1).astype(np.float32)
    grid = torch.from_numpy(places)[None, None]
    found = F.grid_sample(picture, grid, mode="bicubic", padding_mode="border", align_corners=True)
    return np.asarray(found[0, :, 0].numpy(), np.float32)


def _outside(found: Regions, seen: SeenAround) -> npt.NDArray[np.float64]:
    """By how much, at most, a pixel of each region is brighter (darker) than all that the neighbours show within 1 px.

    A texture whose motion is measured a pixel wrong stays within that range (the rank order detector: Nadenau and
    Mitra, "Blotch and scratch detection in image sequences based on rank ordered differences", 1997).
    """
    sign = np.sign(found.beyond)
    height, width = seen.own.shape[-2:]
    highest = np.full(len(sign), -np.inf, np.float32)
    for picture in (seen.before[0, 0].numpy(), seen.after[0, 0].numpy()):
        for down in (-1, 0, 1):
            rows = np.clip(found.y + down, 0, height - 1)
            for right in (-1, 0, 1):
                columns = np.clip(found.x + right, 0, width - 1)
                highest = np.maximum(highest, picture[rows, columns] * sign)
    most = np.full(found.count, -np.inf)
    np.maximum.at(most, found.region, seen.own[0, 0].numpy()[found.y, found.x] * sign - highest)
    return most


def have_moved(found: Regions, seen: SeenAround) -> npt.NDArray[np.bool_]:
    """Whether what each region shows was beside it before and is beside it after.

    Where a hand is only in this frame, the frames before and after show it at other places, at which this one does not.
    Nothing leaves such places for a speck, but other specks may lie there; so as much as the region's area must have
    left them, by most of its depth. Of large regions half is enough.
    """
    sizes = np.bincount(found.region, minlength=found.count)
    depth = found.mean(found.beyond)
    reach = np.ceil(_BESIDE_PX + _BESIDE * np.sqrt(sizes)).astype(np.int64)
    top, left = (_least(side, found) - reach for side in (found.y, found.x))
    bottom, right = (reach - _least(-side, found) + 1 for side in (found.y, found.x))
    gone = [(other - seen.own)[0, 0].numpy() for other in (seen.before, seen.after)]
    moved = np.zeros(found.count, np.bool_)
    for n in range(found.count):
        part = slice(max(0, top[n]), bottom[n]), slice(max(0, left[n]), right[n])
        changes = [change[part] * (np.sign(depth[n]) / abs(depth[n])) for change in gone]
        moved[n] = min(np.count_nonzero(change > _MOST_DEPTH) for change in changes) >= sizes[n]
        if sizes[n] >= _LARGE_PX:
            moved[n] |= min(np.count_nonzero(change > 0.5) for change in changes) >= sizes[n] / 2
    return moved


def _least(side: Indices, found: Regions) -> Indices:
    """The lowest of ``side`` in each region."""
    lowest = np.full(found.count, np.iinfo(np.int64).max)
    np.minimum.at(lowest, found.region, side)
    return lowest


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
