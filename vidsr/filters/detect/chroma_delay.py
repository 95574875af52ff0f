"""The delay of colour against luma, in pixels along the line.

Where luma has an edge, colour mostly has one. In each block of the picture the changes of colour along the line are
fitted by those of luma, moved by every candidate; the delay is where luma accounts for the most of them. All blocks of
all frames are summed, so that single things with coloured shadows or reflections have no say.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vidsr.frames import Floats, Frame

#: Candidates, in chroma samples to each side; columns and rows of a block.
REACH = 10
_ACROSS, _DOWN = 24, 4
#: Delays in luma px below which a source is left alone; the least share of the changes of colour that luma accounts for
#: there; how much more than without a delay; and how far the halves of the frames may differ.
_LEAST_PX, _EXPLAINED, _MORE, _STEADY_PX = 2.0, 0.2, 1.12, 0.75
#: Fewest frames that are judged.
_FRAMES = 4


def scores(frame: Frame) -> Floats | None:
    """For each candidate delay, in chroma samples from −REACH to REACH, the energy of the changes of colour that luma
    accounts for; and as last value all energy. None if the frame has no chroma planes, or small ones."""
    if frame.format.family != "yuv" or frame.planes[1].shape[1] < 4 * REACH + _ACROSS:
        return None
    scale = np.float32(255 / frame.format.max_code)
    luma = smoothed_along(luma_on_chroma_grid(frame)) * scale
    edges = np.diff(luma, axis=1)
    total = np.zeros(2 * REACH + 2, np.float32)
    inner = slice(REACH, edges.shape[1] - REACH)
    for plane in frame.planes[1:3]:
        changes = np.diff(smoothed_along(plane.astype(np.float32) * scale), axis=1)
        colour = changes[:, inner]
        total[-1] += float(block_sums(colour**2).sum())
        for n, by in enumerate(range(-REACH, REACH + 1)):
            moved = edges[:, REACH - by : edges.shape[1] - REACH - by]
            total[n] += explained(moved, colour)
    return total


def explained(edges: Floats, changes: Floats) -> float:
    """The energy of ``changes`` ``[h, w]`` for which ``edges`` account, fitted in each block."""
    common, power = block_sums(edges * changes), block_sums(edges**2)
    return float((common**2 / (power + _ACROSS * _DOWN)).sum())


def delay(frames: Sequence[Floats], log2_chroma_w: int) -> float:
    """How far colour lies to the right of luma in luma px, from the :func:`scores` of frames; 0 where not clear."""
    if len(frames) < _FRAMES:
        return 0.0
    halves = [_peak(np.sum(frames[n::2], axis=0)) for n in (0, 1)]
    summed = np.sum(frames, axis=0)
    at = _peak(summed) * (1 << log2_chroma_w)
    best, without = float(summed[:-1].max()), float(summed[REACH])
    clear = best > _EXPLAINED * float(summed[-1]) and best > _MORE * without
    steady = abs(halves[0] - halves[1]) * (1 << log2_chroma_w) < _STEADY_PX
    return at if clear and steady and abs(at) >= _LEAST_PX else 0.0


def _peak(summed: Floats) -> float:
    values = summed[:-1]
    best = int(np.argmax(values))
    if not 0 < best < len(values) - 1:
        return float(best - REACH)
    a, b, c = (float(values[best + n]) for n in (-1, 0, 1))
    return best - REACH + 0.5 * (a - c) / min(a - 2 * b + c, -1e-6)


def luma_on_chroma_grid(frame: Frame) -> Floats:
    """Luma averaged to where the chroma samples of a frame lie, in its code values."""
    luma = frame.planes[0].astype(np.float32)
    down, across = 1 << frame.format.log2_chroma_h, 1 << frame.format.log2_chroma_w
    height, width = (n // m * m for n, m in zip(luma.shape, (down, across), strict=True))
    luma = luma[:height, :width].reshape(height // down, down, width).mean(1)
    if across > 1 and "left" in frame.colour.chroma_location:
        before = np.concatenate((luma[:, :1], luma[:, :-1]), 1)
        luma = (before + luma) / 2  # now centred on the first of the samples that are averaged
    luma = luma.reshape(luma.shape[0], width // across, across).mean(2)
    shape = frame.planes[1].shape
    return np.pad(luma, ((0, shape[0] - luma.shape[0]), (0, shape[1] - luma.shape[1])), mode="edge")


def smoothed_along(plane: Floats) -> Floats:
    """Blurred along the line, as noise counts too much in differences."""
    padded = np.pad(plane, ((0, 0), (2, 2)), mode="edge")
    parts = [padded[:, n : n + plane.shape[1]] for n in range(5)]
    return np.asarray((parts[0] + 4 * parts[1] + 6 * parts[2] + 4 * parts[3] + parts[4]) / 16, np.float32)


def block_sums(values: Floats) -> Floats:
    """Sums over blocks."""
    height, width = values.shape[0] // _DOWN * _DOWN, values.shape[1] // _ACROSS * _ACROSS
    shaped = values[:height, :width].reshape(height // _DOWN, _DOWN, width // _ACROSS, _ACROSS)
    return np.asarray(shaped.sum((1, 3)), np.float32)
