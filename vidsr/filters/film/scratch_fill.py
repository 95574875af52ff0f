"""What a scratch hides, drawn again: how it covers the picture across, measured over a frame's height, is taken off.

A scratch lets part of the picture through. Where it covers ``c`` of it with its own tone, the frame shows
``u + c · (tone − u)`` instead of ``u``. The cover is a profile across, the same from top to bottom, times a depth that
changes slowly along it. At its edges, where ``c`` is small, that is undone exactly; its middle is drawn between them,
with the detail that still shows through, raised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidsr.filters.film.scratch_lines import BANDS
from vidsr.frames import Floats

#: Half of the widest scratch, and width of the columns beside it from which the picture under it is drawn, px.
_MOST_HALF, _BESIDE = 5, 1.5
#: Places of the profile in a pixel; how far beyond the first guess of its edge it may reach, px.
_FINE, _BEYOND = 2, 1.5
#: Share of a profile's height at which the scratch ends, at first and when its profile is known; and the same in
#: standard deviations of the profile.
_FIRST_RIM, _RIM, _NOISE = 0.15, 0.04, 2.0
#: The least height of a scratch, and of its edges, that is taken out, in 8-bit code values.
_LEAST, _SLIGHT = 1.5, 5.0
#: Rows that its depth is averaged over, as a share of the picture's.
_ALONG = 1 / 12
#: Cover up to which the picture under it is as good as known; and how often what shows through is raised at most.
_THIN, _MOST_RAISED = 0.3, 2.0
#: Rows, as a share of the picture's, that must bear out the scratch at a place, and how much of it they must show.
_LOCALLY, _SHOWN = 1 / 24, 0.25
#: Least difference between a bare line and what is under it, in 8-bit code values.
_CONTRAST = 25.0
#: Times that path and profile are measured, and the farthest that the path is moved by that, px.
_ROUNDS, _MOVED_PX = 2, 1.0


@dataclass(frozen=True, slots=True)
class Bare:
    """What a line would be that covers the picture: its code value, and whether it brightens (1), darkens (-1), or may
    do either (0)."""

    tone: float
    sign: int


@dataclass(frozen=True, slots=True)
class _LineStrip:
    """The columns around a line: its values, and how far each lies from the path, ``[H, K]``."""

    values: Floats
    columns: npt.NDArray[np.int_]
    away: Floats


def fill_line(values: Floats, made: Floats, path: npt.NDArray[np.float64], bare: Bare, scale: float) -> None:
    """Draw what lies under one line of ``values`` ``[H, W]`` into ``made``.

    ``path`` is its column in each row, ``scale`` code values per 8-bit code value.
    """
    left, right = _half_widths(_strip(values, path), scale)
    if left + right == 0:
        return
    farthest = left + _BEYOND, right + _BEYOND
    for number in range(_ROUNDS):
        strip = _strip(values, path)
        ground = _ground(strip, left, right)
        contrast = _contrast(bare, ground)
        rest = strip.values - ground
        profile = _profile(strip, rest, contrast, farthest)
        left, right = _ends(profile)
        if left + right == 0:
            return
        shape = _at(profile, strip.away)
        depth = _depth(rest, contrast, shape)
        if number < _ROUNDS - 1:
            path = path + _aside(strip, rest, contrast * depth, profile)
    cover = np.clip(depth * shape, 0, 1)
    ground = _closer_ground(strip, ground, cover, float(np.median(depth)) * profile, bare.tone)
    contrast = _contrast(bare, ground)
    rest, height = strip.values - ground, cover * contrast
    drawn = ground + _uncovered(rest - height, cover)
    seen = np.abs(depth * contrast) * profile.max() >= _LEAST * scale
    if bare.sign:
        # A line over what is nearly as bright (or as dark) as itself changes nothing that could be put right.
        seen &= bare.sign * contrast >= _CONTRAST * scale
        drawn = np.minimum(strip.values, drawn) if bare.sign > 0 else np.maximum(strip.values, drawn)
    seen &= (np.abs(height) >= _SLIGHT * scale) & _borne_out(rest, height)
    inside = (strip.away > -left) & (strip.away < right)
    row, place = np.nonzero(inside & seen & (strip.columns >= 0) & (strip.columns < values.shape[1]))
    made[row, strip.columns[row, place]] = drawn[row, place]


def _contrast(bare: Bare, ground: Floats) -> Floats:
    """By how much the bare line differs from what is under it, 0 where it would differ to the other side."""
    contrast = np.float32(bare.tone) - ground
    return bare.sign * np.maximum(bare.sign * contrast, 0) if bare.sign else contrast


def _closer_ground(strip: _LineStrip, ground: Floats, cover: Floats, usual: Floats, tone: float) -> Floats:
    """``ground`` with the middle of the line drawn between its own edges, where what it covers thinly has been undone:
    they are closer than the pixels that it does not cover. ``usual`` is the cover across, as the profile has it."""
    (core,) = np.nonzero(usual > _THIN)
    if not len(core):
        return ground
    thin = cover <= _THIN
    undone = np.where(thin, (strip.values - cover * np.float32(tone)) / np.maximum(1 - cover, 1 - _THIN), strip.values)
    closer = _ground(_LineStrip(undone, strip.columns, strip.away), *_ends(np.where(usual > _THIN, usual, 0)))
    return np.where(thin, ground, closer)


def _uncovered(left_over: Floats, cover: Floats) -> Floats:
    """What is left over the ground once the line is taken off: what changes along the line is the picture's, and is as
    weak as the line covers it; what does not may be the line's, and is taken from the more the more it covers."""
    steady = _along(left_over, _rows(_LOCALLY, left_over))
    raised = 1 / np.maximum(1 - cover, 1 / _MOST_RAISED)
    return np.asarray((1 - cover) * steady + raised * (left_over - steady), np.float32)


