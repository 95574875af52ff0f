"""Breathing: brightness and colour that waver differently across the picture, brought back to their course in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidsr.filters.before.descriptor import FilterDescriptor
from vidsr.filters.before.filter import windowed
from vidsr.filters.detect.inspection import BREATHING
from vidsr.filters.film.light_field import Coefficients, LightChange, LitFrame, field, light_change, lit
from vidsr.filters.film.rgb_planes import changed_colours
from vidsr.frames import Floats, Frame

#: Frames on either side over which the course of the light is followed; fewest of a scene that is steadied.
REACH, FEWEST = 24, 9
#: Least trust in the motion between two frames, and the farthest that it may be, as a share of the longer side. Beyond,
#: as across a cut or in the hands of someone who walks, their light cannot be compared.
_TRUSTED, _FASTEST = 0.4, 0.01
#: Light that wavers crosses its course again and again; light that fades or is switched on does so once. So many
#: crossings, by so large a share of the deviation, must there be around a frame.
_CROSSINGS, _CLEAR = 2, 0.25
#: Root mean square of the logarithm of the gain from which it is corrected, and above which it is no breathing.
_LEAST, _MOST = 0.006, 0.25
#: Measuring errors add up along the course: so many steps' count.
_STEPS = REACH / 3
#: Standard errors by which a deviation must stand out; between this and twice as much it is corrected in part.
_SURE = 2.0


@dataclass(frozen=True, slots=True)
class BreathingFrame:
    """A frame, and how the light changed from the one before; None for the first."""

    frame: Frame
    change: LightChange | None


class SteadyLight:
    """Takes local flicker out: each frame's light is brought to the median of its course over a second.

    The course is that of the logarithm of the gain, smooth over the picture and separate for red, green and blue, added
    up from frame to frame within the scene with the camera's motion taken out. A median keeps steps and steady changes,
    so light that is switched on, fades and pans keep theirs.

    Its confidence is 1 less the standard error of the deviation as a share of the deviation.
    """

    name = "breathing"
    lookaround = (REACH, REACH)

    def __init__(self) -> None:
        self.least_confidence = 0.0

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        return windowed(changes_of(frames), REACH, REACH, self._steadied)

    def _steadied(self, window: Sequence[BreathingFrame], at: int) -> Frame:
        frame = window[at].frame
        away, confidence = deviation(window, at)
        size = _size(away)
        if size == 0 or (self.least_confidence and confidence < self.least_confidence):
            return frame

        def steadied(colours: Floats) -> Floats:
            return colours * field(-away, colours.shape[0], colours.shape[1])

        return changed_colours(frame, steadied)


def changes_of(frames: Iterator[Frame]) -> Iterator[BreathingFrame]:
    """Each frame with how the light changed from the one before."""
    before: LitFrame | None = None
    for frame in frames:
        now = lit(frame)
        yield BreathingFrame(frame, None if before is None else light_change(before, now, frame.width))
        before = now


def deviation(window: Sequence[BreathingFrame], at: int) -> tuple[Coefficients, float]:
    """By how much the light of frame ``at`` departs from its course, and the confidence in that, 0 to 1.

    The departure are coefficients of the logarithm of the gain, as far as they are sure; all 0 if they are not.
    """
    first, stop = _scene(window, at)
    changes = [change for n in range(first + 1, stop) if (change := window[n].change) is not None]
    if stop - first < FEWEST or not changes:
        return np.zeros((3, 1)), 0.0
    steps = np.array([change.coefficients for change in changes])
    course = np.concatenate((np.zeros((1, *steps.shape[1:])), np.cumsum(steps, 0)))
    away = course[at - first] - np.median(course, axis=0)
    size = _size(away)
    error = float(np.sqrt(np.median([change.variance for change in changes]) * _STEPS))
    if not _LEAST <= size <= _MOST or size <= _SURE * error or not _returns(course, away):
        return np.zeros_like(away), 0.0
    share = min(1.0, size / (_SURE * max(error, 1e-9)) - 1)
    return away * share, max(0.0, 1 - error / size)


def _returns(course: npt.NDArray[np.float64], away: Coefficients) -> bool:
    """Whether the course crosses its median as often as light does that wavers, in the direction of ``away``."""
    flat = (course - np.median(course, axis=0)).reshape(len(course), -1)
    along = flat @ away.reshape(-1) / float((away**2).sum())
    signs = np.sign(along[np.abs(along) > _CLEAR])
    return int((signs[1:] != signs[:-1]).sum()) >= _CROSSINGS


def breathing_of(frames: Sequence[Frame]) -> float:
    """By how much the light wavers differently over the picture, in consecutive frames: a share of the brightness, root
    mean square over frames and picture."""
    window = list(changes_of(iter(frames)))
    squares = []
    for at in range(len(window)):
        away, _ = deviation(window[max(0, at - REACH) : at + REACH + 1], min(at, REACH))
        # The first wave is the whole picture, which deflicker steadies.
        squares.append(float((away[:, 1:] ** 2).sum() / len(away)))
    return float(np.sqrt(np.mean(squares))) if squares else 0.0


def _size(coefficients: Coefficients) -> float:
    """The root mean square over the picture, of the mean over the colours."""
    return float(np.sqrt((coefficients**2).sum() / len(coefficients)))


def _scene(window: Sequence[BreathingFrame], at: int) -> tuple[int, int]:
    """The frames around ``at`` of its scene, as a half-open range."""

    def goes_on(n: int) -> bool:
        change = window[n].change
        if change is None or change.shift.trust < _TRUSTED or not np.isfinite(change.variance):
            return False
        frame = window[n].frame
        return max(abs(change.shift.x), abs(change.shift.y)) <= _FASTEST * max(frame.width, frame.height)

    low, high = at, at + 1
    while low > max(0, at - REACH) and goes_on(low):
        low -= 1
    while high < min(len(window), at + REACH + 1) and goes_on(high):
        high += 1
    return low, high


FILTER: FilterDescriptor[None] = FilterDescriptor(
    name="breathing",
    help="steadies brightness and colour that waver differently across the picture",
    make=lambda _: SteadyLight(),
    recommended=lambda found: found.breathing > BREATHING,
)
