"""Light and dyes: unsteady exposure, brightness that breathes, vignetting, and dyes that have faded."""

from __future__ import annotations

import numpy as np
from numpy import typing as npt

from vidsr.frames import Floats
from vidsr.training.degradation.old_film.gate import slow_walk
from vidsr.training.degradation.old_film.options import OldFilmOptions

#: Rows and columns of independent places of the breathing, and the share of it that each colour has of its own.
_PLACES, _OWN_COLOUR = (3, 4), 0.3
#: Share of the exposure's unrest that is slow, as a lamp's or a hand-cranked camera's; the rest is from frame to frame.
_SLOW = 0.6
#: Density of the darkest value that 8 bits hold; and of the yellow stain of a fully faded print.
_DARKEST, _STAIN = float(np.log(255)), 0.15


def exposure_gains(count: int, options: OldFilmOptions, rng: np.random.Generator) -> Floats:
    """The gain of each frame, ``[count]``."""
    slow, quick = slow_walk(count, options.rate, rng), rng.standard_normal(count)
    unrest = np.sqrt(_SLOW) * slow + np.sqrt(1 - _SLOW) * quick
    return np.asarray(np.exp(options.exposure * unrest), np.float32)


class Breathing:
    """Gains that vary over the picture and in time, per colour."""

    def __init__(self, count: int, options: OldFilmOptions, rng: np.random.Generator) -> None:
        rows, columns = _PLACES
        walks = [slow_walk(count, options.rate, rng) for _ in range(rows * columns * 4)]
        grid = np.array(walks).reshape(rows, columns, 4, count)
        own, common = _OWN_COLOUR, np.sqrt(1 - _OWN_COLOUR**2)
        self._grid = options.breathing * (own * grid[:, :, :3] + common * grid[:, :, 3:])

    def gain(self, number: int, shape: tuple[int, int]) -> Floats:
        """``[H, W, 3]`` for frame ``number``, interpolated with cosines between the places."""
        field = self._grid[..., number]
        for axis, length in enumerate(shape):
            field = np.moveaxis(
                np.tensordot(_cosine(length, field.shape[axis]), np.moveaxis(field, axis, 0), 1), 0, axis
            )
        return np.asarray(np.exp(field), np.float32)


def _cosine(length: int, places: int) -> npt.NDArray[np.float64]:
    """``[length, places]``: weights of the places along a side; rows sum to 1."""
    at = np.linspace(0, places - 1, length)[:, None] - np.arange(places)[None]
    return np.where(np.abs(at) < 1, 0.5 + 0.5 * np.cos(np.pi * at), 0)


def vignette_depths(count: int, options: OldFilmOptions, rng: np.random.Generator) -> Floats:
    """How dark the corners of each frame are, ``[count]``, 0 to 1."""
    return np.clip(options.vignette * (1 + 0.5 * slow_walk(count, options.rate, rng)), 0, 1).astype(np.float32)


def vignetted(shape: tuple[int, int], depth: float) -> Floats:
    """The gain ``[H, W]`` of a picture whose corners are darker by ``depth``."""
    y, x = (np.linspace(-1, 1, side) ** 2 for side in shape)
    return np.asarray(1 - depth * (y[:, None] + x[None]) / 2, np.float32)


def faded(frame: Floats, lost: tuple[float, float, float]) -> Floats:
    """``frame`` ``[H, W, 3]`` whose cyan, magenta and yellow dyes have lost these shares of their density.

    Red, green and blue are what those dyes let through. A yellow stain grows with the mean loss.
    """
    density = np.minimum(-np.log(np.maximum(frame, 1e-6)), _DARKEST)
    density = density * (1 - np.asarray(lost, np.float32))
    density[..., 2] += _STAIN * float(np.mean(lost))
    return np.exp(-density).astype(np.float32)
