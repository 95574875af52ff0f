"""Measures of single pictures: bars, colour or grey, compression blocks, true resolution; and scene cuts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from vidsr.frames import Floats, Frame

#: By how many code values a picture is brighter than its bars, from some pixels outside the edge to some inside.
_JUMP = 25.0


@dataclass(frozen=True, slots=True)
class Bars:
    """Lines and columns of bar at each edge, and whether the picture begins there abruptly (or may just be dark)."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0
    sharp: tuple[bool, bool, bool, bool] = (True, True, True, True)

    def common(self, other: Bars) -> Bars:
        """The bars that two frames share."""
        sides, sharp = [], []
        for n, (a, b) in enumerate(zip(self._sides(), other._sides(), strict=True)):
            sides.append(min(a, b))
            near = [bars.sharp[n] for bars, side in ((self, a), (other, b)) if side <= min(a, b) + 1]
            sharp.append(any(near))
        return Bars(sides[0], sides[1], sides[2], sides[3], (sharp[0], sharp[1], sharp[2], sharp[3]))

    def real(self) -> Bars:
        """Only the bars whose edge is sharp."""
        kept = [side if sharp else 0 for side, sharp in zip(self._sides(), self.sharp, strict=True)]
        return Bars(kept[0], kept[1], kept[2], kept[3])

    def _sides(self) -> tuple[int, int, int, int]:
        return self.left, self.top, self.right, self.bottom


def codes8(plane: npt.NDArray[Any], max_code: int) -> Floats:
    """A plane as float32 in 8-bit code values."""
    picture = plane.astype(np.float32)
    return picture if max_code == 255 else picture * np.float32(255 / max_code)


def find_bars(luma: Floats) -> Bars | None:
    """The dark, even bars around a picture; None where the picture is too dark to tell.

    A line belongs to a bar while 98 % of it lies within a few code values of black. Anything thicker than 45 % of the
    side does not count as a bar. Where the picture begins gradually, it may only be dark: that side is not ``sharp``.
    """
    black = min(16.0, float(np.percentile(luma, 1)))
    limit = black + 10.0
    if float(np.percentile(luma, 90)) < limit + 12:
        return None
    across = np.percentile(luma, 98, axis=1)
    rows = across > limit
    along = np.percentile(luma[rows] if rows.any() else luma, 98, axis=0)
    columns = along > limit
    if not rows.any() or not columns.any():
        return None
    top, bottom = int(np.argmax(rows)), int(np.argmax(rows[::-1]))
    left, right = int(np.argmax(columns)), int(np.argmax(columns[::-1]))
    height, width = luma.shape
    if max(top, bottom) > 0.45 * height or max(left, right) > 0.45 * width:
        return None
    edges = ((along, left), (across, top), (along[::-1], right), (across[::-1], bottom))
    sharp = [_is_sharp(profile, thickness) for profile, thickness in edges]
    return Bars(left, top, right, bottom, (sharp[0], sharp[1], sharp[2], sharp[3]))


def _is_sharp(profile: npt.NDArray[Any], thickness: int) -> bool:
    """Whether the brightness of the lines jumps there."""
    outside, inside = profile[max(0, thickness - 3)], profile[min(len(profile) - 1, thickness + 5)]
    return bool(inside - outside > _JUMP)


def settle_crop(bars: Bars | None, width: int, height: int) -> tuple[int, int, int, int]:
    """(left, top, width, height) of the picture inside ``bars``, on even numbers; bars under 1 % of a side stay."""
    if bars is None:
        return 0, 0, width, height
    bars = bars.real()
    left, right = _if_worth(bars.left, width), _if_worth(bars.right, width)
    top, bottom = _if_worth(bars.top, height), _if_worth(bars.bottom, height)
    if not (left or top or right or bottom):
        return 0, 0, width, height
    left, top = left + left % 2, top + top % 2
    return left, top, (width - left - right) // 2 * 2, (height - top - bottom) // 2 * 2


def _if_worth(thickness: int, side: int) -> int:
    return thickness if thickness >= max(2, 0.01 * side) else 0


def chroma_spread(frame: Frame) -> float:
    """How far a frame's colour is from grey: the 99th percentile, in 8-bit code values; 0 without chroma."""
    planes, depth = frame.planes, frame.format.max_code
    if frame.format.family == "gray":
        return 0.0
    if frame.format.family == "yuv":
        spread = [np.abs(codes8(p, depth)[::2, ::2] - 128) for p in planes[1:3]]
    else:
        green = codes8(planes[0], depth)[::2, ::2]
        spread = [np.abs(codes8(p, depth)[::2, ::2] - green) for p in planes[1:3]]
    return float(max(np.percentile(s, 99) for s in spread))


