"""Breathing: brightness and colour that waver differently across the picture, brought back to their course in time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vidsr.filters.before.descriptor import FilterDescriptor
from vidsr.filters.before.filter import windowed
from vidsr.filters.detect.inspection import BREATHING
from vidsr.filters.film.light_field import Coefficients, LightChange, cosines, field, light_change
from vidsr.filters.film.rgb_planes import changed_colours
from vidsr.frames import Floats, Frame

if TYPE_CHECKING:
    from vidsr.filters.film.lit_pictures import LitPicture

LightCourse = npt.NDArray[np.float64]
#: How the light changed from one frame to the next, frame by frame; None for the first.
Changes = Sequence[LightChange | None]

#: Frames on either side over which the course of the light is followed; fewest of a scene that is steadied.
REACH, FEWEST = 36, 9
#: The first where the light of the picture is judged as a whole.
_NEAR = 24
#: Least trust in the match of two frames. Below, as across a cut, their light cannot be compared.
_TRUSTED = 0.5
#: A step of the light larger than this, and so many times the usual one, is a cut or a switch.
_SWITCHED, _UNUSUAL = 0.03, 4.0
#: Light that wavers crosses its course again and again; light that fades or is switched on does so once, a shadow that
#: passes twice. So many crossings there must be of all the light together, and of the light at one place.
_CROSSINGS, _CROSSINGS_OF_PLACE = 2, 3
#: Crossings count by so large a share of the deviation; least ratio of how far the light goes to the one side and the
#: other.
_CLEAR, _EVEN = 0.25, 0.35
#: Rows and columns of places.
_PLACES = (6, 8)
#: Light that wavers also changes all the time: so large a share of the steps must take part.
_BUSY = 0.12
#: Root mean square of the logarithm of the gain from which it is corrected, as a whole and place by place; and above
#: which it is no breathing.
_LEAST, _LEAST_OF_PLACES, _MOST = 0.013, 0.006, 0.25
#: Measuring errors add up along the course: so many steps' count.
_STEPS = 8.0
#: Standard errors by which a deviation must stand out, as a whole and place by place; and the share more at which it is
#: corrected in full.
_SURE, _SURE_OF_PLACES, _SOFT = 2.6, 1.5, 0.5


class SteadyLight:
    """Takes local flicker out: each frame's light is brought to the median of its course.

    The course is that of the logarithm of the gain, smooth over the picture and separate for red, green and blue, added
    up from frame to frame within the scene along the motion. A median keeps steps and steady changes, so light that is
    switched on, fades and pans keep theirs. If not all of the light wavers, that of each place is judged alone.

    Its confidence is 1 less the standard error of the deviation as a share of the deviation.
    """

    name = "breathing"
    lookaround = (REACH, REACH)

    def __init__(self) -> None:
        self.least_confidence = 0.0

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        waiting: deque[Frame] = deque()  # of the frames before, only the light counts

        def coming() -> Iterator[Frame]:
            for frame in frames:
                waiting.append(frame)
                yield frame

        def made(changes: Changes, at: int) -> Frame:
            return self._steadied(waiting.popleft(), *deviation(changes, at))

        return windowed(changes_of(coming()), REACH, REACH, made)

    def _steadied(self, frame: Frame, away: Coefficients, confidence: float) -> Frame:
        if _size(away) == 0 or (self.least_confidence and confidence < self.least_confidence):
            return frame

        def steadied(colours: Floats) -> Floats:
            return colours * field(-away, colours.shape[0], colours.shape[1])

        return changed_colours(frame, steadied)


def changes_of(frames: Iterator[Frame]) -> Iterator[LightChange | None]:
    """How the light of each frame changed from the one before; None for the first."""
    from vidsr.filters.film.lit_pictures import lit_picture

    before: LitPicture | None = None
    for frame in frames:
        now = lit_picture(frame)
        yield None if before is None else light_change(before, now)
        before = now


def deviation(around: Changes, at: int) -> tuple[Coefficients, float]:
    """By how much the light of frame ``at`` departs from its course, and the confidence in that, 0 to 1.

    The departure are coefficients of the logarithm of the gain, as far as they are sure; all 0 if they are not.
    """
    first, stop = _scene(around, at)
    changes = [change for n in range(first + 1, stop) if (change := around[n]) is not None]
    if stop - first < FEWEST or not changes:
        return np.zeros((3, 1)), 0.0
    steps = np.array([change.coefficients for change in changes])
    course = np.concatenate((np.zeros((1, *steps.shape[1:])), np.cumsum(steps, 0)))
    error = float(np.sqrt(np.median([change.variance for change in changes]) * _STEPS))
    judged = ((_as_a_whole, _LEAST, _SURE), (_place_by_place, _LEAST_OF_PLACES, _SURE_OF_PLACES))
    for found, slightest, sure in judged:
        away = found(course, at - first)
        size, least = _size(away), max(slightest, sure * error)
        if least < size <= _MOST and _busy(steps, away):
            return away * min(1.0, (size / least - 1) / _SOFT), 1 - error / size
    return np.zeros(course.shape[1:]), 0.0


def _as_a_whole(course: LightCourse, at: int) -> Coefficients:
    """How far the course ``[frames, 3, waves]`` is from its median at frame ``at``; 0 unless all of it wavers alike."""
    apart, own = _apart(course, at, _NEAR)
    return own * _wavers(apart.reshape(len(apart), -1, 1), own.reshape(-1, 1), _CROSSINGS)


def _place_by_place(course: LightCourse, at: int) -> Coefficients:
    """The same; 0 at places where the light does not waver."""
    waves = cosines(*_PLACES).reshape(_PLACES[0] * _PLACES[1], -1)
    apart, own = _apart(course @ waves.T, at, REACH)
    return np.asarray((own * _wavers(apart, own, _CROSSINGS_OF_PLACE)) @ waves / len(waves))


def _apart(course: LightCourse, at: int, reach: int) -> tuple[LightCourse, Coefficients]:
    """How far the frames around ``at`` are from the median of them all, and how far that frame is."""
    around = course[max(0, at - reach) : at + reach + 1]
    apart = around - np.median(around, axis=0)
    return apart, apart[min(at, reach)]


def _wavers(apart: LightCourse, own: Coefficients, crossings: int) -> npt.NDArray[np.bool_]:
    """At which places the departures ``[frames, values, places]`` change sides as often, and go as far to either side,
    as those of light that wavers; in the direction of ``own`` ``[values, places]``."""
    along = (apart * own).sum(1) / np.maximum((own**2).sum(0), 1e-12)
    up, down = along.max(0), -along.min(0)
    wavers = np.minimum(up, down) >= _EVEN * np.maximum(up, down)
    for place in np.flatnonzero(wavers):
        signs = np.sign(along[np.abs(along[:, place]) > _CLEAR, place])
        wavers[place] = (signs[1:] != signs[:-1]).sum() >= crossings
    return np.asarray(wavers)


def _busy(steps: LightCourse, away: Coefficients) -> bool:
    """Whether many of the steps, not a few, moved the light in the direction of ``away``: how many is the squared sum
    of their powers over the sum of the squares, as effective samples are counted."""
    powers = (steps * away).sum((1, 2)) ** 2
    return bool(powers.sum() ** 2 >= _BUSY * len(powers) * (powers**2).sum())


def breathing_of(frames: Sequence[Frame]) -> float:
    """By how much the light wavers differently over the picture, in consecutive frames: a share of the brightness, root
    mean square over frames and picture."""
    changes = list(changes_of(iter(frames)))
    squares = []
    for at in range(len(changes)):
        away, _ = deviation(changes[max(0, at - REACH) : at + REACH + 1], min(at, REACH))
        # The first wave is the whole picture, which deflicker steadies.
        squares.append(float((away[:, 1:] ** 2).sum() / len(away)))
    return float(np.sqrt(np.mean(squares))) if squares else 0.0


def _size(coefficients: Coefficients) -> float:
    """The root mean square over the picture, of the mean over the colours."""
    return float(np.sqrt((coefficients**2).sum() / len(coefficients)))


def _scene(changes: Changes, at: int) -> tuple[int, int]:
    """The frames around ``at`` of its scene, as a half-open range."""
    sizes = [0.0 if change is None else _size(change.coefficients) for change in changes]
    switched = max(_SWITCHED, _UNUSUAL * float(np.median(sizes)))

    def goes_on(n: int) -> bool:
        change = changes[n]
        if change is None or change.trust < _TRUSTED or not np.isfinite(change.variance):
            return False
        return sizes[n] <= switched

    low, high = at, at + 1
    while low > max(0, at - REACH) and goes_on(low):
        low -= 1
    while high < min(len(changes), at + REACH + 1) and goes_on(high):
        high += 1
    return low, high


FILTER: FilterDescriptor[None] = FilterDescriptor(
    name="breathing",
    help="steadies brightness and colour that waver differently across the picture",
    make=lambda _: SteadyLight(),
    recommended=lambda found: found.breathing > BREATHING,
)
