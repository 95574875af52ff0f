"""How far colour is smeared along the lines, against luma.

As for the delay (:mod:`vidsr.filters.detect.chroma_delay`), the changes of colour along the line are fitted, block by
block, by those of luma; here by luma smeared by each candidate. The width is that with which luma accounts for the most
of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from vidsr.filters.detect.chroma_delay import block_sums, luma_on_chroma_grid
from vidsr.filters.resample import separable
from vidsr.filters.tape.bleed import smear
from vidsr.frames import Floats, Frame

#: Standard deviations that are tried, luma px; the first stands for colour as sharp as coding leaves it.
WIDTHS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.5, 8.0)
#: Rows of chroma that are looked at: every so many.
_ROWS = 2
#: When smear is reported: frames, least width, share of the changes of colour that luma accounts for then, and by how
#: much that must exceed the share with the first width.
_FRAMES, _LEAST, _EXPLAINED, _MORE = 4, 3.0, 0.2, 1.04


def explained(frame: Frame) -> Floats | None:
    """For each of :data:`WIDTHS` the energy of the changes of colour that luma accounts for, and last all of it."""
    if frame.format.family != "yuv" or min(frame.planes[1].shape) < 64:
        return None
    scale = np.float32(255 / frame.format.max_code)
    luma = torch.from_numpy(luma_on_chroma_grid(frame)[::_ROWS] * scale)[None, None]
    changes = [np.diff(plane[::_ROWS].astype(np.float32) * scale, axis=1) for plane in frame.planes[1:3]]
    total = np.zeros(len(WIDTHS) + 1, np.float32)
    total[-1] = sum(float((change**2).sum()) for change in changes)
    for n, width in enumerate(WIDTHS):
        smeared = separable(luma, [1.0], smear(width / (1 << frame.format.log2_chroma_w)))[0, 0].numpy()
        edges = np.diff(smeared, axis=1)
        power = block_sums(edges**2)
        for change in changes:
            common = block_sums(edges * change)
            # A block's worth of one code value keeps blocks without edges from counting.
            total[n] += float((common**2 / (power + 96)).sum())
    return total


def width_of(frames: Sequence[Floats]) -> float:
    """The standard deviation of the smear in luma px, from what :func:`explained` gives; 0 if there is none."""
    if len(frames) < _FRAMES:
        return 0.0
    summed = np.sum(frames, axis=0)
    values = summed[:-1]
    best = int(np.argmax(values))
    if WIDTHS[best] < _LEAST or values[best] < _EXPLAINED * summed[-1] or values[best] < _MORE * values[0]:
        return 0.0
    return WIDTHS[best]