def blocking(luma: Floats) -> float:
    """How much stronger steps are on the 8×8 grid than next to it: 0 none, 1 twice as strong."""
    across, down = np.abs(np.diff(luma, axis=1)), np.abs(np.diff(luma, axis=0))
    scores = []
    for steps, axis in ((across, 1), (down, 0)):
        lines = steps.mean(1 - axis)
        if len(lines) < 24:
            continue
        on = lines[7::8]
        off = np.array([np.median(lines[max(0, at - 3) : at + 4]) for at in range(7, len(lines), 8)])
        scores.append(float(np.median(on - off) / (np.median(off) + 0.3)))
    return max(0.0, *scores) if scores else 0.0


#: Bands of the spectrum along an axis, each a twentieth of it; those that the decline is measured from, and the last
#: one that must have declined.
_BANDS, _BASE, _LAST = 20, slice(3, 6), 15
#: Decline in dB from 0.225 to 0.775 of the highest frequency that pictures have which were never enlarged (measured:
#: 7 to 17; twice enlarged ones: 20 to 30), and what more makes a fault.
_NATURAL, _MORE = 16.0, 3.0


def resolution_share(luma: Floats) -> tuple[float, float]:
    """The share of the width and of the height that holds real detail, 0 to 1.

    Enlarging leaves a cliff in the spectrum where the smaller picture's detail ended. Along each axis the power is held
    against the decline that pictures have otherwise. Where noise or flatness hides it along one axis the other one
    stands for both.
    """
    across, down = _axis_share(luma), _axis_share(np.ascontiguousarray(luma.T))
    known = [share for share in (across, down) if share is not None] or [1.0]
    return known[0] if across is None else across, known[0] if down is None else down


def _axis_share(luma: Floats) -> float | None:
    """The share along the lines; None if the spectrum does not fall far enough to tell."""
    width = luma.shape[1]
    if width < 64:
        return None
    lines = luma - luma.mean(1, keepdims=True)
    power = (np.abs(np.fft.rfft(lines * np.hanning(width), axis=1)) ** 2).mean(0)[1:] / width
    edges = np.linspace(0, len(power), _BANDS + 1).astype(int)
    level = np.array([10 * np.log10(power[a:b].mean() + 1e-9) for a, b in pairwise(edges)])
    base = level[_BASE].mean()
    if level[1] - base > _NATURAL + 1:
        return float(
            edges[_BASE.start] / edges[-1]
        )  # the cliff lies before the bands that the decline is measured from
    if base - level.min() < _NATURAL + 1:
        return None
    centre = (np.arange(_BANDS) + 0.5) / _BANDS
    below = base - level > _NATURAL * (centre - 0.225) / 0.55 + _MORE
    if not below[_LAST]:
        return 1.0
    first = _LAST
    while first > _BASE.stop and below[first - 1]:
        first -= 1
    return float(edges[first] / edges[-1])


def thumbnail(luma: Floats, size: int = 24) -> Floats:
    """A small average of a picture, ``size`` × ``size``, for finding cuts."""
    rows = np.linspace(0, luma.shape[0], size + 1).astype(int)
    columns = np.linspace(0, luma.shape[1], size + 1).astype(int)
    sums = np.add.reduceat(np.add.reduceat(luma, rows[:-1], axis=0), columns[:-1], axis=1)
    counts = np.diff(rows)[:, None] * np.diff(columns)[None]
    return np.asarray(sums / np.maximum(counts, 1), np.float32)


def find_cuts(thumbnails: list[Floats]) -> list[int]:
    """Numbers of the thumbnails that begin a new scene: where the change stands out of the changes around it."""
    change = np.array([np.abs(b - a).mean() for a, b in pairwise(thumbnails)])
    cuts = []
    for n, value in enumerate(change):
        around = np.concatenate((change[max(0, n - 6) : n], change[n + 1 : n + 7]))
        usual = float(np.median(around)) if len(around) else 0.0
        peak = float(np.max(around)) if len(around) else 0.0
        if value > 10 and value > 4 * usual + 4 and value > 1.5 * peak:
            cuts.append(n + 1)
    return cuts


def flicker(means: list[float]) -> float:
    """Unsteadiness of the brightness, in 8-bit code values: the typical departure of a frame from its neighbours."""
    if len(means) < 5:
        return 0.0
    m = np.array(means)
    departures = np.abs(m[1:-1] - (m[:-2] + m[2:]) / 2)
    return float(np.median(departures))
