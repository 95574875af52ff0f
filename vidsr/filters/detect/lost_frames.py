"""Frames that a capture lost: gaps between time stamps, and jumps of the motion next to a repeated frame.

A source of constant rate whose frames are here and there two or more steps apart has lost what lies between. Other
capture software keeps the steps even: it shows a frame again where one is lost. Then the picture stands still for a
step, and moves twice as far as usual in the step before or after. The repeated frame *stands in* for the lost one.

Repeats alone prove nothing (animation, film in a transfer, a pause). So the motion of the jump is compared, place by
place, with that of the steps before and after it, which must agree with each other. Where they do not, as at a cut, or
where nothing moves, nothing is reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from vidsr.filters.between.rate_table import LONG_SECONDS, LONG_STEPS
from vidsr.filters.detect.cadence import change, signature
from vidsr.filters.detect.interlace import Luma, prepare

#: Of the distances between frames, this share must be usual ones, and at most this share neither usual nor a multiple.
_CONSTANT, _IRREGULAR = 0.7, 0.05
#: A usual distance may vary by this part of itself; a gap, counted in usual distances, may differ by this much from a
#: whole number.
_USUAL, _WHOLE = 1 / 6, 1 / 4
#: Fewer distances prove no constant rate.
_FEWEST = 8
#: No frames are made in gaps of at least this share of the length from which
#: :class:`vidsr.filters.between.rate_table.SourceTimes` holds frames.
_BELOW = 0.98

#: Columns of the pictures in which motion is measured, about.
_COLUMNS = 256
#: A frame repeats the one before if it changes by at most this share of the usual change, the median of so many changes
#: before or after (the lower one, so that a cut to a calm scene is not a repeat); that must be this many 8-bit code
#: values at least.
_REPEAT, _BEFORE, _AFTER, _VISIBLE = 0.25, 8, 4, 1.0
#: So many frames before repeats, and those after, must not repeat any: else the repeats are a pattern, as in animation.
_ALONE = 5
#: Most repeats in a row.
_MOST_REPEATS = 5
#: Pixels of these pictures that a place must move in a step, and the share of it by which the two steps may differ.
_MOVING_PX, _STEADY = 0.4, 0.6
#: Share of the picture, without this share at each edge, that must move so.
_LEAST_MOVING, _EDGE = 0.03, 0.08
#: Share of these places that must jump as far as the lost frames account for, within this share of the jump; and the
#: factors by which the median of all may differ from it.
_LEAST_JUMPING, _LIKE, _SHORT, _FAR = 0.4, 0.3, 0.75, 1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """``count`` frames that are missing after frame ``after``; ``long``: too many to be made again."""

    after: int
    count: int
    long: bool


def gaps(pts: Sequence[int], time_base: Fraction) -> list[Gap]:
    """The gaps in ascending stamps of a source whose rate is otherwise constant; none if it is not."""
    steps = np.diff(np.asarray(pts, np.float64))
    if len(steps) < _FEWEST:
        return []
    median = float(np.median(steps))
    usual = np.abs(steps - median) <= _USUAL * median
    step = float(steps[usual].mean())
    multiples = steps / step
    whole = np.rint(multiples)
    lost = ~usual & (whole >= 2) & (np.abs(multiples - whole) <= _WHOLE)
    if usual.mean() < _CONSTANT or (~usual & ~lost).mean() > _IRREGULAR:
        return []
    longest = _BELOW * max(float(LONG_SECONDS / time_base), float(LONG_STEPS) * step)
    return [
        Gap(after=int(n), count=int(whole[n]) - 1, long=bool(whole[n] * step > longest)) for n in np.flatnonzero(lost)
    ]


class StandIns:
    """Takes the frames of a stretch one by one, then names those that stand in for lost ones."""

    def __init__(self) -> None:
        self._pictures: dict[int, Luma] = {}
        self._changes: list[float] = []  # from each frame to the next
        self._blocks: Luma | None = None
        self._count = 0
        self._found: list[range] = []

    def add(self, luma: npt.NDArray[Any], max_code: int, blocks: Luma | None = None) -> None:
        """Look at the next frame: its luma in code values up to ``max_code``, and its signature where it is known."""
        picture = _reduced(luma, max_code)
        blocks = signature(prepare(luma, max_code)) if blocks is None else blocks
        if self._blocks is not None:
            self._changes.append(change(self._blocks, blocks))
        self._blocks = blocks
        self._pictures[self._count] = picture
        self._pictures.pop(self._count - _MOST_REPEATS - _AFTER - 4, None)
        self._count += 1
        self._consider(self._count - 1 - _AFTER)

    def found(self) -> list[range]:
        """The numbers of stand-ins, as runs; the first frame added is 0. To be called once, after the last frame."""
        for last in range(max(0, self._count - _AFTER), self._count):
            self._consider(last)
        return self._found

    def _repeats(self, number: int) -> bool:
        """Whether a frame repeats the one before, in a passage that moves."""
        at = number - 1
        if not 0 <= at < len(self._changes):
            return False
        usual = float(np.median(self._changes[max(0, at - _BEFORE) : at + _AFTER]))
        return usual >= _VISIBLE and self._changes[at] <= _REPEAT * usual

    def _consider(self, last: int) -> None:
        """Add the repeats that end with frame ``last``, if a jump lies before or after them."""
        if not self._repeats(last) or self._repeats(last + 1):
            return
        first = last
        while self._repeats(first - 1):
            first -= 1
        lost = last - first + 1
        if lost > _MOST_REPEATS or not self._stands_still(first, last):
            return
        if self._jumps((first - 2, first - 1, last, last + 1, last + 2), lost):
            self._found.append(range(first, last + 1))
        elif self._jumps((first - 3, first - 2, first - 2, last, last + 1), lost):
            self._found.append(range(first - 1, last))

    def _stands_still(self, first: int, last: int) -> bool:
        """Whether frames ``first`` to ``last`` repeat one, against those around, and no others near them do."""
        before, after = self._changes[max(0, first - 1 - _BEFORE) : first - 1], self._changes[last : last + _AFTER]
        if len(before) < _ALONE or not after:
            return False
        usual = min(float(np.median(before)), float(np.median(after)))
        still = _REPEAT * usual
        alone = min((*before[-_ALONE:], *after)) > still
        return usual >= _VISIBLE and alone and max(self._changes[first - 1 : last]) <= still

    def _jumps(self, numbers: tuple[int, int, int, int, int], lost: int) -> bool:
        """Whether the motion from the third to the fourth frame is that of ``lost`` + 1 steps.

        From the first to the second, and from the fourth to the fifth, are steps; the third looks like the second.
        """
        pictures = [self._pictures.get(number) for number in numbers]
        if any(picture is None for picture in pictures):
            return False
        return _is_jump([picture for picture in pictures if picture is not None], lost)


def _reduced(luma: npt.NDArray[Any], max_code: int) -> Luma:
    """The means of square blocks of a luma plane in 8-bit code values, some 256 columns."""
    side = max(1, round(luma.shape[1] / _COLUMNS))
    rows, columns = luma.shape[0] // side, luma.shape[1] // side
    if side == 1:
        return luma.astype(np.float32) * np.float32(255 / max_code)
    total = np.zeros((rows, columns), np.float32)
    for y in range(side):
        for x in range(side):
            total += luma[y : rows * side : side, x : columns * side : side]
    return total * np.float32(255 / (max_code * side * side))


def _is_jump(pictures: Sequence[Luma], lost: int) -> bool:
    """As :meth:`StandIns._jumps`, from the five pictures."""
    import torch

    from vidsr.filters.flow import optical_flow, warp

    with torch.inference_mode():
        early, start, again, jumped, late = (torch.from_numpy(p / np.float32(255))[None, None] for p in pictures)
        jump = optical_flow(again, jumped)  # where each place of the frame before the jump goes
        before = -optical_flow(start, early)
        after = warp(optical_flow(jumped, late), jump, "bilinear")
        rows, columns = (round(_EDGE * side) for side in jump.shape[-2:])
        inner = (..., slice(rows, -rows or None), slice(columns, -columns or None))
        jump, before, after = jump[inner], before[inner], after[inner]
        step = (before + after) / 2
        length = step.norm(dim=1)
        steady = (length > _MOVING_PX) & ((after - before).norm(dim=1) <= _STEADY * length)
        jumping = (jump - (lost + 1) * step).norm(dim=1) <= _LIKE * (lost + 1) * length
        moving = float(steady.float().mean())
        if moving < _LEAST_MOVING or float((steady & jumping).float().mean()) < _LEAST_JUMPING * moving:
            return False
        steps = ((jump * step).sum(1) / length**2)[steady].median()
        return bool(_SHORT <= float(steps) / (lost + 1) <= _FAR)


@dataclass(frozen=True, slots=True, kw_only=True)
class LostFrames:
    """A place at which ``count`` frames were lost: ``at`` seconds from the start the first of them was due.

    ``by`` is "time stamps" or "motion"; ``long``: too many to be made again.
    """

    at: Fraction
    count: int
    by: str
    long: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "at": round(float(self.at), 3),
            "timecode": timecode(self.at),
            "frames": self.count,
            "by": self.by,
            "refillable": not self.long,
        }


class LostFrameFinder:
    """Takes consecutive frames of one stretch, with their stamps, and lists where frames were lost."""

    def __init__(self) -> None:
        self._pts: list[int] = []
        self._stand_ins = StandIns()

    def add(self, luma: npt.NDArray[Any], max_code: int, pts: int, blocks: Luma | None = None) -> None:
        """Look at the next frame; arguments as for :meth:`StandIns.add`."""
        self._pts.append(pts)
        self._stand_ins.add(luma, max_code, blocks)

    def found(self, time_base: Fraction, *, motion: bool) -> list[LostFrames]:
        """All places, in order; ``at`` counts from stamp 0. Without ``motion``, only those that time stamps show."""
        pts = self._pts
        if any(b <= a for a, b in pairwise(pts)):
            return []
        places = [
            LostFrames(
                at=(pts[gap.after] + Fraction(pts[gap.after + 1] - pts[gap.after], gap.count + 1)) * time_base,
                count=gap.count,
                by="time stamps",
                long=gap.long,
            )
            for gap in gaps(pts, time_base)
        ]
        if motion:
            runs = self._stand_ins.found()
            places += [LostFrames(at=pts[run[0]] * time_base, count=len(run), by="motion") for run in runs]
        return sorted(places, key=lambda place: place.at)


def timecode(seconds: Fraction) -> str:
    """A time for people, for example ``0:01:02.360``."""
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}.{thousandths:03}"
