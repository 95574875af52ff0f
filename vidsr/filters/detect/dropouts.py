"""Dropouts of video tape: parts of lines that only one frame shows otherwise, found along the motion.

A fault must pass four tests, so that motion, occlusion and thin moving things are not taken for it:

- the frame lies beyond both neighbours, carried onto it, which agree with each other (Storey's detector, SMPTE J. 94,
  1985, as for dust);
- these pixels form runs along a line, and what lies a few lines above and below shows no such difference;
- around the run the carried neighbours fit, so that the motion was measured rightly there;
- what the run shows is not found a few pixels away in a neighbour, as a thing would be that moved in another way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from vidsr.frames import Floats

LostMask = npt.NDArray[np.bool_]
#: Luma, or the two planes of colour.
Layers = Sequence[Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    """When pixels differ, and make a run.

    Attributes:
        least: difference from both neighbours, in 8-bit code values; ``weak`` where a fault goes on.
        fewest: pixels of a run; ``weak_fewest`` where a fault goes on.
        gap: widest gap that is bridged, in pixels.
        share: of its pixels that must differ.
        sure: usual difference of a fault from which its width does not matter.
        product: of that difference and the width in pixels that a fault needs otherwise. Blocks of codecs change from
            frame to frame, too, but weakly or over a few pixels.
        fits: the most that the lines above and below may differ, as a share of the fault's own difference.
        close: whether nearly all pixels around must fit.
    """

    least: float
    weak: float
    fewest: int
    weak_fewest: int
    gap: int
    share: float
    sure: float
    product: float
    fits: float = 0.25
    close: bool = False


_LUMA = _Limits(least=10.0, weak=4.0, fewest=8, weak_fewest=5, gap=4, share=0.6, sure=64, product=1500)
#: Weaker and shorter faults are safe where the neighbours fit closely around them.
_CLOSE_LUMA = _Limits(least=5.0, weak=3.0, fewest=8, weak_fewest=5, gap=4, share=0.6, sure=64, product=200, close=True)
#: Lines and columns around a fault that must fit then; and the most that nearly all pixels there may differ, in code
#: values and as a share of the fault's own difference.
_CLOSE_LINES, _CLOSE_COLUMNS, _CLOSE, _CLOSE_SHARE, _NEARLY_ALL = 8, 24, 3.0, 0.25, 98
#: Lost colour is noise that changes its sign along the line.
_COLOUR = _Limits(least=6.0, weak=3.0, fewest=8, weak_fewest=5, gap=6, share=0.5, sure=40, product=300, fits=0.3)
_CLOSE_COLOUR = replace(_COLOUR, least=4.0, product=120, close=True)
#: Differences of luma under lost colour, in code values and as a multiple of the usual one; how many times as large as
#: around they must be; and what makes a run.
_UNDER_COLOUR, _UNDER_USUAL, _ABOVE_AROUND = 2.0, 1.0, 1.25
_WEAK_RUNS = replace(_CLOSE_LUMA, fewest=3, gap=3)
#: Differences are also this multiple of the usual difference of the picture, or of this one where a fault goes on.
_USUAL, _WEAK_USUAL = 6.0, 3.0
#: SideFrames agree if they differ by less than this share of what the frame differs from them.
_AGREE = 0.6
#: A fault goes on over this many lines.
_LINES_ON = 2
#: Most lines that differ one below the other.
_TALLEST = 9
#: Faults of this many lines are straight: their runs fill this share of their box, or begin within so many columns.
_SLANTING_LINES, _FILLED, _BEGIN_PX = 3, 0.55, 12
#: Runs of this length go on in each other only if they share this much of the shorter one.
_LONG_PX, _COMMON = 64, 0.25
#: Lines above and below that must fit, ahead of which one may be soft.
_AROUND = 4
#: Pixels to each side that are searched for what a run shows, the most columns judged at once, and the share of the
#: run's difference below which it is the same.
_SEARCH_Y, _SEARCH_X, _COMPARED_PX, _SAME = 5, 8, 96, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SideFrames:
    """The frames before and after: ``carried`` onto the frame along the motion, and ``plain`` as they are. Each has the
    planes of :data:`Layers`, in 8-bit code values."""

    carried: tuple[Layers, Layers]
    plain: tuple[Layers, Layers]


@dataclass(slots=True)
class _Fault:
    """Runs on neighbouring lines: for each line its first column and the one after its last."""

    runs: dict[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(first row, row after the last, first column, column after the last)."""
        starts, stops = zip(*self.runs.values(), strict=True)
        return min(self.runs), max(self.runs) + 1, min(starts), max(stops)


