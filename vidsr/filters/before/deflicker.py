"""Deflicker: the brightness of each frame brought onto the course of the frames around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from vidsr.filters.before.descriptor import FilterDescriptor
from vidsr.filters.before.filter import quantised, scale8, windowed, with_planes
from vidsr.filters.detect.inspection import FLICKERING
from vidsr.filters.detect.statistics import thumbnail
from vidsr.frames import Frame

#: Bounds of the gain, and of the change of brightness from frame to frame within a scene.
_LEAST_GAIN, _MOST_GAIN = 0.7, 1.4
_DARKER, _BRIGHTER = 0.7, 1.43
#: Mean difference of thumbnails, their brightness taken out, above which a new scene begins; 8-bit code values.
_NEW_SCENE = 18
#: Frames darker than this, in 8-bit code values above black, and scenes of fewer frames than this are left alone.
_DARK, _FEWEST = 2, 4


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
        if len(around) < _FEWEST or means.min() < _DARK * scale8(frame):
            return frame
        place = np.array(around) - at
        wanted = float(np.polyfit(place, means, 1)[1])
        own = float(means[around.index(at)])
        gain = float(np.clip(wanted / own, _LEAST_GAIN, _MOST_GAIN))
        planes = list(frame.planes)
        if frame.format.family == "rgb":
            planes[:3] = [quantised(p.astype(np.float32) * gain, frame) for p in planes[:3]]
        else:
            planes[0] = quantised((planes[0].astype(np.float32) - black) * gain + black, frame)
        return with_planes(frame, planes)

    @staticmethod
    def _same_scene(window: Sequence[Frame], at: int, low: int, high: int) -> list[int]:
        """Numbers in the window that belong to the scene of ``at``; a change of brightness alone begins no new one."""
        limit = _NEW_SCENE * scale8(window[at])
        found = [at]
        for numbers in (range(at - 1, low - 1, -1), range(at + 1, high)):
            last = _shape(window[at])
            for n in numbers:
                shape = _shape(window[n])
                jump = (shape[0] + limit) / (last[0] + limit)
                if np.abs(shape[1] - last[1]).mean() > limit or not _DARKER < jump < _BRIGHTER:
                    break
                found.append(n)
                last = shape
        return sorted(found)


def _shape(frame: Frame) -> tuple[float, npt.NDArray[np.float32]]:
    """Mean, and a small picture without it."""
    small = thumbnail(frame.planes[0][::2, ::2].astype(np.float32), 12)
    mean = float(small.mean())
    return mean, np.asarray(small - mean, np.float32)


FILTER: FilterDescriptor[None] = FilterDescriptor(
    name="deflicker",
    help="adjusts the brightness of each frame to the trend of those around it, within the scene",
    make=lambda _: Deflicker(),
    recommended=lambda found: found.flicker > FLICKERING,
)
