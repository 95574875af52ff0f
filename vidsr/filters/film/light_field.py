"""How the light on a picture changed from one frame to the next, smoothly over the picture and for each colour.

The logarithm of the ratio of two frames is fitted, block by block, by a sum of low cosines. The camera's own motion is
taken out first, and blocks that changed on their own (things that move, are uncovered, or flash) lose their vote.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from vidsr.filters.film.registration import Registered, Shift, registered_shift
from vidsr.filters.film.rgb_planes import small_colours
from vidsr.frames import Floats, Frame

#: Cosines along the width and the height.
WAVES = (4, 3)
#: Blocks along the longer side of a picture, about; the shorter side of pictures whose motion is measured, px.
_BLOCKS, _REGISTERED_PX = 64, 240
#: Blocks darker or brighter than these (0 to 1) say nothing of a gain.
_DARK, _BRIGHT = 0.06, 0.95
#: Rounds of reweighting; the scale beyond which a block loses its vote, in standard deviations; and the least such
#: deviation of a block's logarithm.
_ROUNDS, _ODD, _LEAST = 4, 1.5, 0.002
#: Fewest blocks that must have a vote, as a share of all.
_FEWEST = 0.2
#: Neighbouring blocks err together: so many count as one.
_TOGETHER = 8.0

Coefficients = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LitFrame:
    """A frame's blocks ``[h, w, 3]`` in 0..1, and its luma ready to be registered."""

    blocks: Floats
    registered: Registered


@dataclass(frozen=True, slots=True, kw_only=True)
class LightChange:
    """From one frame to the next: the ``coefficients`` ``[3, waves]`` of the logarithm of the gain, the ``variance`` of
    the sum of their squares, and how the picture moved."""

    coefficients: Coefficients
    variance: float
    shift: Shift


def lit(frame: Frame) -> LitFrame:
    """What is kept of a frame."""
    step = max(2, -(-max(frame.width, frame.height) // _BLOCKS))
    luma, most = frame.planes[0], frame.format.max_code
    return LitFrame(blocks=small_colours(frame, step), registered=Registered(luma, most, _REGISTERED_PX))


def light_change(before: LitFrame, now: LitFrame, width: int) -> LightChange:
    """How the light changed between two frames ``width`` px wide; coefficients are 0 where that cannot be said."""
    shift = registered_shift(before.registered, now.registered)
    one, other = before.blocks, now.blocks
    size = one.shape[1] / width
    moved = shifted(other, shift.x * size, shift.y * size) if shift.trust > 0 else other
    waves = cosines(one.shape[0], one.shape[1]).reshape(-1, WAVES[0] * WAVES[1])
    none = LightChange(coefficients=np.zeros((3, waves.shape[1])), variance=np.inf, shift=shift)
    usable = np.minimum(one, moved).min(2) > _DARK
    usable &= np.maximum(one, moved).max(2) < _BRIGHT
    if usable.mean() < _FEWEST:
        return none
    inside = usable.reshape(-1)
    ratios = np.log(np.maximum(moved, 1e-4) / np.maximum(one, 1e-4)).reshape(-1, 3)[inside].astype(np.float64)
    own = waves[inside]
    found, variance = [], 0.0
    for channel in range(3):
        coefficients, error = _fitted(own, ratios[:, channel])
        found.append(coefficients)
        variance += error / 3
    return LightChange(coefficients=np.array(found), variance=variance, shift=shift)


def _fitted(waves: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], float]:
    """Coefficients by least squares, in which odd values lose their vote; and the sum of their variances."""
    weights = np.ones(len(values))
    ridge = 1e-3 * len(values) * np.eye(waves.shape[1])
    coefficients: npt.NDArray[np.float64] = np.zeros(waves.shape[1])
    coefficients[0] = np.median(values)
    for _ in range(_ROUNDS):
        rest = values - waves @ coefficients
        scale = max(_LEAST, 1.48 * float(np.median(np.abs(rest))))
        weights = 1 / (1 + (rest / (_ODD * scale)) ** 2) ** 2
        weighted = (waves * weights[:, None]).T
        normal = weighted @ waves + ridge
        coefficients = np.asarray(np.linalg.solve(normal, weighted @ values), np.float64)
    return coefficients, float(np.trace(np.linalg.inv(normal))) * scale**2 * _TOGETHER


def shifted(picture: Floats, x: float, y: float) -> Floats:
    """``picture`` sampled ``x`` further right and ``y`` further down, linearly; edges repeat."""
    for axis, distance in ((1, x), (0, y)):
        whole = int(np.floor(distance))
        share = np.float32(distance - whole)
        at = np.arange(picture.shape[axis]) + whole
        low, high = (np.take(picture, np.clip(at + n, 0, picture.shape[axis] - 1), axis) for n in (0, 1))
        picture = low + share * (high - low)
    return np.asarray(picture, np.float32)


@lru_cache(maxsize=8)
def cosines(height: int, width: int) -> npt.NDArray[np.float64]:
    """``[height, width, WAVES[1], WAVES[0]]``: products of low cosines, each with a mean square of 1."""
    sides = []
    for length, count in ((height, WAVES[1]), (width, WAVES[0])):
        phase = (np.arange(length) + 0.5)[:, None] * np.arange(count)[None] * np.pi / length
        sides.append(np.cos(phase) * np.where(np.arange(count) == 0, 1, np.sqrt(2)))
    return np.asarray(sides[0][:, None, :, None] * sides[1][None, :, None, :])


def field(coefficients: Coefficients, height: int, width: int) -> Floats:
    """The gain ``[height, width, 3]`` whose logarithm has these ``coefficients`` ``[3, waves]``."""
    logarithm = np.empty((height, width, 3), np.float32)
    down, across = _sides(height, width)
    for channel in range(3):
        logarithm[..., channel] = down @ (
            coefficients[channel].reshape(WAVES[1], WAVES[0]).astype(np.float32) @ across.T
        )
    return np.exp(logarithm)


@lru_cache(maxsize=8)
def _sides(height: int, width: int) -> tuple[Floats, Floats]:
    """The cosines along each side, ``[height, WAVES[1]]`` and ``[width, WAVES[0]]``."""
    down, across = cosines(height, 1)[:, 0, :, 0], cosines(1, width)[0, :, 0, :]
    return np.asarray(down, np.float32), np.asarray(across, np.float32)
