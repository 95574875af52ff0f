"""Whether frames that a rhythm claims to be repeats move on with the scene: then they are new pictures.

Motion that slows down in every third frame changes the picture there hardly more than compression changes a repeat, so
the size of the change cannot separate the two. Its direction can: a slow frame goes on along the motion of the frames
around it. What else changes a repeat (weave of the transfer's gate, grain, compression) has another direction each
time.

Motion is estimated by least squares on gradients (Lucas and Kanade 1981) in regions of a reduced picture. The motions
of a claimed repeat and of its neighbours are compared by the changes of the picture that they would make, so that
regions count as much as their texture shows of motion.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidsr.filters.detect.cadence import Series, decode, is_cut
from vidsr.frames import Floats

#: Samples across a reduced picture, and rows of the source that are averaged for each.
_ACROSS, _ROWS = 80, 6
#: Regions that have a motion of their own: rows and columns.
_REGIONS = (3, 4)
#: Share of the structure tensor's trace that is added to its diagonal: no motion is assumed where texture shows none.
_STIFFNESS = 0.02
#: Repeats whose neighbours' motion changes the picture less than this share of the usual say nothing; at least so many
#: must say something.
_VISIBLE, _FEWEST = 0.1, 6
#: A repeat moves if it has this share of its neighbours' motion, and if the cosine of the angle between both is this.
#: So large a share of the repeats must move.
_SHARE, _COSINE, _MOST = 0.05, 0.6, 0.6


@dataclass(frozen=True, slots=True)
class MotionStep:
    """From one frame to the next: the normal equations of the motion in each region.

    ``tensor`` is (regions, 2, 2), the sums of products of the gradients; ``product`` (regions, 2), of gradients with
    the change in time. The order is vertical, horizontal; units are 8-bit code values and samples of the reduced
    picture.
    """

    tensor: Floats
    product: Floats

    def motion(self) -> Floats:
        """The displacement of each region, (regions, 2); 0 where there is no texture."""
        trace = self.tensor.trace(axis1=1, axis2=2)
        stiff = self.tensor + (_STIFFNESS * trace + 1e-6)[:, None, None] * np.eye(2, dtype=np.float32)
        return np.asarray(np.linalg.solve(stiff, self.product[..., None])[..., 0])


def reduced(luma: npt.NDArray[Any], max_code: int) -> Floats:
    """A luma plane with some 80 samples across, smoothed, in 8-bit code values."""
    side = max(1, luma.shape[1] // _ACROSS)
    every = max(1, side // _ROWS)
    rows, columns = luma.shape[0] // side, luma.shape[1] // side
    thinned = luma[: rows * side, : columns * side].reshape(rows, side, columns * side)[:, ::every]
    # Rows first: whole rows are added at once.
    blocks = thinned.sum(1, dtype=np.float32).reshape(rows, columns, side).sum(2)
    small = np.pad(blocks * np.float32(255 / (max_code * side * thinned.shape[1])), 1, mode="edge")
    tall = small[:-2] + 2 * small[1:-1] + small[2:]
    return np.asarray((tall[:, :-2] + 2 * tall[:, 1:-1] + tall[:, 2:]) / 16)


def step(before: Floats, now: Floats) -> MotionStep:
    """The motion between two reduced pictures. Changes of brightness of a whole region are left out."""
    down, right = (np.asarray(g, np.float32) for g in np.gradient((before + now) / 2))
    gone = _split(before - now)
    gone = gone - gone.mean((1, 3), keepdims=True)
    gradients = [_split(down), _split(right)]
    tensor = [[(a * b).sum((1, 3)).ravel() for b in gradients] for a in gradients]
    product = [(a * gone).sum((1, 3)).ravel() for a in gradients]
    return MotionStep(np.moveaxis(np.array(tensor), -1, 0), np.array(product).T)


def _split(picture: Floats) -> Floats:
    """A picture as (rows of regions, rows, columns of regions, columns)."""
    down, across = _REGIONS
    rows, columns = picture.shape[0] // down, picture.shape[1] // across
    return picture[: rows * down, : columns * across].reshape(down, rows, across, columns)


def repeats_move(stretches: Sequence[Series], steps: Sequence[Sequence[MotionStep]], ratio: float) -> bool:
    """Whether the repeats of a rhythm, ``ratio`` pictures for each frame, move on with the frames around them.

    ``stretches`` are the evidence that the rhythm was found in. ``steps`` belongs to it: of each stretch the steps from
    each frame to the next, one fewer than its frames.
    """
    found = [one for series, taken in zip(stretches, steps, strict=True) for one in _compared(series, taken, ratio)]
    if len(found) < _FEWEST:
        return False
    least = _VISIBLE * float(np.median([one.expected for one in found]))
    seen = [one for one in found if one.expected > least]
    return len(seen) >= _FEWEST and sum(one.moves for one in seen) > _MOST * len(seen)


@dataclass(frozen=True, slots=True)
class _Compared:
    """A claimed repeat and its neighbours, in squared code values: the change that the neighbours' motion would make,
    the one that the repeat's own motion made, and the product of both."""

    expected: float
    own: float
    common: float

    @property
    def moves(self) -> bool:
        """Whether the repeat goes on along its neighbours' motion."""
        return self.common > _SHARE * self.expected and self.common**2 > _COSINE**2 * self.expected * self.own


def _compared(series: Series, steps: Sequence[MotionStep], ratio: float) -> Iterator[_Compared]:
    new = decode(series, ratio).new
    moving = new & ~is_cut(series)
    moving[:1] = False  # nothing is known of the first frame
    for n in map(int, np.flatnonzero(~new)):
        around = [*np.flatnonzero(moving[:n])[-1:], *(n + 1 + np.flatnonzero(moving[n + 1 :])[:1])]
        if not around:
            continue
        usual = np.mean([steps[int(m) - 1].motion() for m in around], 0)
        repeat = steps[n - 1]
        yield _Compared(
            expected=float(np.einsum("ri,rij,rj", usual, repeat.tensor, usual)),
            own=float((repeat.motion() * repeat.product).sum()),
            common=float((usual * repeat.product).sum()),
        )
