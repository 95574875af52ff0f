"""Which frame of one video belongs to which of another: by their timestamps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Literal

Align = Literal["pts", "index"]


@dataclass(frozen=True, slots=True)
class Pairs:
    """``pairs`` of frame numbers (reference, other), rising in both; ``shift`` was added to the other's times."""

    pairs: tuple[tuple[int, int], ...]
    shift: Fraction = Fraction(0)


def pair_up(reference: Sequence[Fraction], other: Sequence[Fraction], align: Align = "pts") -> Pairs:
    """Pair frames by the times (seconds) at which they are shown.

    Two frames belong together if their times differ by less than half of the shortest time between two frames of
    either video: no frame can then have two partners. If the times as they stand pair fewer frames than the times
    counted from each video's first frame do, the latter are used (some containers cannot start later than 0).
    With ``align`` "index" frames are paired by number.
    """
    if align == "index":
        return Pairs(tuple((i, i) for i in range(min(len(reference), len(other)))))
    plain = _match(reference, other)
    if not reference or not other or len(plain) == min(len(reference), len(other)):
        return Pairs(plain)
    shift = reference[0] - other[0]
    shifted = _match(reference, [t + shift for t in other])
    return Pairs(shifted, shift) if len(shifted) > len(plain) else Pairs(plain)


def _match(reference: Sequence[Fraction], other: Sequence[Fraction]) -> tuple[tuple[int, int], ...]:
    gaps = [b - a for times in (reference, other) for a, b in pairwise(times)]
    reach = min(gaps) / 2 if gaps else Fraction(1, 2)
    pairs = []
    i = j = 0
    while i < len(reference) and j < len(other):
        distance = other[j] - reference[i]
        if abs(distance) < reach:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif distance > 0:
            i += 1
        else:
            j += 1
    return tuple(pairs)