def lost_luma(own: Layers, around: SideFrames, *, closely: bool = False) -> LostMask:
    """Where luma is lost, ``[h, w]``; ``own`` is luma alone, in 8-bit code values.

    ``closely`` also finds weak faults, where the neighbours fit closely around them.
    """
    return _found(own, around, (_LUMA, _CLOSE_LUMA) if closely else (_LUMA,))


def lost_luma_in_place(own: Layers, plain: tuple[Layers, Layers]) -> LostMask:
    """Where luma is lost and the picture stands still, from the frames before and after as they are."""
    return _found(own, SideFrames(carried=plain, plain=plain), (_CLOSE_LUMA,))


def lost_colour(own: Layers, around: SideFrames, fewest: int, *, closely: bool = False) -> LostMask:
    """Where colour is lost, from the two chroma planes; ``fewest`` samples make a run; ``closely`` as for luma."""
    kinds = (_COLOUR, _CLOSE_COLOUR) if closely else (_COLOUR,)
    return _found(own, around, [replace(limits, fewest=fewest) for limits in kinds])


def lost_colour_in_place(own: Layers, plain: tuple[Layers, Layers], fewest: int) -> LostMask:
    """Where colour is lost and the picture stands still; see :func:`lost_luma_in_place`."""
    return _found(own, SideFrames(carried=plain, plain=plain), (replace(_CLOSE_COLOUR, fewest=fewest),))


def harmed_luma(own: Layers, around: SideFrames, colour: LostMask) -> LostMask:
    """Where luma differs, too, however weakly, under lost ``colour`` ``[h, w]``, which shows the place.

    A decoder that clips the wrong colour harms the luma with it. Runs that hardly differ more than the lines around
    them, which lost nothing, stay: there the motion is not known well enough.
    """
    before, after = around.carried[0][0], around.carried[1][0]
    beyond = _beyond(own[0], before, after)
    apart = np.maximum(np.abs(own[0] - before), np.abs(own[0] - after))
    usual = float(np.median(np.abs(own[0][::3, ::3] - before[::3, ::3])))
    mask = np.zeros(beyond.shape, np.bool_)
    for y, start, stop in _runs((beyond > max(_UNDER_COLOUR, _UNDER_USUAL * usual)) & colour, _WEAK_RUNS):
        near = slice(max(0, y - _CLOSE_LINES), y + _CLOSE_LINES + 1)
        sound = ~colour[near, start:stop].any(1)
        if sound.any():
            least = _ABOVE_AROUND * apart[near, start:stop][sound].mean()
            mask[y, start:stop] = np.median(beyond[y, start:stop]) > least
    return mask


def may_be_lost(own: Floats, before: Floats, after: Floats) -> int:
    """How many pixels of runs would be lost if nothing moved: a quick look that misses little."""
    beyond = _beyond(own, before, after)
    hits = beyond > _LUMA.least
    if np.count_nonzero(hits) < _LUMA.fewest:
        return 0
    faults = _joined(_runs(_thin(beyond) > _LUMA.least, _LUMA))
    return sum(b - a for f in faults if _stands_out(f, beyond, _LUMA) for a, b in f.runs.values())


def _beyond(own: Floats, before: Floats, after: Floats) -> Floats:
    """How far a frame lies beyond both neighbours, 0 where it lies between them or they disagree."""
    past, future = own - before, own - after
    least: Floats = np.minimum(np.abs(past), np.abs(future))
    least[(past * future <= 0) | (np.abs(before - after) >= _AGREE * least)] = 0
    return least


def _thin(beyond: Floats) -> Floats:
    """Without what goes on over more than :data:`_TALLEST` lines."""
    return np.asarray(beyond - _vertical(_vertical(beyond, np.minimum), np.maximum), np.float32)


