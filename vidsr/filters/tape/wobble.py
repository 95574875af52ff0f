"""Time-base errors: lines that an unstable playback displaced, moved back.

Two measures are used. The edges of the blanking beside the picture move with their lines, whatever the picture does
(:mod:`vidsr.filters.tape.blanking`). Without blanking, lines are compared with those of the pictures before and after,
where both show the same (:mod:`vidsr.filters.tape.line_displacement`). In both, a line's place is its mean place over
the window, since time-base errors differ from picture to picture. Each measure is used only where two
halves of it, which share no sample, agree that lines are displaced one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import add

import numpy as np

from vidsr.filters.before.descriptor import FilterDescriptor
from vidsr.filters.before.filter import quantised, windowed, with_planes
from vidsr.filters.detect.statistics import codes8
from vidsr.filters.tape.blanking import LineEdges, edges_of
from vidsr.filters.tape.line_displacement import (
    Agreement,
    Known,
    LineDisplacement,
    PerLine,
    line_displacement,
    smoothed,
    without_slow,
)
from vidsr.filters.tape.lines_moved import LEAST_PX, lines_moved
from vidsr.frames import Floats, Frame

#: Frames before and after that are looked at, and the fewest, with the frame itself, in which a line must be known.
REACH, _FEWEST = 12, 5
#: Least correlation of two halves, of edges and of blocks; least displacement that they share, RMS px; fewest lines.
_EDGES_AGREE, _BLOCKS_AGREE, _SHARED_PX, _LINES = 0.6, 0.85, 0.1, 200
#: Lines of a field over which the usual place of an edge is smoothed; edges this far away are another recording's, px.
_EDGE_LINES, _ELSEWHERE_PX = 2.0, 1.5
#: Largest correction, px; most lines of a field side by side that take theirs from their neighbours.
_LARGEST_PX, _GAP = 4.0, 3
#: Smallest picture, px.
_LEAST_WIDTH, _LEAST_HEIGHT = 180, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredFrame:
    """A frame, with what its lines show."""

    frame: Frame
    displacement: LineDisplacement | None
    edges: tuple[LineEdges, LineEdges]


class Wobble:
    """Moves lines back to where they are on average, by a Lanczos filter along the line.

    Lines whose displacement is not known, or below a twentieth of a pixel, stay bit for bit, and so do all lines where
    no measure is sure.
    """

    name = "wobble"
    lookaround = (REACH, REACH)

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        yield from windowed(measured(frames), REACH, REACH, _steadied)


def measured(frames: Iterator[Frame]) -> Iterator[MeasuredFrame]:
    """Each frame with its measures; of RGB and of small pictures there are none."""
    before: Floats | None = None
    for frame in frames:
        if frame.format.family == "rgb" or frame.width < _LEAST_WIDTH or frame.height < _LEAST_HEIGHT:
            none = LineEdges(place=np.zeros(frame.height), known=np.zeros(frame.height, np.bool_))
            yield MeasuredFrame(frame=frame, displacement=None, edges=(none, none))
            continue
        luma = codes8(frame.planes[0], frame.format.max_code)
        displacement = None
        if before is not None and before.shape == luma.shape:
            displacement = line_displacement(before, luma)
        yield MeasuredFrame(frame=frame, displacement=displacement, edges=edges_of(luma))
        before = luma


def _steadied(window: Sequence[MeasuredFrame], at: int) -> Frame:
    frame = window[at].frame
    correction = corrections(window, at)
    if not (np.abs(correction) >= LEAST_PX).any():
        return frame
    planes = list(frame.planes)
    for number in range(3 if frame.format.family == "yuv" else 1):
        is_colour = number > 0
        across, down = (frame.format.log2_chroma_w, frame.format.log2_chroma_h) if is_colour else (0, 0)
        rows = len(planes[number])
        own = np.pad(correction, (0, (rows << down) - len(correction)), mode="edge").reshape(rows, -1).mean(1)
        moved = lines_moved(planes[number].astype(np.float32), own / (1 << across), LEAST_PX / (1 << across))
        planes[number] = quantised(moved, frame)
    return with_planes(frame, planes)


def corrections(window: Sequence[MeasuredFrame], at: int) -> PerLine:
    """By how much each line of frame ``at`` is to be moved right, px; 0 where that is not known."""
    shape = window[at].frame.planes[0].shape
    low, high = at, at + 1
    while low > 0 and window[low - 1].frame.planes[0].shape == shape:
        low -= 1
    while high < len(window) and window[high].frame.planes[0].shape == shape:
        high += 1
    window, at = [window[n] for n in range(low, high)], at - low
    by_blocks, known_blocks = _by_blocks(window, at)
    by_edges, known_edges = _by_edges(window, at)
    found = np.where(known_edges, by_edges, by_blocks)
    known = known_edges | known_blocks
    known &= np.abs(found) <= _LARGEST_PX
    return _with_gaps_filled(found, known)


def displaced_px(window: Sequence[MeasuredFrame]) -> float:
    """RMS by which lines are displaced one by one in frames of one size, px; 0 where no measure is sure."""
    blocks, edges = _blocks_agreement(window), _edges_apart(window, len(window) // 2).agreement
    if len(window) >= _FEWEST and _is_sure(edges, _EDGES_AGREE):
        return edges.common_px
    # The blocks show differences of two displacements.
    return blocks.common_px / 2**0.5 if _is_sure(blocks, _BLOCKS_AGREE) else 0.0


def _blocks_agreement(window: Sequence[MeasuredFrame]) -> Agreement:
    return reduce(add, (m.displacement.agreement for m in window[1:] if m.displacement is not None), Agreement())


def _by_blocks(window: Sequence[MeasuredFrame], at: int) -> tuple[PerLine, Known]:
    """From the displacement between each two frames, added up in both directions as far as it is known."""
    height = window[at].frame.height
    steps = [m.displacement for m in window[1:]]
    if not _is_sure(_blocks_agreement(window), _BLOCKS_AGREE):
        return np.zeros(height), np.zeros(height, np.bool_)
    total, count = np.zeros(height), np.ones(height)
    for direction in (1, -1):
        place, reached = np.zeros(height), np.ones(height, np.bool_)
        n = at
        while 0 <= n + direction < len(window):
            step = steps[n if direction > 0 else n - 1]
            if step is None:
                break
            reached = reached & step.known
            place = place + direction * step.shift
            total += place * reached
            count += reached
            n += direction
    return total / count, count >= _FEWEST


@dataclass(frozen=True, slots=True, kw_only=True)
class _EdgesApart:
    """How far the ``left`` and ``right`` edges of a frame lie from their usual place, where they are known, and the
    agreement of both over the whole window."""

    left: PerLine
    left_known: Known
    right: PerLine
    right_known: Known
    agreement: Agreement


def _edges_apart(window: Sequence[MeasuredFrame], at: int) -> _EdgesApart:
    height = window[at].frame.height
    apart, sure = [], []
    for side in (0, 1):
        place = np.array([m.edges[side].place for m in window])
        known = np.array([m.edges[side].known for m in window])
        for n in range(len(window)):
            both = known[n] & known[at]
            if not both.any() or abs(float(np.median((place[n] - place[at])[both]))) > _ELSEWHERE_PX:
                known[n] = False
        times = known.sum(0)
        usual = np.where(known, place, 0).sum(0) / np.maximum(times, 1)
        level = float(np.median(usual[times > 0])) if times.any() else 0.0
        smooth = np.zeros(height)
        for parity in (slice(0, None, 2), slice(1, None, 2)):
            smooth[parity] = level + smoothed(usual[parity] - level, times[parity].astype(np.float64), _EDGE_LINES)
        apart.append(place - smooth)
        sure.append(known & (times >= min(_FEWEST, len(window))))
    agreement = Agreement()
    both = sure[0] & sure[1]
    fast = [without_slow(side, both) for side in apart]
    for n in range(len(window)):
        if both[n].sum() >= _FEWEST:
            agreement += Agreement.of(*(side[n][both[n]] for side in fast))
    return _EdgesApart(
        left=apart[0][at],
        left_known=sure[0][at],
        right=apart[1][at],
        right_known=sure[1][at],
        agreement=agreement,
    )


def _by_edges(window: Sequence[MeasuredFrame], at: int) -> tuple[PerLine, Known]:
    """From the edges of the blanking: back by the mean of both, or by the one that is known."""
    found = _edges_apart(window, at)
    if len(window) < _FEWEST or not _is_sure(found.agreement, _EDGES_AGREE):
        height = window[at].frame.height
        return np.zeros(height), np.zeros(height, np.bool_)
    left, right = found.left_known, found.right_known
    count = left.astype(np.float64) + right
    return -(found.left * left + found.right * right) / np.maximum(count, 1), count > 0


def _is_sure(agreement: Agreement, least: float) -> bool:
    enough = agreement.lines >= _LINES and agreement.correlation >= least
    return enough and agreement.common_px >= _SHARED_PX


def _with_gaps_filled(found: PerLine, known: Known) -> PerLine:
    """Lines between known ones of their field, a few at most, between these; 0 on other lines that are not known."""
    made = np.where(known, found, 0.0)
    for parity in (0, 1):
        own, sure = made[parity::2], np.flatnonzero(known[parity::2])
        for first, last in pairwise(sure):
            if 1 < last - first <= _GAP + 1:
                own[first + 1 : last] = np.linspace(own[first], own[last], last - first + 1)[1:-1]
    return made


FILTER: FilterDescriptor[None] = FilterDescriptor(
    name="wobble",
    help="moves lines back that an unstable playback displaced, where blanking or still parts show by how much",
    make=lambda _: Wobble(),
    recommended=lambda found: bool(found.tape.wobble),
    whole=True,
    families=("yuv", "gray"),
)
