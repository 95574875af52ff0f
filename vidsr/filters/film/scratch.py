"""Scratch: lines that run along the film over many frames, filled from both sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import tee

import numpy as np
import numpy.typing as npt

from vidsr.filters.before.descriptor import FilterDescriptor
from vidsr.filters.before.filter import quantised, scale8, windowed, with_planes
from vidsr.filters.detect.inspection import SCRATCHED
from vidsr.filters.detect.statistics import codes8
from vidsr.filters.film.scratch_lines import BANDS, FilmLine
from vidsr.filters.film.scratch_tracks import REACH, SETTLE, LinedFrame, lined_frames, scene_around, scratches, settled
from vidsr.frames import Array, Floats, Frame, Plane

#: Half of the widest scratch, and how far beyond its edge the picture is taken from, px.
_MOST_HALF, _CLEAN_PX = 5, 1
#: Share of a scratch's height above the picture at which its edge lies; the least height that is taken out, in 8-bit
#: code values; and rows that its strength is averaged over, as a share of the picture's.
_RIM, _LEAST, _ALONG = 0.15, 1.5, 1 / 12
#: Least difference between a bare line and what is under it, in 8-bit code values.
_CONTRAST = 25.0
#: Brightness of bright and dark scratches, as a share of full scale.
_BRIGHT, _DARK = 0.95, 0.05


@dataclass(slots=True)
class ScannedFrame:
    """A frame, its lines, and those of them that are scratches by its own window, once they are known."""

    frame: Frame
    lined: LinedFrame
    scratches: list[FilmLine] | None = None


class Scratch:
    """Fills scratches: thin lines that most of a frame's height has, for many frames, and that wander over the scene.

    What lies under a scratch is drawn from both sides, and keeps the detail that still shows through it. The confidence
    in a line is the share of the frames around that agree, or that of the picture's height that shows it, if less.
    """

    name = "scratch"
    lookaround = (REACH + SETTLE, REACH + SETTLE)

    def __init__(self) -> None:
        self.least_confidence = 0.0

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        def fill(window: Sequence[ScannedFrame], at: int) -> Frame:
            return _filled(window, at, self.least_confidence)

        return windowed(scanned(frames), *self.lookaround, fill)


def scanned(frames: Iterator[Frame]) -> Iterator[ScannedFrame]:
    """Each frame with what is found in it."""
    one, other = tee(frames)
    lumas = (codes8(frame.planes[0], frame.format.max_code) for frame in other)
    for frame, lined in zip(one, lined_frames(lumas), strict=True):
        yield ScannedFrame(frame, lined)


def _filled(window: Sequence[ScannedFrame], at: int, least_confidence: float) -> Frame:
    lined = [scanned.lined for scanned in window]
    low, high = scene_around(lined, at)
    found = {}
    for n in range(max(low, at - SETTLE), min(high, at + SETTLE + 1)):
        lines = window[n].scratches
        if lines is None:
            first, stop = scene_around(lined, n)
            lines = window[n].scratches = scratches(lined[first:stop], n - first)
        found[n] = lines
    frame, lines = window[at].frame, settled(lined, found, at, least_confidence)
    if not lines:
        return frame
    return with_planes(frame, [_plane(frame, number, lines) for number in range(len(frame.planes))])


def _plane(frame: Frame, number: int, lines: Sequence[FilmLine]) -> Plane:
    format = frame.format
    if format.alpha and number == format.plane_count - 1:
        return frame.planes[number]
    is_chroma = format.family == "yuv" and number in (1, 2)
    across = 1 << format.log2_chroma_w if is_chroma else 1
    plane = frame.planes[number]
    values, scale = plane.astype(np.float32), scale8(frame)
    made = values.copy()
    for line in lines:
        # Neither a scratch to the clear base nor one that holds dirt has colour.
        path = _columns(line, plane.shape[0]) / across
        if is_chroma:
            _fill(values, made, path, _Bare(0.5 * format.max_code, 0), scale)
        else:
            _fill(values, made, path, _Bare((_BRIGHT if line.sign > 0 else _DARK) * format.max_code, line.sign), scale)
    result = np.array(plane)
    # What was not touched keeps its code values.
    np.copyto(result, quantised(made, frame), where=made != values)
    return result


def _columns(line: FilmLine, height: int) -> npt.NDArray[np.float64]:
    """The line's column in each row."""
    middles = (np.arange(BANDS) + 0.5) * height / BANDS - 0.5
    return np.interp(np.arange(height), middles, line.path)


