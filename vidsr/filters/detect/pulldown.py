"""The rhythm of 3:2 pulldown over a whole recording, found from fields that are shown again.

Film in five video frames takes ten fields: one of each kind is shown twice. In top-field-first video a frame's top
field is that of the frame before, and two frames later the bottom field is. What is coded twice is never quite alike,
and slow motion changes little from field to field; so it is not judged frame by frame, but by which rhythm fits best
over many groups of five, with a price on changing it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vidsr.filters.detect.interlace import Luma, changes

CYCLE = 5
#: Bounds on the cost of one field, as the logarithm of a ratio; its cost if both fields change alike; the gain of
#: having no rhythm where there is motion; the price of another rhythm than in the group before.
_STRONGEST, _AGAINST, _ALIKE, _NONE, _SWITCH = -1.5, 0.7, 0.3, -0.25, 2.0
#: Mean change (8-bit code values) that is added to all, so that smaller ones say little.
_FLOOR = 0.05
#: Differences up to this are noise; a frame moves if it differs by more than that on average by at least so much.
_NOISE, _MOVING = 3.0, 0.1


@dataclass(frozen=True, slots=True)
class FieldChange:
    """How far the two fields of a frame differ from those of the frame before; mean 8-bit code values.

    ``moves`` is whether that is more than noise.
    """

    top: float = 0.0
    bottom: float = 0.0
    moves: bool = False


def field_change(before: Luma | None, now: Luma) -> FieldChange:
    """The change of each field; none for the first frame."""
    if before is None:
        return FieldChange()
    top, bottom, clear_top, clear_bottom = changes(before, now, _NOISE)
    return FieldChange(top, bottom, (clear_top + clear_bottom) / 2 > _MOVING)


def rhythm(changes: Sequence[FieldChange], order: str) -> list[int | None]:
    """For each group of five frames: which of them shows a field again first (its film frame is the one before's),
    or None where there is no pulldown."""
    groups = range(0, len(changes), CYCLE)
    states: list[int | None] = [None, *range(CYCLE)]
    costs = [[_cost(changes, first, state, order) for state in states] for first in groups]
    best = [0.0] * len(states)
    came: list[list[int]] = []
    for row in costs:
        cheapest = min(range(len(states)), key=lambda k: best[k])
        origin = [k if best[k] <= best[cheapest] + _SWITCH else cheapest for k in range(len(states))]
        best = [min(best[k], best[cheapest] + _SWITCH) + row[k] for k in range(len(states))]
        came.append(origin)
    at = min(range(len(states)), key=lambda k: best[k])
    found: list[int | None] = []
    for origin in reversed(came):
        found.append(states[at])
        at = origin[at]
    return found[::-1]


def _cost(changes: Sequence[FieldChange], first: int, state: int | None, order: str) -> float:
    """How badly a rhythm fits one group; negative where it fits."""
    if state is None:
        group = changes[first : first + CYCLE]
        return _NONE * sum(c.moves for c in group) / len(group)
    return _repeat_cost(changes, first + state, order == "tff") + _repeat_cost(
        changes, first + state + 2, order != "tff"
    )


def _repeat_cost(changes: Sequence[FieldChange], at: int, is_top: bool) -> float:
    """How unlikely it is that a field repeats the one before, from its change against that of the other field."""
    if not 0 < at < len(changes):
        return 0.0
    top, bottom = changes[at].top + _FLOOR, changes[at].bottom + _FLOOR
    ratio = math.log(top / bottom if is_top else bottom / top)
    return min(max(ratio, _STRONGEST), _AGAINST) + _ALIKE * changes[at].moves
