"""Scratches along the film, in a stretch of frames: in how many, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Any

import numpy as np

from vidsr.filters.detect.statistics import codes8
from vidsr.filters.film.scratch_tracks import BRIDGE, lined_frames, scene_around, scratches, settled
from vidsr.frames import Floats, Frame

#: Most frames of a stretch that are looked at; wider pictures are halved across.
_MOST, _WIDEST = 36, 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchedSpan:
    """Consecutive frames with scratches: times of the first and last, seconds; most scratches of one frame."""

    start: Fraction
    end: Fraction
    lines: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"start": round(float(self.start), 3), "end": round(float(self.end), 3), "lines": self.lines}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchLook:
    """What was found in a stretch: the frames looked at, those with scratches, and where these are."""

    frames: int
    scratched: int
    spans: tuple[ScratchedSpan, ...]


def look_for_scratches(frames: Sequence[Frame]) -> ScratchLook:
    """Look at the first frames of a stretch."""
    seen = frames[:_MOST]
    window = list(lined_frames(_narrow(codes8(f.planes[0], f.format.max_code)) for f in seen))
    found = {}
    for at in range(len(window)):
        first, stop = scene_around(window, at)
        found[at] = scratches(window[first:stop], at - first)
    counts = []
    for at in range(len(window)):
        first, stop = scene_around(window, at)
        around = {n: found[n] for n in range(max(first, at - BRIDGE), min(stop, at + BRIDGE + 1))}
        counts.append(len(settled(window, around, at)))
    spans = []
    for has, numbers in groupby(range(len(counts)), key=lambda n: counts[n] > 0):
        inside = list(numbers)
        if has:
            start, end = (seen[n].pts * seen[n].time_base for n in (inside[0], inside[-1]))
            spans.append(ScratchedSpan(start=start, end=end, lines=max(counts[n] for n in inside)))
    return ScratchLook(frames=len(seen), scratched=sum(count > 0 for count in counts), spans=tuple(spans))


def _narrow(luma: Floats) -> Floats:
    while luma.shape[1] > _WIDEST:
        luma = (luma[:, 0 : luma.shape[1] // 2 * 2 : 2] + luma[:, 1::2]) / np.float32(2)
    return luma
