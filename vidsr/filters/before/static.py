"""Filters that need no motion: crop, grey, deblock, deflicker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from vidsr.filters.before.base import quantised, scale8, windowed, with_planes
from vidsr.filters.detect.statistics import thumbnail
from vidsr.frames import Frame, Plane


class Crop:
    """Cuts bars off. ``left``, ``top``, ``width``, ``height`` are luma pixels, even where chroma is subsampled."""

    name = "crop"
    lookaround = (0, 0)

    def __init__(self, left: int, top: int, width: int, height: int) -> None:
        self.left, self.top, self.width, self.height = left, top, width, height

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            yield with_planes(frame, [self._cut(frame, n) for n in range(len(frame.planes))])

    def _cut(self, frame: Frame, number: int) -> Plane:
        is_chroma = frame.format.family == "yuv" and number in (1, 2)
        right, down = (frame.format.log2_chroma_w, frame.format.log2_chroma_h) if is_chroma else (0, 0)
        rows, columns = frame.format.plane_shape(number, self.width, self.height)
        top, left = self.top >> down, self.left >> right
        return frame.planes[number][top : top + rows, left : left + columns]


class Grey:
    """Makes the colour of black-and-white material exactly neutral: tints and colour noise of the transfer go."""

    name = "grey"
    lookaround = (0, 0)

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            planes = list(frame.planes)
            if frame.format.family == "yuv":
                neutral = 1 << (frame.format.depth - 1)
                for number in (1, 2):
                    planes[number] = np.full_like(planes[number], neutral)
            elif frame.format.family == "rgb":
                green, blue, red = (p.astype(np.float32) for p in planes[:3])
                planes[:3] = [quantised(0.2126 * red + 0.7152 * green + 0.0722 * blue, frame)] * 3
            yield with_planes(frame, planes)


class Deblock:
    """Smooths the steps on the 8×8 grid of block codecs, where both sides are flat and the step is small.

    Args:
        strength: 0 to 1; the largest step that is taken for a block edge, in shares of 24 code values of 8 bits.
    """

    name = "deblock"
    lookaround = (0, 0)

    def __init__(self, strength: float = 0.5) -> None:
        self.strength = strength

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            limit = 24 * self.strength * scale8(frame)
            planes = []
            for number, plane in enumerate(frame.planes):
                if frame.format.alpha and number == frame.format.plane_count - 1:
                    planes.append(plane)
                    continue
                values = smooth_edges(plane.astype(np.float32), limit)
                planes.append(quantised(smooth_edges(values.T, limit).T, frame))
            yield with_planes(frame, planes)


def smooth_edges(values: npt.NDArray[np.float32], limit: float, first: int = 0) -> npt.NDArray[np.float32]:
    """Spread each small step between columns 8n-1 and 8n over the four columns around it.

    ``limit`` is the largest step that is smoothed; it and ``values`` are code values. ``first`` is the first column
    that is on the grid, 0 to 7.
    """
    edges = np.arange(first if first >= 2 else first + 8, values.shape[1] - 2, 8)
    if not len(edges):
        return values
    far_left, left, right, far_right = (values[:, edges + d] for d in (-2, -1, 0, 1))
    step = right - left
    # A true edge goes on beyond the grid line, or is higher than what quantising leaves.
    flat = np.maximum(np.abs(left - far_left), np.abs(far_right - right))
    weight = np.clip(1 - np.abs(step) / limit, 0, 1) * np.clip(1 - flat / (0.5 * np.abs(step) + 0.25), 0, 1)
    change = step * weight
    result = values.copy()
    for offset, share in ((-2, 0.125), (-1, 0.375), (0, -0.375), (1, -0.125)):
        result[:, edges + offset] += share * change
    return result


class Deflicker:
    """Steadies the brightness: each frame's lightness is brought onto the course of those around it.

    The course is a straight line fitted to the means of the frames of the same scene within ``REACH``, so fades
    and pans keep theirs. The correction is a gain, as unsteady exposure is.
    """

    name = "deflicker"
    REACH = 6
    lookaround = (REACH, REACH)

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        yield from windowed(frames, self.REACH, self.REACH, self._steady)

    def _steady(self, window: Sequence[Frame], at: int) -> Frame:
        frame = window[at]
        low, high = max(0, at - self.REACH), min(len(window), at + self.REACH + 1)
        black = (16 if frame.colour.range == "limited" else 0) * scale8(frame)
        around = self._same_scene(window, at, low, high)
        means = np.array([float(window[n].planes[0].mean()) - black for n in around])
        if len(around) < 4 or means.min() < 2 * scale8(frame):
            return frame
        place = np.array(around) - at
        wanted = float(np.polyfit(place, means, 1)[1])
        own = float(means[around.index(at)])
        gain = float(np.clip(wanted / own, 0.7, 1.4))
        planes = list(frame.planes)
        if frame.format.family == "rgb":
            planes[:3] = [quantised(p.astype(np.float32) * gain, frame) for p in planes[:3]]
        else:
            planes[0] = quantised((planes[0].astype(np.float32) - black) * gain + black, frame)
        return with_planes(frame, planes)

    @staticmethod
    def _same_scene(window: Sequence[Frame], at: int, low: int, high: int) -> list[int]:
        """Numbers in the window that belong to the scene of ``at``; brightness alone makes no new scene."""
        limit = 18 * scale8(window[at])
        found = [at]
        for numbers in (range(at - 1, low - 1, -1), range(at + 1, high)):
            last = _shape(window[at])
            for n in numbers:
                shape = _shape(window[n])
                jump = (shape[0] + limit) / (last[0] + limit)
                if np.abs(shape[1] - last[1]).mean() > limit or not 0.7 < jump < 1.43:
                    break
                found.append(n)
                last = shape
        return sorted(found)


def _shape(frame: Frame) -> tuple[float, npt.NDArray[np.float32]]:
    """Mean, and a small picture without it."""
    small = thumbnail(frame.planes[0][::2, ::2].astype(np.float32), 12)
    mean = float(small.mean())
    return mean, np.asarray(small - mean, np.float32)