def _vertical(values: Floats, extreme: np.ufunc) -> Floats:
    """The extreme over a column of _TALLEST + 1 lines; the lines outside repeat the border."""
    half = (_TALLEST + 1) // 2
    height = values.shape[0]
    out: Floats = np.pad(values, ((half, half), (0, 0)), mode="edge")
    span = 1
    while 2 * span <= 2 * half + 1:
        out = extreme(out[:-span], out[span:])
        span *= 2
    rest = 2 * half + 1 - span
    if rest:
        out = extreme(out[:height], out[rest : rest + height])
    return out


def _found(own: Layers, around: SideFrames, kinds: Sequence[_Limits]) -> LostMask:
    before, after = around.carried
    beyond = np.maximum.reduce([_beyond(a, b, c) for a, b, c in zip(own, before, after, strict=True)])
    mask = np.zeros(beyond.shape, np.bool_)
    thin = _thin(beyond)
    if not (thin > min(limits.least for limits in kinds)).any():
        return mask
    usual = float(np.median(np.abs(own[0][::3, ::3] - before[0][::3, ::3])))
    for limits in kinds:
        weak: LostMask | None = None
        faults = _joined(_runs(thin > max(limits.least, _USUAL * usual), limits))
        for fault in _in_parts([fault for fault in faults if _stands_out(fault, beyond, limits)]):
            if limits.close and not _fits_closely(fault, beyond, own, around):
                continue
            if _is_lost(fault, beyond, own, around, limits.fits):
                weak = thin > max(limits.weak, _WEAK_USUAL * usual) if weak is None else weak
                for y, start, stop in _grown(fault, weak, limits):
                    mask[y, start:stop] = True
    return mask


def _runs(hits: LostMask, limits: _Limits) -> list[tuple[int, int, int]]:
    """(row, first column, column after the last) of the runs of ``hits``, short gaps bridged."""
    found: list[tuple[int, int, int]] = []
    for y in np.flatnonzero(hits.sum(1) >= limits.share * limits.fewest):
        columns = np.flatnonzero(hits[y])
        breaks = np.flatnonzero(np.diff(columns) > limits.gap + 1) + 1
        for part in np.split(columns, breaks):
            length = int(part[-1] - part[0]) + 1
            if length >= limits.fewest and len(part) >= limits.share * length:
                found.append((int(y), int(part[0]), int(part[-1]) + 1))
    return found


def _joined(runs: Sequence[tuple[int, int, int]]) -> list[_Fault]:
    """Runs that lie at most two lines below each other and overlap make one fault; of one line they are joined."""
    faults: list[_Fault] = []
    for y, start, stop in runs:
        for fault in reversed(faults):
            above = [fault.runs[n] for n in (y - 2, y - 1, y) if n in fault.runs]
            if any(_go_on((a, b), (start, stop)) for a, b in above):
                a, b = fault.runs.get(y, (start, stop))
                fault.runs[y] = min(a, start), max(b, stop)
                break
        else:
            faults.append(_Fault({y: (start, stop)}))
    return faults


