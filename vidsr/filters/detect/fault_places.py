"""Where in a clip faults were measured: the stretches looked at, and how strong each fault is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlace:
    """A stretch of time: from the first frame to the last, in seconds; how ``strong`` a fault is there; and the ``at``
    of the frame that shows it best."""

    start: Fraction
    end: Fraction
    strong: float = 0.0
    at: Fraction | None = None

    @property
    def shown(self) -> Fraction:
        """The time of the frame to show."""
        return self.start if self.at is None else self.at

    def moved(self, by: Fraction) -> FaultPlace:
        """``by`` seconds earlier, but not before 0."""
        start, end, shown = (max(Fraction(0), time - by) for time in (self.start, self.end, self.shown))
        return FaultPlace(start=start, end=end, strong=self.strong, at=shown)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        strong = round(self.strong, 3)
        return {"start": round(float(self.start), 3), "end": round(float(self.end), 3), "strong": strong}


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlaces:
    """Places of what :class:`~vidsr.filters.detect.inspection.Inspection` has as one figure for the whole clip.

    ``looked_at`` are the stretches that were examined. ``combed`` are interlaced or telecined stretches, by combed
    cells; ``flicker`` scenes, ``noise``, ``blocking`` and ``banding`` single frames, all of them in the unit of the
    figure.
    """

    looked_at: tuple[FaultPlace, ...] = ()
    combed: tuple[FaultPlace, ...] = ()
    flicker: tuple[FaultPlace, ...] = ()
    noise: tuple[FaultPlace, ...] = ()
    blocking: tuple[FaultPlace, ...] = ()
    banding: tuple[FaultPlace, ...] = ()

    def moved(self, by: Fraction) -> FaultPlaces:
        """All ``by`` seconds earlier."""
        return self._each(lambda place: place.moved(by))

    def _each(self, change: Callable[[FaultPlace], FaultPlace]) -> FaultPlaces:
        return FaultPlaces(**{f.name: tuple(map(change, getattr(self, f.name))) for f in fields(self)})

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {f.name: [place.to_json() for place in getattr(self, f.name)] for f in fields(self)}


def above(places: Iterable[FaultPlace], limit: float) -> tuple[FaultPlace, ...]:
    """The places that are stronger than ``limit``, in order of time."""
    return tuple(sorted((p for p in places if p.strong > limit), key=lambda place: place.start))