@dataclass(frozen=True, slots=True)
class _Bare:
    """What a line would be that covers the picture: its code value, and whether it brightens (1), darkens (-1), or may
    do either (0)."""

    tone: float
    sign: int


def _fill(values: Floats, made: Floats, path: npt.NDArray[np.float64], bare: _Bare, scale: float) -> None:
    """Draw what lies under one line of ``values`` into ``made``."""
    height, width = values.shape
    nearest = np.rint(path).astype(int)
    reach = np.arange(-_MOST_HALF - 4, _MOST_HALF + 5)
    columns = np.clip(nearest[:, None] + reach, 0, width - 1)
    strip = np.take_along_axis(values, columns, 1)
    away = nearest[:, None] + reach - path[:, None]
    left, right = _half_widths(strip, away, scale)
    if left + right == 0:
        return
    ground = _ground(strip, away, left, right)
    inside = (away > -left) & (away < right)
    rows = max(3, round(_ALONG * height) | 1)
    rest = np.where(inside, strip - ground, 0)
    contrast = bare.tone - ground
    cover = _covers(rest, contrast, rows)
    drawn = ground + (1 - cover) * (rest - cover * contrast)
    hidden = np.abs(_along(rest, rows)) < _LEAST * scale
    if bare.sign:
        # A line over what is nearly as bright (or as dark) as itself changes nothing that could be put right.
        hidden = (bare.sign * _along(rest, rows) < _LEAST * scale) | (bare.sign * contrast < _CONTRAST * scale)
    drawn = np.where(hidden, strip, drawn)
    if bare.sign:
        drawn = np.minimum(strip, drawn) if bare.sign > 0 else np.maximum(strip, drawn)
    kept = inside & (nearest[:, None] + reach >= 0) & (nearest[:, None] + reach < width)
    row, place = np.nonzero(kept)
    made[row, columns[row, place]] = drawn[row, place]


def _half_widths(strip: Floats, away: Array, scale: float) -> tuple[float, float]:
    """How far the line reaches to the left and to the right of its path, px; (0, 0) where it cannot be seen."""
    outside = np.abs(away) > _MOST_HALF + 1
    ground = (strip * outside).sum(1, keepdims=True) / np.maximum(outside.sum(1, keepdims=True), 1)
    bins = np.arange(-_MOST_HALF, _MOST_HALF + 1)
    nearest = np.rint(away).astype(int)
    rest = strip - ground
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
            found.append(_reach(outwards, max(_RIM * peak, 0.5 * scale)))
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


def _ground(strip: Floats, away: Array, left: float, right: float) -> Floats:
    """The picture under the line: straight from the pixels next to it on one side to those on the other."""
    ends = []
    for near, side in ((left, -1), (right, 1)):
        beside = (side * away >= near) & (side * away < near + _CLEAN_PX + 0.5)
        weight = np.maximum(beside.sum(1, keepdims=True), 1)
        ends.append(((strip * beside).sum(1, keepdims=True) / weight, (away * beside).sum(1, keepdims=True) / weight))
    (low, start), (high, stop) = ends
    share = np.clip((away - start) / np.maximum(stop - start, 1e-3), 0, 1)
    return np.asarray(low + (high - low) * share, np.float32)


def _covers(rest: Floats, contrast: Floats, rows: int) -> Floats:
    """How much of the picture the line covers, 0 to 1, by least squares over ``rows`` rows of each place."""
    products, squares = _along(rest * contrast, rows), _along(contrast * contrast, rows)
    return np.asarray(np.clip(products / np.maximum(squares, 1e-3), 0, 1), np.float32)


def _along(values: Floats, rows: int) -> Floats:
    """The mean over ``rows`` rows around each; edges repeat."""
    padded = np.pad(values, ((rows // 2, rows // 2), (0, 0)), mode="edge")
    sums = np.cumsum(np.pad(padded, ((1, 0), (0, 0))), axis=0, dtype=np.float64)
    return np.asarray((sums[rows:] - sums[:-rows]) / rows, np.float32)


FILTER: FilterDescriptor[None] = FilterDescriptor(
    name="scratch",
    help="fills scratches that run along the film over many frames",
    make=lambda _: Scratch(),
    recommended=lambda found: found.scratched > SCRATCHED,
)
