"""The delay of colour against luma, in pixels along the line.

Where luma has an edge, colour mostly has one. In each block of the picture the changes of colour along the line are
fitted by those of luma, moved by every candidate; the delay is where that fit is most likely for all blocks of all
frames together. Each block has its own slope and its own noise. That is asked twice: with much noise taken for granted,
so that blocks count by the energy of their colour, which is more exact; and where that says nothing clear with little,
so that single strong things whose colour does not follow their luma, as shadows and reflections, count no more than
others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vidsr.frames import Floats, Frame

#: Candidates, in luma px to each side; columns and rows of a block, in chroma samples.
REACH = 20
_ACROSS, _DOWN = 24, 4
#: Energy of noise in the changes of luma, squared 8-bit code values a sample; and those of colour that are assumed.
_LUMA_NOISE, _COLOUR_NOISES = 1.0, (16.0, 0.2)
#: Delays in luma px below which a source is left alone; by how much more likely the best must be than none, and than
#: the usual candidate, as ratios of logarithms; and how far the halves of the blocks may differ, px.
_LEAST_PX, _MORE, _CLEAR, _STEADY_PX = 1.5, 1.12, 1.8, 1.0
#: Fewest frames that are judged.
_FRAMES = 4


def scores(frame: Frame) -> Floats | None:
    """The logarithm of how likely each delay from −REACH to REACH px makes the changes of colour, over a constant, by
    the noise assumed, and by the odd and the even rows of blocks: ``[2, 2, 2 * REACH + 1]``. None if there are no
    chroma planes, or small ones."""
    form = frame.format
    if form.family != "yuv":
        return None
    across = 1 << form.log2_chroma_w
    margin = REACH // across
    width = frame.planes[1].shape[1]
    if width < 4 * margin + _ACROSS:
        return None
    scale = np.float32(255 / form.max_code)
    # The changes of luma moved right by less than a chroma sample; whole samples are moved by taking other columns.
    moved = [_changes(luma_on_chroma_grid(frame, part) * scale) for part in range(across)]
    inner = slice(margin, width - 1 - margin)
    colour = [_changes(plane.astype(np.float32) * scale)[:, inner] for plane in frame.planes[1:3]]
    noise = _ACROSS * _DOWN
    powers = [block_sums(changes**2) for changes in colour]
    total = np.zeros((len(_COLOUR_NOISES), 2, 2 * REACH + 1), np.float32)
    for n, by in enumerate(range(-REACH, REACH + 1)):
        whole, part = divmod(by, across)
        edges = moved[part][:, margin - whole : width - 1 - margin - whole]
        edge_power = block_sums(edges**2) + _LUMA_NOISE * noise
        for changes, power in zip(colour, powers, strict=True):
            common = block_sums(edges * changes) ** 2 / edge_power
            for weight, assumed in enumerate(_COLOUR_NOISES):
                likely = -np.log1p(-common / (power + assumed * noise))
                total[weight, :, n] += likely[0::2].sum(), likely[1::2].sum()
    return total


def _changes(plane: Floats) -> Floats:
    return np.diff(smoothed_along(plane), axis=1)


def explained(edges: Floats, changes: Floats) -> float:
    """The energy of ``changes`` ``[h, w]`` for which ``edges`` account, fitted in each block."""
    common, power = block_sums(edges * changes), block_sums(edges**2)
    return float((common**2 / (power + _ACROSS * _DOWN)).sum())


def delay(frames: Sequence[Floats]) -> float:
    """How far colour lies to the right of luma in luma px, from the :func:`scores` of frames; 0 where not clear."""
    if len(frames) < _FRAMES:
        return 0.0
    return next((at for at in map(_clear_peak, np.sum(frames, axis=0)) if at), 0.0)


def _clear_peak(halves: Floats) -> float:
    """The most likely delay; 0 if that is small, if another or none is about as likely, or if the halves differ."""
    summed = halves.sum(0)
    at, best = _peak(summed), float(summed.max())
    clear = best > _MORE * float(summed[REACH]) and best > _CLEAR * float(np.median(summed))
    steady = abs(_peak(halves[0]) - _peak(halves[1])) < _STEADY_PX
    return at if clear and steady and abs(at) >= _LEAST_PX else 0.0


def _peak(values: Floats) -> float:
    best = int(np.argmax(values))
    if not 0 < best < len(values) - 1:
        return float(best - REACH)
    a, b, c = (float(values[best + n]) for n in (-1, 0, 1))
    return best - REACH + 0.5 * (a - c) / min(a - 2 * b + c, -1e-6)


def luma_on_chroma_grid(frame: Frame, right: int = 0) -> Floats:
    """Luma averaged to where the chroma samples of a frame lie, in its code values; moved ``right`` by so many luma px,
    fewer than a chroma sample spans."""
    luma = frame.planes[0].astype(np.float32)
    if right:
        luma = np.pad(luma[:, :-right], ((0, 0), (right, 0)), mode="edge")
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
    rows = values[:height, :width].reshape(height // _DOWN, _DOWN, width).sum(1)
    return np.asarray(rows.reshape(-1, width // _ACROSS, _ACROSS).sum(2), np.float32)
