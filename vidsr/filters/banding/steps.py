"""Bands: steps of one height between even runs, which coarse quantising leaves where brightness changes slowly.

What a camera sees has noise or detail everywhere, so an even run of nine samples, a small step, and another even run
hardly occur. Requantised pictures have nothing but steps of one height; strongly compressed ones mostly steps of one
and two code values.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vidsr.frames import Plane

#: Neighbours that are equal on either side of a step; highest step that counts, in 8-bit code values.
_RUN, _HIGHEST = 8, 16
#: Fewest steps per sample of a picture that has bands.
_LEAST = 0.0005
#: The step is the lowest height that is this share as frequent as the most frequent one: a quantiser leaves multiples
#: of its step, too. The next code values count as long as they also are.
_FREQUENT = 0.5

Edges = npt.NDArray[np.bool_]


def step_height(luma: Plane, max_code: int) -> float:
    """The height of the steps between bands of a picture, in 8-bit code values; 0 without bands.

    Args:
        luma: code values ``[h, w]``, uint8 or uint16, up to ``max_code``.
    """
    highest = round(_HIGHEST * max_code / 255)
    counts = np.zeros(highest + 1, np.int64)
    for plane in (luma, luma.T):
        heights, found = _steps(plane, highest)
        counts += np.bincount(heights[found], minlength=highest + 1)
    if counts.sum() < max(1, _LEAST * luma.size):
        return 0.0
    frequent = counts >= _FREQUENT * counts.max()
    height = int(np.argmax(frequent))
    while height < highest and frequent[height + 1]:
        height += 1
    return height * 255 / max_code


def band_edges(luma: Plane, max_code: int) -> Edges:
    """Which samples ``[h, w]`` lie before a step between bands."""
    highest = round(_HIGHEST * max_code / 255)
    edges = np.zeros(luma.shape, np.bool_)
    edges[:, :-1] |= _steps(luma, highest)[1]
    edges[:-1] |= _steps(luma.T, highest)[1].T
    return edges


def _steps(plane: Plane, highest: int) -> tuple[npt.NDArray[np.int32], Edges]:
    """The height of each step along the rows, ``[h, w - 1]``, and which of them lie between even runs."""
    heights = np.abs(np.diff(plane.astype(np.int32), axis=1))
    found = np.zeros(heights.shape, np.bool_)
    width = heights.shape[1]
    if width > 2 * _RUN:
        even = heights == 0
        reach = 1
        while reach < _RUN:  # even[x]: none of the steps from x on, as many as `reach`
            even = even[:, :-reach] & even[:, reach:]
            reach *= 2
        middle = heights[:, _RUN : width - _RUN]
        found[:, _RUN : width - _RUN] = (
            (middle > 0) & (middle <= highest) & even[:, : width - 2 * _RUN] & even[:, _RUN + 1 : width - _RUN + 1]
        )
    return heights, found
