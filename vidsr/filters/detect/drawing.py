"""Whether a picture is drawn: dark outlines between even areas, where cameras show texture, noise and soft edges.

Pictures are first reduced to about 640 pixels, because outlines are a few pixels wide there. Three measures decide
together; their limits, and how pictures of both kinds lie about them, are in docs/decisions/072-the-model-by-itself.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vidsr.frames import Array, Floats, luma_weights

#: The longer side to which pictures are reduced, and the smallest side that can be judged.
_WIDTH_PX, SMALLEST_PX = 640, 64
#: An outline is at least this much darker than both its sides, which are even within the second number, in code values.
_DARKER, _EVEN = 24.0, 8.0
#: Pixels from the middle of an outline to its sides, and on to where they must still be even.
_SIDE_PX, _BESIDE_PX = 3, 6
_BLOCK_PX = 8
#: A drawing has at least this share of outline pixels, at least this share of busy blocks that are mostly one tone, and
#: a median gradient of at most this share of its 97th percentile.
OUTLINES, EVEN_BLOCKS, TEXTURE = 0.005, 0.2, 0.06


@dataclass(frozen=True, slots=True)
class DrawingLook:
    """Shares, 0 to 1: of pixels on dark outlines, of blocks with contrast that are mostly of one tone, and the median
    gradient as a share of its 97th percentile."""

    outlines: float
    even_blocks: float
    texture: float


def look(rgb: Array) -> DrawingLook | None:
    """Look at a picture ``[h, w, 3]``, uint8; None if a side is shorter than :data:`SMALLEST_PX`."""
    luma = _reduced(rgb.astype(np.float32) @ np.asarray(luma_weights("smpte170m"), np.float32))
    if min(luma.shape) < SMALLEST_PX:
        return None
    horizontal, vertical = np.diff(luma, axis=1)[:-1], np.diff(luma, axis=0)[:, :-1]
    middle, high = np.percentile(np.hypot(horizontal, vertical), (50, 97))
    return DrawingLook(
        outlines=float(np.mean([_outlines(luma), _outlines(luma.T)])),
        even_blocks=_even_blocks(luma),
        texture=float(middle / max(high, 1e-6)),
    )


def is_drawing(looks: Sequence[DrawingLook | None]) -> bool:
    """Whether these pictures, on average, are drawn."""
    known = [one for one in looks if one is not None]
    if not known:
        return False
    outlines, even, texture = (
        float(np.mean([getattr(one, name) for one in known])) for name in ("outlines", "even_blocks", "texture")
    )
    return outlines >= OUTLINES and even >= EVEN_BLOCKS and texture <= TEXTURE


def _reduced(luma: Floats) -> Floats:
    """The picture reduced by the whole factor that brings it nearest to :data:`_WIDTH_PX`."""
    factor = max(1, round(max(luma.shape) / _WIDTH_PX))
    height, width = (side // factor for side in luma.shape)
    blocks = luma[: height * factor, : width * factor].reshape(height, factor, width, factor)
    mean: Floats = blocks.mean((1, 3))
    return mean


def _outlines(luma: Floats) -> float:
    """Share of the pixels that lie on a dark line across the rows, with even sides."""
    width = luma.shape[1]

    def at(shift: int) -> Floats:
        return luma[:, _BESIDE_PX + shift : width - _BESIDE_PX + shift]

    darkest = np.minimum(np.minimum(at(-1), at(0)), at(1))
    left, right = at(-_SIDE_PX), at(_SIDE_PX)
    even = (np.abs(left - at(-_BESIDE_PX)) < _EVEN) & (np.abs(right - at(_BESIDE_PX)) < _EVEN)
    return float(((np.minimum(left, right) - darkest > _DARKER) & even).mean())


def _even_blocks(luma: Floats) -> float:
    """Share of the blocks with contrast in which at least half of the pixels are within half of :data:`_EVEN` of the
    median."""
    height, width = (side // _BLOCK_PX * _BLOCK_PX for side in luma.shape)
    tiles = luma[:height, :width].reshape(height // _BLOCK_PX, _BLOCK_PX, width // _BLOCK_PX, _BLOCK_PX)
    blocks = tiles.transpose(0, 2, 1, 3).reshape(-1, _BLOCK_PX**2)
    busy = blocks[np.ptp(blocks, axis=1) >= _DARKER]
    if not len(busy):
        return 0.0
    near = np.abs(busy - np.median(busy, axis=1, keepdims=True)) <= _EVEN / 2
    return float((near.mean(1) >= 0.5).mean())
