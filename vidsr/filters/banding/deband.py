"""Debanding: the steps that coarse quantising left in smooth areas spread into the gradients that they stand for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vidsr.filters.before.descriptor import FilterDescriptor, StillForm, StillPart, write_number
from vidsr.filters.before.filter import DEEP, deep_plane, scale8
from vidsr.filters.detect.inspection import BANDED, Inspection
from vidsr.frames import Floats, Frame, Plane
from vidsr.native import band_kernels

#: Step that is taken for one between bands if none is given, and the largest; 8-bit code values.
_DEFAULT_STEP, _LARGEST_STEP = 2.0, 32.0
#: How far to look along rows and columns, and along diagonals; samples.
STRAIGHT_REACH, SLANTING_REACH = 32, 23
#: Pairs of neighbours without which a direction has no say.
FEWEST_PAIRS = 2
#: Side of the surroundings that say whether a place is even, and the share of changing samples in them up to which it
#: is smoothed in full, and from which on it is texture.
_AROUND, _EVEN, _TEXTURE = 9, 0.5, 0.8
#: Both samples of a pair and the directions along which pairs lie, as (rows, columns).
_DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))


class Deband:
    """Moves each sample towards the gradient around it, by less than half the height of a step.

    So quantising the result again gives back the source. Edges, lines and texture stay as they are. Frames leave with
    16 bits, which hold the gradients; what goes into the network is made of these, and its result is dithered.

    Args:
        step: the largest step that is taken for one between bands, in 8-bit code values.
    """

    name = "deband"
    lookaround = (0, 0)

    def __init__(self, step: float = _DEFAULT_STEP) -> None:
        self.step = step

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            limit = max(1, round(self.step * scale8(frame)))
            planes = []
            for number, plane in enumerate(frame.planes):
                values = plane.astype(np.float32)
                if not (frame.format.alpha and number == frame.format.plane_count - 1):
                    values += changes(plane, limit)
                planes.append(deep_plane(values, frame, number))
            yield replace(frame, planes=tuple(planes), format=frame.format.with_depth(DEEP))


def changes(plane: Plane, limit: int) -> Floats:
    """What to add to each sample of ``plane`` ``[h, w]``, code values; always less than half of ``limit``."""
    values = np.ascontiguousarray(plane, np.float32)
    made = band_kernels.corrections(values, limit, STRAIGHT_REACH, SLANTING_REACH, FEWEST_PAIRS)
    return (corrections(values, limit) if made is None else made) * _evenness(plane)


def corrections(values: Floats, limit: int) -> Floats:
    """By how much the surroundings of each sample lie above it, as far as they are a gradient in steps of ``limit``.

    Along four directions, pairs of samples at equal distances to both sides are added up, from the nearest on, as long
    as neither departs by more than ``limit`` and they do not lie on the same side: thin lines and specks end that at
    once. In a linear gradient the mean of such pairs is the gradient's own value. Directions count by the share of
    samples that differ: along a band nothing is seen.
    """
    total, weight = np.zeros_like(values), np.zeros_like(values)
    for rows, columns in _DIRECTIONS:
        alive = np.ones(values.shape, np.bool_)
        sums, pairs, differing = np.zeros_like(values), np.zeros_like(values), np.zeros_like(values)
        for distance in range(1, (SLANTING_REACH if rows and columns else STRAIGHT_REACH) + 1):
            one = _shifted(values, -distance * rows, -distance * columns) - values
            other = _shifted(values, distance * rows, distance * columns) - values
            largest = np.maximum(np.abs(one), np.abs(other))
            alive &= (largest <= limit) & (np.abs(one + other) <= largest)
            if not alive.any():
                break
            sums += np.where(alive, one + other, 0)
            pairs += alive
            differing += np.where(alive, (one != 0).astype(np.float32) + (other != 0), 0)
        share = np.where(pairs >= FEWEST_PAIRS, differing / np.maximum(2 * pairs, 1), 0)
        total += share * (sums / (2 * pairs + 1))
        weight += share
    return np.asarray(total / np.where(weight > 0, weight, 1), np.float32)


def _shifted(values: Floats, rows: int, columns: int) -> Floats:
    """``values`` from so many rows below and columns to the right; beyond the picture, infinity."""
    height, width = values.shape
    made = np.full_like(values, np.inf)
    if abs(rows) < height and abs(columns) < width:
        made[max(0, -rows) : height - max(0, rows), max(0, -columns) : width - max(0, columns)] = values[
            max(0, rows) : height + min(0, rows), max(0, columns) : width + min(0, columns)
        ]
    return made


def _evenness(plane: Plane) -> Floats:
    """1 where most neighbours are equal, 0 in texture, ``[h, w]``."""
    changing = np.zeros(plane.shape, np.int32)
    changing[:, :-1] = plane[:, 1:] != plane[:, :-1]
    changing[:-1] |= plane[1:] != plane[:-1]
    half = _AROUND // 2
    padded = np.pad(changing, ((half + 1, half), (half + 1, half)), mode="edge")
    sums = padded.cumsum(0).cumsum(1)
    inside = sums[_AROUND:, _AROUND:] - sums[:-_AROUND, _AROUND:] - sums[_AROUND:, :-_AROUND]
    share = (inside + sums[:-_AROUND, :-_AROUND]).astype(np.float32) / _AROUND**2
    return np.asarray(((_TEXTURE - share) / (_TEXTURE - _EVEN)).clip(0, 1), np.float32)


def _parse(text: str) -> float:
    try:
        step = float(text)
    except ValueError:
        step = math.nan
    if not 0 < step <= _LARGEST_STEP:
        raise ValueError(
            f"give the step between bands in 8-bit code values, up to {_LARGEST_STEP:g}, for example deband=4"
        )
    return step


def _find(found: Inspection) -> float | None:
    return found.banding or None


def _still(picture: npt.NDArray[Any], step: float | None, part: StillPart) -> npt.NDArray[Any]:
    """A part of a picture; at its borders less is known of the gradient."""
    codes = np.rint(picture * np.float32(65535))  # whole numbers, whatever the depth it was stored with
    limit = max(1, round((step or _DEFAULT_STEP) * 257))
    planes = [plane + changes(plane, limit) for plane in np.moveaxis(codes, 2, 0)]
    return np.dstack(planes) / np.float32(65535)


FILTER: FilterDescriptor[float] = FilterDescriptor(
    name="deband",
    help="spreads the steps between bands of coarse quantising into gradients",
    syntax="STEP",
    parse=_parse,
    write=write_number,
    make=lambda step: Deband(step or _DEFAULT_STEP),
    find=_find,
    absent="no bands were found; give the step between them in 8-bit code values, for example deband=4",
    recommended=lambda found: found.banding > BANDED,
    still=StillForm(apply=_still, recommended=lambda seen: False),
)
