"""Measures of regions that only one frame has, by which specks are told from things that move.

A speck lies in front of a picture that goes on behind it: around it the frames before and after agree with each other
and with this one, the frames two away show behind it what those do, and it is brighter, or darker, than anything that
the neighbours show nearby. Where motion cannot be followed, the light at a place has no such single peak (five frames
against that: Corrigan, Harte and Kokaram, "Pathological motion detection for robust missing data treatment", EURASIP J.
Adv. Signal Process. 2008); there are faults of both signs beside each other, the motion on one side is not that on the
other, and what is here now was beside this place before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.filters.flow import halved
from vidsr.filters.resample import separable
from vidsr.frames import Floats

if TYPE_CHECKING:
    from vidsr.filters.film.specks import Indices, Regions, SeenAround

RegionValues = npt.NDArray[np.float64]
#: What each column of :func:`measures` holds.
NAMES = (
    *("differ near", "misfit near", "differ around", "misfit around", "differ inside", "far, better", "far, worse"),
    *("outside 1 px", "outside 1 px, mean", "outside 2 px", "texture of the frame", "texture behind"),
    *("other sign beside", "same sign beside", "moved", "moved, faint", "area", "depth", "peak", "grain"),
    *("speed", "acceleration", "not returned", "compact"),
)
#: Pixels at half the size around a region: near it, around it, and as far as other faults count as beside it.
_NEAR, _AROUND, _BESIDE = 2, 4, 6
#: Least depth that a region is compared by, and least that counts as a fault beside it.
_LEAST_DEPTH, _FAINT = 4 / 255, 7 / 255
#: Of its depth, what a region must lie outside of all that the neighbours show within 1 px.
_LEAST_OUTSIDE = 0.3
#: Most that counts as grain.
_MOST_GRAIN = 5 / 255
#: How far from a region something may have come: so many px, and so many times the root of its area.
_FROM_PX, _FROM = 8, 2.0
#: Most of a region's depth, and half of it.
_MOST, _HALF = 0.8, 0.5
#: Shares beyond this say no more.
_LIMIT = 3.0


def measures(found: Regions, near: Tensor, seen: SeenAround) -> RegionValues:
    """``[regions, len(NAMES)]``. Differences are shares of what the region is beyond its neighbours; those of the frame
    from its neighbours are less by the picture's usual difference, which is grain. Areas beside the region are shares
    of its own area. Areas, depths, motion in px and shares of areas are taken as logarithms.

    ``near`` ``[1, 1, h, w]`` is 1 at and around all pixels beyond their neighbours, which do not count as surroundings.
    """
    depth = np.maximum(found.mean(np.abs(found.beyond)), _LEAST_DEPTH)
    misfit = (seen.own - seen.before).abs().maximum((seen.own - seen.after).abs())
    grain = _usual(misfit)
    around = _around(found, near, seen, misfit)
    shares = (
        *(around["differ near"], around["misfit near"] - grain, around["differ"], around["misfit"] - grain),
        found.mean(_at((seen.before - seen.after).abs(), found)),
        *_far_off(found, seen),
        *_outside(found, seen),
        *(around["own texture"], around["texture behind"]),
    )
    peak = found.highest(np.abs(found.beyond))
    others = (
        *(np.log1p(around["other sign"] / found.sizes), np.log1p(around["same sign"] / found.sizes)),
        *(np.minimum(share, _LIMIT) for share in moved_shares(found, seen)),
        *(np.log(found.sizes), np.log(depth * 255), np.log(peak * 255), np.minimum(grain / depth, _LIMIT)),
        *(np.log1p(motion) for motion in _motion(found, seen)),
        _compact(found),
    )
    return np.stack((*(np.clip(share / depth, -_LIMIT, _LIMIT) for share in shares), *others), 1)


def stand_out(found: Regions, seen: SeenAround) -> npt.NDArray[np.bool_]:
    """Whether a part of each region lies far enough outside of what the neighbours show within 1 px to be a speck at
    all. It spares most of the regions of quick textures the other measures."""
    outside = found.highest(_beyond_all(found, seen, 1))
    return np.asarray(outside > _LEAST_OUTSIDE * np.maximum(found.mean(np.abs(found.beyond)), _LEAST_DEPTH))


def _at(picture: Tensor, found: Regions) -> Floats:
    """``picture`` ``[1, 1, h, w]`` at each pixel of the regions."""
    return np.asarray(picture[0, 0].numpy()[found.y, found.x])


def _usual(difference: Tensor) -> float:
    """The median difference, but not what is more than grain: then all of the picture moves."""
    return float(difference[..., ::3, ::3].median().clamp(max=_MOST_GRAIN))


def _around(found: Regions, near: Tensor, seen: SeenAround, misfit: Tensor) -> dict[str, RegionValues]:
    """Means around each region of what no fault is near to, and pixels with faults of either sign beside it.

    At half the size: a quarter of the work.
    """
    free, own = 1 - near, seen.own
    mean = (seen.before + seen.after) / 2
    past, future = own - seen.before, own - seen.after
    beyond = past.abs().minimum(future.abs()) * (past * future > 0)
    faults = [((beyond > _FAINT) & side).float() for side in (past > 0, past < 0)]
    planes = (free, (seen.before - seen.after).abs() * free, misfit * free, own * free, own * own * free)
    small = torch.cat([halved(plane) for plane in (*planes, mean, mean * mean, *faults)], 1)
    near_share, differ_near, misfit_near = _sums(small[:, :3], _NEAR, found)
    share, differ, misfits, owns, squares, behind, behind_squares = _sums(small[:, :7], _AROUND, found)
    bright, dark = _sums(small[:, 7:], _BESIDE, found) * (4 * (2 * _BESIDE + 1) ** 2)
    share, near_share = np.maximum(share, 1e-3), np.maximum(near_share, 1e-3)
    is_bright = found.mean(found.beyond) > 0
    return {
        "differ near": differ_near / near_share,
        "misfit near": misfit_near / near_share,
        "differ": differ / share,
        "misfit": misfits / share,
        "own texture": _deviation(owns / share, squares / share),
        "texture behind": _deviation(behind, behind_squares),
        "same sign": np.where(is_bright, bright, dark),
        "other sign": np.where(is_bright, dark, bright),
    }


def _sums(small: Tensor, reach: int, found: Regions) -> RegionValues:
    """``[N, regions]``: the means of planes ``[1, N, h/2, w/2]`` within ``reach`` px each way, averaged over regions.

    Zeros lie beyond the borders.
    """
    taps = [1 / (2 * reach + 1)] * (2 * reach + 1)
    means = separable(F.pad(small, (reach,) * 4), taps, taps)[0].numpy()
    at = means[:, found.y // 2 + reach, found.x // 2 + reach]
    return np.stack([found.mean(row) for row in at])


def _deviation(mean: RegionValues, square: RegionValues) -> RegionValues:
    return np.asarray(np.sqrt(np.maximum(square - mean * mean, 0)))


def _far_off(found: Regions, seen: SeenAround) -> tuple[RegionValues, RegionValues]:
    """By how much the frames two away differ from the mean of the neighbours: the better one, and the worse."""
    mean = _at((seen.before + seen.after) / 2, found)
    off = []
    for flow, beyond, picture in seen.far:
        y, x = _followed(found, flow)
        second = sampled(beyond, y, x)
        value = sampled(picture, y + second[1], x + second[0])[0]
        off.append(found.mean(np.abs(value - mean)))
    return (np.min(off, 0), np.max(off, 0)) if off else (np.zeros(found.count), np.zeros(found.count))


def _followed(found: Regions, flow: Tensor) -> tuple[Floats, Floats]:
    """Where a flow takes each pixel of the regions: y and x."""
    step = flow[0].numpy()[:, found.y, found.x]
    return found.y + step[1], found.x + step[0]


def sampled(picture: Tensor, y: Floats, x: Floats) -> Floats:
    """``picture`` ``[1, C, h, w]`` at these places in pixels, bicubically: ``[C, places]``. Borders repeat."""
    height, width = picture.shape[-2:]
    places = np.stack((x * (2 / max(width - 1, 1)) - 1, y * (2 / max(height - 1, 1)) - 1), -1).astype(np.float32)
    grid = torch.from_numpy(places)[None, None]
    found = F.grid_sample(picture, grid, mode="bicubic", padding_mode="border", align_corners=True)
    return np.asarray(found[0, :, 0].numpy(), np.float32)


def _outside(found: Regions, seen: SeenAround) -> tuple[RegionValues, RegionValues, RegionValues]:
    """By how much a pixel of each region lies outside of all that the neighbours show within 1 px: at most and on
    average; and at most within 2 px."""
    one = _beyond_all(found, seen, 1)
    return found.highest(one), found.mean(one), found.highest(_beyond_all(found, seen, 2))


def _beyond_all(found: Regions, seen: SeenAround, reach: int) -> Floats:
    """By how much each pixel is brighter (darker) than all that the neighbours show within ``reach`` px.

    A texture whose motion is measured a pixel wrong stays within that range (the rank order detector: Nadenau and
    Mitra, "Blotch and scratch detection in image sequences based on rank ordered differences", 1997).
    """
    sign = np.sign(found.beyond)
    height, width = seen.own.shape[-2:]
    highest = np.full(len(sign), -np.inf, np.float32)
    pictures = [picture[0, 0].numpy() for picture in (seen.before, seen.after)]
    for down in range(-reach, reach + 1):
        rows = np.clip(found.y + down, 0, height - 1)
        for right in range(-reach, reach + 1):
            columns = np.clip(found.x + right, 0, width - 1)
            for picture in pictures:
                np.maximum(highest, picture[rows, columns] * sign, out=highest)
    return np.asarray(_at(seen.own, found) * sign - highest, np.float32)


def moved_shares(found: Regions, seen: SeenAround) -> tuple[RegionValues, RegionValues]:
    """How much of each region was beside it before, and is beside it after: the lesser area as a share of its own, by
    most of its depth, and by half.

    Where a hand is only in this frame, the frames before and after show it at other places, at which this one does not.
    Nothing leaves such places for a speck, but other specks may lie there.
    """
    depth = found.mean(found.beyond)
    reach = np.ceil(_FROM_PX + _FROM * np.sqrt(found.sizes)).astype(np.int64)
    top, left = (_least(side, found) - reach for side in (found.y, found.x))
    bottom, right = (reach - _least(-side, found) + 1 for side in (found.y, found.x))
    gone = torch.cat((seen.before - seen.own, seen.after - seen.own), 1)[0].numpy()
    signed = {1: gone, -1: -gone}
    deep = np.abs(depth)
    most, half = np.zeros(found.count), np.zeros(found.count)
    for n, sign in enumerate(np.sign(depth)):
        before, after = signed[sign][:, max(0, top[n]) : bottom[n], max(0, left[n]) : right[n]]
        most[n] = min(np.count_nonzero(side > _MOST * deep[n]) for side in (before, after))
        half[n] = min(np.count_nonzero(side > _HALF * deep[n]) for side in (before, after))
    return most / found.sizes, half / found.sizes


def _least(side: Indices, found: Regions) -> Indices:
    """The lowest of ``side`` in each region."""
    lowest = np.full(found.count, np.iinfo(np.int64).max)
    np.minimum.at(lowest, found.region, side)
    return lowest


def _motion(found: Regions, seen: SeenAround) -> tuple[RegionValues, RegionValues, RegionValues]:
    """Of the flows onto both neighbours, px: their mean length, the length of their sum, and how far from its place a
    pixel comes back, at worst, if the flow from there is followed."""
    steps = [flow[0].numpy()[:, found.y, found.x] for flow, _ in seen.flows]
    speed = sum(np.hypot(*step) for step in steps) / 2
    missed = []
    for (flow, back), step in zip(seen.flows, steps, strict=True):
        missed.append(found.mean(np.hypot(*(sampled(back, *_followed(found, flow)) + step))))
    return found.mean(speed), found.mean(np.hypot(*(steps[0] + steps[1]))), np.max(missed, 0)


def _compact(found: Regions) -> RegionValues:
    """The share of its bounding box that each region fills."""
    sides = [1 - _least(-side, found) - _least(side, found) for side in (found.y, found.x)]
    return np.asarray(found.sizes / (sides[0] * sides[1]))