def _borne_out(rest: Floats, height: Floats) -> npt.NDArray[np.bool_]:
    """Where the rows around show enough of what is to be taken off, column by column: the profile is known to half a
    pixel, so at its ends it may reach a column too far."""
    rows = _rows(_LOCALLY, rest)
    return np.asarray(_along(rest * height, rows) >= _SHOWN * _along(height * height, rows))


def _rows(share: float, values: Floats) -> int:
    """An odd number of rows that makes up a share of the height."""
    return max(3, round(share * len(values)) | 1)


def _strip(values: Floats, path: npt.NDArray[np.float64]) -> _LineStrip:
    columns = np.rint(path).astype(int)[:, None] + np.arange(-_MOST_HALF - 4, _MOST_HALF + 5)
    there = np.take_along_axis(values, np.clip(columns, 0, values.shape[1] - 1), 1)
    return _LineStrip(there, columns, np.asarray(columns - path[:, None], np.float32))


def _profile(strip: _LineStrip, rest: Floats, contrast: Floats, farthest: tuple[float, float]) -> Floats:
    """The cover across, at every ``1/_FINE`` px from ``-_MOST_HALF - 1`` to ``_MOST_HALF + 1``: the median of what the
    bands show, falling from its middle outwards."""
    knots = 2 * (_MOST_HALF + 1) * _FINE + 1
    place = (strip.away + _MOST_HALF + 1) * _FINE
    low = np.floor(place).astype(int)
    part = place - low
    band = (np.arange(len(rest)) * BANDS // len(rest))[:, None]
    own, full = rest * contrast, contrast * contrast
    sums = np.zeros((2, BANDS * knots))
    for knot, weight in ((low, 1 - part), (low + 1, part)):
        # Outermost knots gather what lies farther out; they are cut off below.
        index = (band * knots + np.clip(knot, 0, knots - 1)).ravel()
        sums[0] += np.bincount(index, (weight * own).ravel(), BANDS * knots)
        sums[1] += np.bincount(index, (weight * full).ravel(), BANDS * knots)
    products, squares = sums.reshape(2, BANDS, knots)
    clear = squares.sum(1) > 0.05 * squares.sum(1).max()
    if not clear.any():
        return np.zeros(knots, np.float32)
    covers = products[clear] / np.maximum(squares[clear], 1e-3)
    profile = np.median(covers, 0)
    # On an upright path all pixels lie at whole distances, or all at halves: no pixel shows the places between.
    shown = squares.sum(0)
    known = shown > 0.1 * shown.max()
    at = np.arange(knots)
    profile = np.interp(at, at[known], profile[known])
    middle = knots // 2
    peak = middle - _FINE + int(np.argmax(profile[middle - _FINE : middle + _FINE + 1]))
    spread = 1.48 * np.median(np.abs(covers - profile), 0) / np.sqrt(len(covers))
    limit = max(_RIM * profile[peak], _NOISE * float(np.median(spread[[0, 1, -2, -1]])))
    for reach, half in zip(farthest, (profile[peak::-1], profile[peak:]), strict=True):
        # The slices are views: a half falls outwards, and what is left of it at its end is of the picture.
        half[:] = np.minimum.accumulate(half)
        last = min(len(half) - 1, round(reach * _FINE))
        base = max(float(half[last]), 0.0)
        half[:] = np.maximum(half - base, 0) * (half[0] / max(half[0] - base, 1e-6)) if half[0] > base else 0
    profile[profile < limit] = 0
    return np.asarray(profile, np.float32)


def _ends(profile: Floats) -> tuple[float, float]:
    """How far a profile reaches to the left and to the right, px; (0, 0) if it is empty."""
    (seen,) = np.nonzero(profile)
    if not len(seen):
        return 0.0, 0.0
    left, right = (_MOST_HALF + 1 - (seen[0] - 1) / _FINE, (seen[-1] + 1) / _FINE - _MOST_HALF - 1)
    return max(left, 0.5), max(right, 0.5)


def _at(profile: Floats, away: Floats) -> Floats:
    knots = np.arange(len(profile)) / _FINE - _MOST_HALF - 1
    return np.asarray(np.interp(away, knots, profile, 0, 0), np.float32)


def _depth(rest: Floats, contrast: Floats, shape: Floats) -> Floats:
    """What the profile is multiplied with in each row, ``[H, 1]``, by least squares over the rows around it."""
    rows = _rows(_ALONG, rest)
    full = contrast * shape
    products = _along((rest * full).sum(1, keepdims=True), rows)
    squares = _along((full * full).sum(1, keepdims=True), rows)
    return np.asarray(np.clip(products / np.maximum(squares, 1e-3), 0, 1.5), np.float32)


def _aside(strip: _LineStrip, rest: Floats, height: Floats, profile: Floats) -> npt.NDArray[np.float64]:
    """By how much the path lies further right in each row than was assumed: a parabola, by least squares."""
    left = rest - height * _at(profile, strip.away)
    slope = (_at(profile, strip.away + 0.25) - _at(profile, strip.away - 0.25)) / 0.5
    by = -(height * slope)
    usual = 1.5 * float(np.median(np.abs(left))) + 1e-3
    weight = 1 / (1 + (left / usual) ** 2)
    along = (np.arange(len(rest)) - (len(rest) - 1) / 2) / len(rest)
    powers = np.stack([np.ones(len(rest)), along, along**2], 1)
    squares, products = (weight * by * by).sum(1), (weight * by * left).sum(1)
    matrix = (powers * squares[:, None]).T @ powers
    matrix += np.eye(3) * (1e-3 * np.trace(matrix) + 1e-6)
    moved = powers @ np.linalg.solve(matrix, powers.T @ products)
    return np.asarray(np.clip(moved, -_MOVED_PX, _MOVED_PX))


def _half_widths(strip: _LineStrip, scale: float) -> tuple[float, float]:
    """How far the line reaches to the left and to the right of its path, px; (0, 0) where it cannot be seen."""
    values, away = strip.values, strip.away
    outside = np.abs(away) > _MOST_HALF + 1
    ground = (values * outside).sum(1, keepdims=True) / np.maximum(outside.sum(1, keepdims=True), 1)
    bins = np.arange(-_MOST_HALF, _MOST_HALF + 1)
    nearest = np.rint(away).astype(int)
    rest = values - ground
    profile = np.array([np.median(rest[nearest == b]) if (nearest == b).any() else 0.0 for b in bins])
    # A line may run along an edge: what lies above both levels belongs to it, that of its side and that of both sides.
    level = (profile[0] + profile[-1]) / 2
    reaches = []
    for half in (profile[_MOST_HALF::-1], profile[_MOST_HALF:]):
        found = []
        for base in (level, (half[-1] + half[-2]) / 2):
            outwards = half - base
            if outwards[0] < 0:
                outwards = -outwards
            peak = float(outwards[:2].max())
            if peak < _LEAST * scale:
                return 0.0, 0.0
            found.append(_reach(outwards, max(_FIRST_RIM * peak, 0.5 * scale)))
        reaches.append(min(found))
    return reaches[0], reaches[1]


def _reach(profile: npt.NDArray[np.float64], limit: float) -> float:
    """How far a profile falls from the middle of a line outwards before it is below ``limit`` or rises again, px."""
    last = 0
    while last + 2 < len(profile) and profile[last + 1] > limit and profile[last + 2] <= profile[last + 1]:
        last += 1
    if profile[last] <= limit:
        return 0.5
    if profile[last + 1] > limit:
        return last + 1.0
    return last + float((profile[last] - limit) / (profile[last] - profile[last + 1]))


def _ground(strip: _LineStrip, left: float, right: float) -> Floats:
    """The picture under the line: straight from the pixels next to it on one side to those on the other."""
    away, ends = strip.away, []
    for near, side in ((left, -1), (right, 1)):
        beside = (side * away >= near) & (side * away < near + _BESIDE)
        weight = np.maximum(beside.sum(1, keepdims=True), 1)
        ends.append(tuple((of * beside).sum(1, keepdims=True) / weight for of in (strip.values, away)))
    (low, start), (high, stop) = ends
    share = np.clip((away - start) / np.maximum(stop - start, 1e-3), 0, 1)
    return np.asarray(low + (high - low) * share, np.float32)


def _along(values: Floats, rows: int) -> Floats:
    """The mean over ``rows`` rows around each; edges repeat."""
    padded = np.pad(values, ((rows // 2, rows // 2), (0, 0)), mode="edge")
    sums = np.cumsum(np.pad(padded, ((1, 0), (0, 0))), axis=0, dtype=np.float64)
    return np.asarray((sums[rows:] - sums[:-rows]) / rows, np.float32)
