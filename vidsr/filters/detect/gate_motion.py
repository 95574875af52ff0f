"""Whether the picture trembles as film in a gate does: from frame to frame, whatever the camera does.

The gate places each frame afresh, so that a displacement to one side tends to be followed by one back: differences from
frame to frame are negatively correlated. A hand-held camera moves on for several frames: they are positively
correlated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from vidsr.filters.film.registration import Registered, registered_shift
from vidsr.filters.film.steady_path import frame_jitter, returning
from vidsr.frames import Array

#: Pictures are halved until their shorter side is shorter than this.
_FINEST_PX = 280
#: Least trust in a displacement (a cut has less), and the least that a scene's displacements have at their median.
_TRUSTED, _SURE = 0.2, 0.5
#: A frame that changes by no more than this share of the median change repeats the one before.
_REPEATS = 0.3
#: Fewest pictures of a scene that is judged; most that are registered of each stretch.
_FEWEST, _MOST = 20, 48
#: Correlation of the trembling's differences with the next ones: that of independent displacements is -0.5.
_BACK = -0.25
#: Share of a scene's frames that must tremble for the scene to count, in thirds of the scene.
_THIRDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Tremble:
    """One scene: when it begins and ends, seconds; by how much it trembles, px, 0 if it does not; its ``pictures``."""

    start: Fraction
    end: Fraction
    jitter: float
    pictures: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"start": round(float(self.start), 3), "end": round(float(self.end), 3), "px": round(self.jitter, 3)}


class GateMotion:
    """Takes the frames of one stretch in order, then gives its scenes."""

    def __init__(self) -> None:
        self._frames: list[tuple[Registered, Fraction]] = []

    def add(self, luma: Array, max_code: int, time: Fraction) -> None:
        """The next frame; those after the first few dozen are passed over."""
        if len(self._frames) < _MOST:
            self._frames.append((Registered(luma, max_code, _FINEST_PX), time))

    def found(self) -> list[Tremble]:
        """One entry for each scene that is long enough."""
        if len(self._frames) < _FEWEST:
            return []
        kept = self._without_repeats()
        scenes: list[Tremble] = []
        shifts: list[tuple[float, float, float]] = []
        first = 0
        for n in range(1, len(kept) + 1):
            shift = registered_shift(kept[n - 1][0], kept[n][0]) if n < len(kept) else None
            if shift is None or shift.trust < _TRUSTED:
                if n - first >= _FEWEST:
                    scenes.append(_judged(shifts, kept[first][1], kept[n - 1][1]))
                shifts, first = [], n
            else:
                shifts.append((shift.x, shift.y, shift.trust))
        return scenes

    def _without_repeats(self) -> list[tuple[Registered, Fraction]]:
        changes = [
            float(np.abs(a[0].picture - b[0].picture).mean())
            for a, b in zip(self._frames, self._frames[1:], strict=False)
        ]
        usual = float(np.median([c for c in changes if c > 0] or [0.0]))
        return [self._frames[0]] + [
            frame for frame, change in zip(self._frames[1:], changes, strict=True) if change > _REPEATS * usual
        ]


def _judged(shifts: Sequence[tuple[float, float, float]], start: Fraction, end: Fraction) -> Tremble:
    values = np.array(shifts)
    jitter = 0.0
    if float(np.median(values[:, 2])) >= _SURE:
        jitter = max(trembling(values[:, axis]) for axis in (0, 1))
    return Tremble(start=start, end=end, jitter=jitter, pictures=len(shifts) + 1)


def trembling(steps: npt.NDArray[np.float64]) -> float:
    """Standard deviation of what trembles in displacements from frame to frame, px; 0 where they run on.

    It must show in each third of them: a single jolt does not make a gate.
    """
    positions = np.concatenate(([0.0], np.cumsum(steps)))
    parts = np.array_split(positions, _THIRDS) if len(positions) >= _THIRDS * 7 else [positions]
    if min(returning(part) for part in parts) >= 0 or returning(positions) > _BACK:
        return 0.0
    return min(frame_jitter(positions), 2 * min(frame_jitter(part) for part in parts))