def _go_on(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two runs overlap; long ones by a good part, or they are two faults next to each other."""
    common = min(one[1], other[1]) - max(one[0], other[0])
    shorter = min(one[1] - one[0], other[1] - other[0])
    return common > (_COMMON * shorter if shorter >= _LONG_PX else 0)


def _stands_out(fault: _Fault, beyond: Floats, limits: _Limits) -> bool:
    """Whether a fault is strong or wide enough, and not slanting as shadows and limbs are."""
    _, _, left, right = fault.box
    if len(fault.runs) >= _SLANTING_LINES:
        starts = [a for a, _ in fault.runs.values()]
        filled = sum(b - a for a, b in fault.runs.values()) / (len(fault.runs) * (right - left))
        if filled < _FILLED and max(starts) - min(starts) > _BEGIN_PX:
            return False
    strength = _strength(fault, beyond)
    return strength >= limits.sure or strength * (right - left) >= limits.product


def _strength(fault: _Fault, beyond: Floats) -> float:
    """How far the fault usually lies beyond both neighbours."""
    return float(np.median(np.concatenate([beyond[y, a:b] for y, (a, b) in fault.runs.items()])))


def _in_parts(faults: Sequence[_Fault]) -> Iterator[_Fault]:
    """Long faults in parts that are judged each for itself: motion may be measured rightly in some only."""
    for fault in faults:
        _, _, left, right = fault.box
        count = -(-(right - left) // _COMPARED_PX)
        edges = [left + n * (right - left) // count for n in range(count + 1)]
        for start, stop in pairwise(edges):
            inside = {y: (max(a, start), min(b, stop)) for y, (a, b) in fault.runs.items() if a < stop and start < b}
            if inside:
                yield _Fault(inside)


def _is_lost(fault: _Fault, beyond: Floats, own: Layers, neighbours: SideFrames, fits: float) -> bool:
    top, bottom, left, right = fault.box
    if bottom - top > _TALLEST:
        return False
    strength = _strength(fault, beyond)
    height = beyond.shape[0]
    around = [y for y in range(top - 1 - _AROUND, top - 1) if y >= 0]
    around += [y for y in range(bottom + 1, bottom + 1 + _AROUND) if y < height]
    for other in neighbours.carried:
        apart = max(
            np.abs(a[around, left:right] - b[around, left:right]).mean() for a, b in zip(own, other, strict=True)
        )
        if apart > fits * strength:
            return False
    others = (*neighbours.carried, *neighbours.plain)
    return not any(_is_elsewhere(fault, own, other, strength) for other in others)


def _fits_closely(fault: _Fault, beyond: Floats, own: Layers, neighbours: SideFrames) -> bool:
    """Whether three frames are alike around a fault, the lines next to it left out."""
    top, bottom, left, right = fault.box
    rows = slice(max(0, top - _CLOSE_LINES), bottom + _CLOSE_LINES)
    columns = slice(max(0, left - _CLOSE_COLUMNS), right + _CLOSE_COLUMNS)
    limit = max(_CLOSE, _CLOSE_SHARE * _strength(fault, beyond))
    past, future = neighbours.carried
    for a, b, c in zip(own, past, future, strict=True):
        apart = np.abs(b[rows, columns] - c[rows, columns])
        outside = np.abs(a[rows, columns] - b[rows, columns])
        first = rows.start
        kept = np.ones(outside.shape[0], np.bool_)
        kept[max(0, top - _LINES_ON - first) : bottom + _LINES_ON - first] = False
        if np.percentile(apart, _NEARLY_ALL) > limit or np.percentile(outside[kept], _NEARLY_ALL) > limit:
            return False
    return True


def _is_elsewhere(fault: _Fault, own: Layers, other: Layers, strength: float) -> bool:
    """Whether ``other`` shows the same within a few pixels, lines above and below included."""
    top, bottom, left, right = fault.box
    height, width = own[0].shape
    top, bottom = max(0, top - 2), min(height, bottom + 2)
    up, down = min(_SEARCH_Y, top), min(_SEARCH_Y, height - bottom)
    before, behind = min(_SEARCH_X, left), min(_SEARCH_X, width - right)
    apart: Floats | None = None
    for plane, there in zip(own, other, strict=True):
        part = plane[top:bottom, left:right]
        places = sliding_window_view(there[top - up : bottom + down, left - before : right + behind], part.shape)
        difference = np.abs(places - part)
        apart = difference if apart is None else np.maximum(apart, difference)
    # Lines around that fit anyway do not count for the difference of the run.
    lost = sum(b - a for a, b in fault.runs.values())
    limit = _SAME * strength * lost / ((bottom - top) * (right - left))
    return apart is not None and bool((apart.mean((2, 3)) < limit).any())


def _grown(fault: _Fault, weak: LostMask, limits: _Limits) -> list[tuple[int, int, int]]:
    """Runs as :func:`_runs` gives them: those of the fault, and those of ``weak`` that go on with them."""
    runs = [(y, start, stop) for y, (start, stop) in fault.runs.items()]
    top, bottom, left, right = fault.box
    first, last = max(0, top - _LINES_ON), min(weak.shape[0], bottom + _LINES_ON)
    wide = max(0, left - (right - left)), right + (right - left)
    for y, a, b in _runs(weak[first:last, slice(*wide)], replace(limits, fewest=limits.weak_fewest)):
        row, start, stop = first + y, wide[0] + a, wide[0] + b
        near = [fault.runs[n] for n in range(row - _LINES_ON, row + _LINES_ON + 1) if n in fault.runs]
        if any(one - limits.gap < stop and start < other + limits.gap for one, other in near):
            runs.append((row, start, stop))
    return runs
