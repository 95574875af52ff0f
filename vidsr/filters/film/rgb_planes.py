"""Changes of red, green and blue, made on the planes of a frame as they are stored.

Luma is changed at its own resolution with the chroma of its pixel, chroma at its own with the mean luma of its pixels;
so nothing is resampled, and what a change leaves alone stays as it is but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from vidsr.filters.before.filter import quantised, with_planes
from vidsr.frames import Floats, Frame, Plane, luma_weights

#: From red, green and blue ``[h, w, 3]``, 0 black to 1 white but not clipped, to the new ones.
ColourChange = Callable[[Floats], Floats]


def changed_colours(frame: Frame, change: ColourChange) -> Frame:
    """``frame`` with its colours changed; alpha stays."""
    format = frame.format
    if format.family == "rgb":
        green, blue, red = (plane.astype(np.float32) / format.max_code for plane in frame.planes[:3])
        made = change(np.stack((red, green, blue), 2)) * format.max_code
        planes: list[Plane] = [quantised(made[..., n], frame) for n in (1, 2, 0)]
        return with_planes(frame, [*planes, *frame.planes[3:]])
    luma = _luma(frame)
    if format.family == "gray":
        made = change(np.repeat(luma[..., None], 3, 2)).mean(2)
        return with_planes(frame, [_stored_luma(made, frame), *frame.planes[1:]])
    to_yuv, to_rgb = matrices(frame.colour.matrix)
    chroma = [_chroma(frame, n) for n in (1, 2)]
    across, down = 1 << format.log2_chroma_w, 1 << format.log2_chroma_h
    wide = [c.repeat(down, 0).repeat(across, 1)[: frame.height, : frame.width] for c in chroma]
    fine = change(_combined((luma, *wide), to_rgb))
    planes = [_stored_luma(fine @ to_yuv[0], frame)]
    coarse = change(_combined((_block_means(luma, down, across), *chroma), to_rgb))
    planes += [_stored_chroma(coarse @ to_yuv[n], frame) for n in (1, 2)]
    return with_planes(frame, [*planes, *frame.planes[3:]])


def small_colours(frame: Frame, step: int) -> Floats:
    """Red, green and blue, 0 to 1, of blocks of ``step`` × ``step`` px: ``[h // step, w // step, 3]``."""
    rows, columns = frame.height // step, frame.width // step
    if frame.format.family == "rgb":
        planes = [frame.planes[n].astype(np.float32) / np.float32(frame.format.max_code) for n in (2, 0, 1)]
        return np.stack([_block_means(p[: rows * step, : columns * step], step, step) for p in planes], 2)
    luma = _block_means(_luma(frame)[: rows * step, : columns * step], step, step)
    if frame.format.family == "gray":
        return np.repeat(luma[..., None], 3, 2)
    y, x = ((np.arange(n) + 0.5) * step for n in (rows, columns))
    chroma = []
    for number in (1, 2):
        plane = _chroma(frame, number)
        down, across = step >> frame.format.log2_chroma_h, step >> frame.format.log2_chroma_w
        if down and across and not step % (1 << max(frame.format.log2_chroma_h, frame.format.log2_chroma_w)):
            chroma.append(_block_means(plane[: rows * down, : columns * across], down, across))
        else:
            at_y = (y / (1 << frame.format.log2_chroma_h)).astype(int)
            at_x = (x / (1 << frame.format.log2_chroma_w)).astype(int)
            chroma.append(plane[at_y][:, at_x])
    return _combined((luma, *chroma), matrices(frame.colour.matrix)[1])


def matrices(name: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """From red, green and blue to luma (0 to 1) and chroma (-0.5 to 0.5), ``[3, 3]``, and back (ITU-T H.273)."""
    red, green, blue = luma_weights(name)
    luma = np.array([red, green, blue])
    to_yuv = np.stack(
        (luma, (np.array([0, 0, 1]) - luma) / (2 * (1 - blue)), (np.array([1, 0, 0]) - luma) / (2 * (1 - red)))
    )
    return to_yuv.astype(np.float32), np.linalg.inv(to_yuv).astype(np.float32)


def _combined(planes: Sequence[Floats], matrix: npt.NDArray[np.float32]) -> Floats:
    return np.asarray(np.stack(planes, 2) @ matrix.T, np.float32)


def _levels(frame: Frame) -> tuple[float, float, float]:
    """Code values of black, of the range of luma, and of the range of chroma."""
    if frame.colour.range == "limited":
        unit = float(1 << (frame.format.depth - 8))
        return 16 * unit, 219 * unit, 224 * unit
    return 0.0, float(frame.format.max_code), float(frame.format.max_code)


def _luma(frame: Frame) -> Floats:
    black, span, _ = _levels(frame)
    return np.asarray((frame.planes[0].astype(np.float32) - np.float32(black)) / np.float32(span), np.float32)


def _chroma(frame: Frame, number: int) -> Floats:
    middle, span = np.float32(1 << (frame.format.depth - 1)), np.float32(_levels(frame)[2])
    return np.asarray((frame.planes[number].astype(np.float32) - middle) / span, np.float32)


def _stored_luma(values: Floats, frame: Frame) -> Plane:
    black, span, _ = _levels(frame)
    return quantised(values * np.float32(span) + np.float32(black), frame)


def _stored_chroma(values: Floats, frame: Frame) -> Plane:
    middle, span = np.float32(1 << (frame.format.depth - 1)), np.float32(_levels(frame)[2])
    return quantised(values * span + middle, frame)


def _block_means(plane: Floats, down: int, across: int) -> Floats:
    """Means of blocks; edges repeat to whole ones."""
    rows, columns = -(-plane.shape[0] // down), -(-plane.shape[1] // across)
    padded = np.pad(plane, ((0, rows * down - plane.shape[0]), (0, columns * across - plane.shape[1])), mode="edge")
    return np.asarray(padded.reshape(rows, down, columns, across).mean((1, 3)), np.float32)
