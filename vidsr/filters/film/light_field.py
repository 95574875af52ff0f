"""How the light on a picture changed from one frame to the next, smoothly over the picture and for each colour.

The logarithm of the ratio of two frames is fitted, block by block, by a sum of low cosines. The frames are compared
along the motion of each place; blocks that do not match, or that changed on their own, lose their vote.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vidsr.frames import Floats

if TYPE_CHECKING:
    from vidsr.filters.film.lit_pictures import LitPicture

#: Cosines along the width and the height.
WAVES = (4, 3)
#: Blocks darker or brighter than these (0 to 1) say nothing of a gain.
_DARK, _BRIGHT = 0.06, 0.95
#: Rounds of reweighting; the scale beyond which a block loses its vote, in standard deviations; and the least such
#: deviation of a block's logarithm.
_ROUNDS, _ODD, _LEAST = 4, 1.5, 0.002
#: Fewest blocks that must have a vote, as a share of all.
_FEWEST = 0.2
#: Neighbouring blocks err together: so many count as one.
_TOGETHER = 8.0
#: Standard error of the gain for each share of the longer side by which the picture moves: what moves is seen from
#: another side and in another place of the light.
_MOVING = 0.2

Coefficients = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LightChange:
    """From one frame to the next: the ``coefficients`` ``[3, waves]`` of the logarithm of the gain, the ``variance`` of
    the sum of their squares, and the ``trust`` in the match, the share of the picture that was found again, 0 to 1."""

    coefficients: Coefficients
    variance: float
    trust: float


def light_change(before: LitPicture, now: LitPicture) -> LightChange:
    """How the light changed between two frames; where that cannot be said, coefficients of 0 and infinite variance."""
    from vidsr.filters.film.lit_pictures import match

    found = match(before, now)
    one, other = found.before, found.now
    waves = cosines(one.shape[0], one.shape[1]).reshape(-1, WAVES[0] * WAVES[1])
    usable = found.same & (np.minimum(one, other).min(2) > _DARK) & (np.maximum(one, other).max(2) < _BRIGHT)
    if usable.mean() < _FEWEST:
        return LightChange(coefficients=np.zeros((3, waves.shape[1])), variance=np.inf, trust=found.trust)
    ratios = np.log(other[usable] / one[usable]).astype(np.float64)
    fits = [_fitted(waves[usable.reshape(-1)], ratios[:, channel]) for channel in range(3)]
    return LightChange(
        coefficients=np.array([coefficients for coefficients, _ in fits]),
        variance=float(np.mean([error for _, error in fits])) + (_MOVING * found.speed) ** 2,
        trust=found.trust,
    )


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
