"""Deflicker: the brightness of each frame brought onto the course of the frames around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidsr.filters.before.descriptor import FilterDescriptor
from vidsr.filters.before.filter import quantised, scale8, windowed, with_planes
from vidsr.filters.detect.inspection import FLICKERING
from vidsr.filters.detect.statistics import thumbnail
from vidsr.frames import Frame, Plane
from vidsr.native import pictures

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

    Its confidence is 1 less the standard error of the line at the frame as a share of the correction.
    """

    name = "deflicker"
    REACH = 6
    lookaround = (REACH, REACH)

    def __init__(self) -> None:
        self.least_confidence = 0.0

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        yield from windowed(map(_look, frames), self.REACH, self.REACH, self._steady)

    def _steady(self, window: Sequence[_Exposure], at: int) -> Frame:
        frame = window[at].frame
        low, high = max(0, at - self.REACH), min(len(window), at + self.REACH + 1)
        black = (16 if frame.colour.range == "limited" else 0) * scale8(frame)
        around = self._same_scene(window, at, low, high)
        means = np.array([window[n].mean - black for n in around])
        if len(around) < _FEWEST or means.min() < _DARK * scale8(frame):
            return frame
        place = np.array(around) - at
        wanted = float(np.polyfit(place, means, 1)[1])
        own = float(means[around.index(at)])
        if self.least_confidence and _confidence(place, means, wanted - own) < self.least_confidence:
            return frame
        gain = float(np.clip(wanted / own, _LEAST_GAIN, _MOST_GAIN))
        codes = np.arange(frame.format.max_code + 1, dtype=np.float32)
        planes = list(frame.planes)
        if frame.format.family == "rgb":
            planes[:3] = [_through(quantised(codes * gain, frame), plane) for plane in planes[:3]]
        else:
            planes[0] = _through(quantised((codes - black) * gain + black, frame), planes[0])
        return with_planes(frame, planes)

    @staticmethod
    def _same_scene(window: Sequence[_Exposure], at: int, low: int, high: int) -> list[int]:
        """Numbers in the window that belong to the scene of ``at``; a change of brightness alone begins no new one."""
        limit = _NEW_SCENE * scale8(window[at].frame)
        found = [at]
        for numbers in (range(at - 1, low - 1, -1), range(at + 1, high)):
            last = window[at]
            for n in numbers:
                seen = window[n]
                jump = (seen.level + limit) / (last.level + limit)
                if np.abs(seen.shape - last.shape).mean() > limit or not _DARKER < jump < _BRIGHTER:
                    break
                found.append(n)
                last = seen
        return sorted(found)


@dataclass(frozen=True, slots=True)
class _Exposure:
    """A frame, the mean of its first plane, and the mean of a small picture of it and that picture without its mean."""

    frame: Frame
    mean: float
    level: float
    shape: npt.NDArray[np.float32]


def _confidence(place: npt.NDArray[np.int_], means: npt.NDArray[np.float64], change: float) -> float:
    """1 less the standard error, at place 0, of a line through the ``means``, as a share of the ``change``; 0 to 1."""
    slope, level = np.polyfit(place, means, 1)
    scatter = float(np.sqrt(((means - slope * place - level) ** 2).sum() / max(1, len(place) - 2)))
    spread = float(((place - place.mean()) ** 2).sum())
    error = scatter * float(np.sqrt(1 / len(place) + place.mean() ** 2 / max(spread, 1)))
    return max(0.0, 1 - error / max(abs(change), 1e-9))


def _look(frame: Frame) -> _Exposure:
    small = thumbnail(frame.planes[0][::2, ::2].astype(np.float32), 12)
    level = float(small.mean())
    total = pictures.total(frame.planes[0])
    mean = float(frame.planes[0].mean()) if total is None else total / frame.planes[0].size
    return _Exposure(frame, mean, level, np.asarray(small - level, np.float32))


def _through(table: Plane, plane: Plane) -> Plane:
    """The code values that the table holds for those of the plane; damaged frames may have larger ones than it has."""
    made = pictures.looked_up(plane, table)
    return table[np.minimum(plane, len(table) - 1)] if made is None else made


FILTER: FilterDescriptor[None] = FilterDescriptor(
    name="deflicker",
    help="adjusts the brightness of each frame to the trend of those around it, within the scene",
    make=lambda _: Deflicker(),
    recommended=lambda found: found.flicker > FLICKERING,
)
