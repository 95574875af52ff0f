"""Which parts of a video are worth learning motion from: whole stretches without a cut, sharp, of all speeds.

The video is cut into stretches of the clips' length that start again after each cut. From each stretch the luma of four
frames is kept until it ends, and every place of a grid is measured: detail and sharpness in one of them, motion along
the optical flow of two pairs. Only the best few places of a stretch are remembered. When all of the video was seen,
bins of motion take turns; of each the sharpest place is taken from the scene that has given fewest clips so far, unless
it looks like one that was taken already.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vidsr.filters.detect import interlace, statistics
from vidsr.filters.flow import optical_flow
from vidsr.frames import Floats, Frame
from vidsr.training.dataset.clips.clip_motion import bin_of
from vidsr.training.dataset.selection import CUT, FLAT, Thumb, is_combed, luma_of, luma_thumbnail

CELL = 16
"""Grid of the places, px."""
_PLACES = 6
"""Most places remembered of a stretch."""
_QUIET, _STANDS_OUT = 0.03, 3.0
"""A smaller change than :data:`CUT` is a cut too if it is above the first and so many times the changes before it."""
_SAME, _MOVING = 0.2, 4e-4
"""A frame repeats the one before if it changes by less than this share of the median change before it, where that is
above the second."""
_MOST_REPEATS = 3
"""More unchanged frames in a row are a still, not repeats."""
_MEMORY = 6
"""Changes that a change is compared with."""
_FLOW_PX = 320
"""Width at which motion is measured here."""
_TELLING_CELLS, _COMBED_SHARE = 20, 0.3
"""Combing is that of fields if more than this share of moving cells comb, of at least so many."""
_LOOK = (16, 16)
"""Rows and columns of what places are compared by."""
_ALIKE, _NOISE = 0.25, 0.004
"""Places look alike if they differ by less than this share of their own contrast, plus noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipPlace:
    """A place in a stretch that may become a clip: numbers of its ``frames``, ``left`` and ``top`` px in the picture.

    ``motion`` is in px a frame, ``look`` a rounded thumbnail of :data:`_LOOK`, row by row.
    """

    frames: list[int]
    left: int
    top: int
    scene: int
    sharpness: float
    motion: float
    look: list[float]

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return asdict(self)


@dataclass(slots=True, kw_only=True)
class ClipSurvey:
    """What was seen of a video: numbers of frames, of those that repeat the one before, of scenes and whole stretches.

    ``left_out`` counts stretches by why they were not used.
    """

    frames: int = 0
    repeats: int = 0
    scenes: int = 0
    stretches: int = 0
    places: list[ClipPlace] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    bars: statistics.Bars | None = None


@dataclass(slots=True)
class _Stretch:
    """The frames since the last stretch or cut, as far as they are needed."""

    thumbs: list[Thumb] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    lumas: dict[int, npt.NDArray[Any]] = field(default_factory=dict)


def look_through(frames: Iterable[Frame], length: int, side: int, least_detail: float) -> ClipSurvey:
    """One pass over a video, for clips of ``length`` frames (at least 7) and ``side`` px (a multiple of 16).

    Frames that repeat the one before, as in transfers of film, are passed over. ``least_detail`` is the mean difference
    to the next pixel, 0 to 255, that a place must have.
    """
    survey, stretch, history = ClipSurvey(), _Stretch(), list[float]()
    before: Thumb | None = None
    wanted = _looked_at(length)
    bars: list[statistics.Bars] = []
    in_a_row = 0
    for frame in frames:
        luma, most = luma_of(frame), frame.format.max_code
        thumb = luma_thumbnail(luma, most)
        change = None if before is None else float(np.abs(thumb - before).mean())
        survey.frames += 1
        if change is not None and _repeats(change, history):
            if in_a_row < _MOST_REPEATS:
                in_a_row += 1
                survey.repeats += 1
                continue
            history = []
        before, in_a_row = thumb, 0
        if change is not None and _is_cut(change, history):
            survey.scenes += 1
            survey.left_out["too short between cuts"] += bool(stretch.thumbs)
            stretch, history, change = _Stretch(), [], None
        if change is not None:
            history = [*history[1 - _MEMORY :], change]
        if len(stretch.thumbs) in wanted:
            stretch.lumas[len(stretch.thumbs)] = np.array(luma)  # a copy: the decoder uses its memory again
        stretch.thumbs.append(thumb)
        stretch.numbers.append(frame.index)
        if len(stretch.thumbs) == length:
            survey.stretches += 1
            _evaluate(stretch, survey, most, side, least_detail, bars)
            stretch = _Stretch()
    survey.scenes += bool(survey.frames)
    survey.bars = reduce(statistics.Bars.common, bars) if bars else None
    return survey


def _looked_at(length: int) -> tuple[int, ...]:
    """The frames of a stretch whose luma is kept: two pairs."""
    early, late = length // 4, 3 * length // 4 - 1
    return early, early + 1, late, late + 1


def _is_cut(change: float, history: list[float]) -> bool:
    """Whether a change stands out of those before it; the first change of a scene never does.

    Quick motion changes much, but all the time. A cut that slips through is found when the clip is cut out.
    """
    if not history:
        return False
    usual = max(history)
    return change > max(CUT, 2 * usual) or change > max(_QUIET, _STANDS_OUT * usual)


def _repeats(change: float, history: list[float]) -> bool:
    usual = float(np.median(history)) if history else 0.0
    return usual > _MOVING and change < _SAME * usual


def _evaluate(
    stretch: _Stretch, survey: ClipSurvey, most: int, side: int, least_detail: float, bars: list[statistics.Bars]
) -> None:
    """Add a whole stretch's best places to ``survey``, or count why it has none."""
    early, early_next, late, late_next = (stretch.lumas[n] for n in _looked_at(len(stretch.thumbs)))
    if float(stretch.thumbs[0].std()) < FLAT:
        survey.left_out["black, white or fog"] += 1
        return
    if _is_woven([(early, early_next), (late, late_next)], most):
        survey.left_out["combed"] += 1
        return
    codes = statistics.codes8(early, most)
    found = statistics.find_bars(codes)
    if found is not None:
        bars.append(found)
    crop = statistics.settle_crop(found, codes.shape[1], codes.shape[0])
    if min(crop[2:]) < side:
        survey.left_out["smaller than a clip"] += 1
        return
    motion = (_speeds(early, early_next, most) + _speeds(late, late_next, most)) * np.float32(0.5)
    maps = _maps(codes, motion, crop, side)
    places = list(_best(maps, least_detail))
    if not places:
        survey.left_out["without detail"] += 1
    for row, column, speed, sharpness in places:
        left, top = crop[0] + column * CELL, crop[1] + row * CELL
        piece = codes[top : top + side, left : left + side]
        survey.places.append(
            ClipPlace(
                frames=stretch.numbers,
                left=left,
                top=top,
                scene=survey.scenes,
                sharpness=round(sharpness, 5),
                motion=round(speed, 3),
                look=look_of(piece),
            )
        )


def look_of(luma: npt.NDArray[Any]) -> list[float]:
    """What parts of pictures are compared by: the mean of ``[H, W]`` luma, 0 to 255, in each cell of a grid, of 1."""
    means: list[float] = (_block_means(luma, _LOOK) / 255).astype(np.float64).round(3).ravel().tolist()
    return means


def _is_woven(pairs: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]], most: int) -> bool:
    """Whether frames show two moments: whole pictures comb, and so do the cells that move.

    Thin horizontal lines comb too, but they need not move. Where too few cells move to tell, combing decides.
    """
    if not any(is_combed(first, most) for first, _ in pairs):
        return False
    prepared = [(interlace.prepare(first, most), interlace.prepare(second, most)) for first, second in pairs]
    evidence = [interlace.measure_pair(first, second).evidence for first, second in prepared]
    combed, clean = sum(e.combed for e in evidence), sum(e.clean for e in evidence)
    return combed + clean < _TELLING_CELLS or combed > _COMBED_SHARE * (combed + clean)


def _speeds(before: npt.NDArray[Any], now: npt.NDArray[Any], most: int) -> Floats:
    """The length of the motion between two lumas, px a frame, at a reduced size."""
    times = max(1, round(now.shape[1] / _FLOW_PX))
    one, other = (
        torch.from_numpy(_reduced(picture, times) / np.float32(most))[None, None] for picture in (now, before)
    )
    flow = optical_flow(one, other)[0]
    return np.asarray(torch.hypot(flow[0], flow[1]).numpy() * np.float32(times), np.float32)


def _reduced(picture: npt.NDArray[Any], times: int) -> Floats:
    rows, columns = (side // times for side in picture.shape)
    blocks = picture[: rows * times, : columns * times].reshape(rows, times, columns, times)
    return np.asarray(blocks.mean((1, 3), dtype=np.float32))


def _block_means(picture: Floats, shape: tuple[int, int]) -> Floats:
    rows, columns = (np.linspace(0, n, count + 1).astype(int) for n, count in zip(picture.shape, shape, strict=True))
    sums = np.add.reduceat(np.add.reduceat(picture, rows[:-1], 0), columns[:-1], 1)
    return np.asarray(sums / (np.diff(rows)[:, None] * np.diff(columns)[None]), np.float32)


@dataclass(frozen=True, slots=True)
class _Maps:
    """Measures of a clip at each place of the grid: ``[rows, columns]``."""

    detail: Floats
    sharpness: Floats
    motion: Floats
    cells: int


def _maps(codes: Floats, motion: Floats, crop: tuple[int, int, int, int], side: int) -> _Maps:
    left, top, width, height = crop
    y = codes[top : top + height, left : left + width]
    steps = np.zeros_like(y)
    steps[:, 1:] += np.abs(np.diff(y, axis=1))
    steps[1:] += np.abs(np.diff(y, axis=0))
    laplacian = np.zeros_like(y)
    laplacian[1:-1, 1:-1] = 4 * y[1:-1, 1:-1] - y[:-2, 1:-1] - y[2:, 1:-1] - y[1:-1, :-2] - y[1:-1, 2:]
    cells = side // CELL
    mean, square = (_box_means(_cell_means(picture), cells) for picture in (y, y * y))
    fine = _box_means(_cell_means(laplacian * laplacian), cells)
    at_cells = _motion_of_cells(motion, codes.shape, crop)
    return _Maps(
        detail=_box_means(_cell_means(steps), cells) * np.float32(0.5),
        sharpness=fine / (np.maximum(square - mean * mean, 0) + 1),
        motion=_box_means(at_cells, cells),
        cells=cells,
    )


def _cell_means(picture: Floats) -> Floats:
    return _reduced(picture, CELL)


def _motion_of_cells(motion: Floats, shape: tuple[int, ...], crop: tuple[int, int, int, int]) -> Floats:
    """The motion in the middle of each cell of the crop."""
    left, top, width, height = crop
    rows = (top + CELL * (np.arange(height // CELL) + 0.5)) * motion.shape[0] / shape[0]
    columns = (left + CELL * (np.arange(width // CELL) + 0.5)) * motion.shape[1] / shape[1]
    at = [np.minimum(places.astype(int), n - 1) for places, n in zip((rows, columns), motion.shape, strict=True)]
    return np.asarray(motion[np.ix_(*at)], np.float32)


def _box_means(cells: Floats, count: int) -> Floats:
    """Means over ``count`` × ``count`` cells, for every place where they fit."""
    sums = np.pad(cells.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    box = sums[count:, count:] - sums[:-count, count:] - sums[count:, :-count] + sums[:-count, :-count]
    return np.asarray(box / count**2, np.float32)


def _best(maps: _Maps, least_detail: float) -> Iterator[tuple[int, int, float, float]]:
    """Row, column, motion and sharpness of the sharpest places that overlap little: bins of motion take turns."""
    order = np.argsort(-maps.sharpness, axis=None, kind="stable")
    rows, columns = np.unravel_index(order[maps.detail.ravel()[order] >= least_detail], maps.sharpness.shape)
    queues: dict[int, deque[tuple[int, int]]] = {}
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        queues.setdefault(bin_of(float(maps.motion[row, column])), deque()).append((row, column))
    taken: list[tuple[int, int]] = []
    while any(queues.values()) and len(taken) < _PLACES:
        for queue in queues.values():
            while queue and len(taken) < _PLACES:
                row, column = queue.popleft()
                if all(max(abs(row - r), abs(column - c)) * 4 >= maps.cells * 3 for r, c in taken):
                    taken.append((row, column))
                    yield row, column, float(maps.motion[row, column]), float(maps.sharpness[row, column])
                    break


class TakenLooks:
    """The looks of all clips taken so far, of every source."""

    def __init__(self) -> None:
        self._taken: list[Floats] = []

    def is_new(self, place: ClipPlace) -> bool:
        """Whether it looks like no clip that was taken."""
        if not self._taken:
            return True
        look, taken = np.array(place.look, np.float32), np.stack(self._taken)
        contrast = (look.std() + taken.std(1)) / 2
        return bool((np.abs(taken - look).mean(1) >= _ALIKE * contrast + _NOISE).all())

    def take(self, place: ClipPlace) -> None:
        """Remember a place as taken."""
        self._taken.append(np.array(place.look, np.float32))


def choose_places(
    survey: ClipSurvey, most: int, fits: Callable[[ClipPlace], bool], looks: TakenLooks
) -> list[ClipPlace]:
    """At most ``most`` places, in the order of the video, that ``fits`` accepts; adds them to ``looks``."""
    queues: dict[int, dict[int, list[ClipPlace]]] = {}
    for place in sorted(survey.places, key=lambda p: (-p.sharpness, p.frames, p.top, p.left)):
        if fits(place):
            queues.setdefault(bin_of(place.motion), {}).setdefault(place.scene, []).append(place)
    chosen: list[ClipPlace] = []
    given: Counter[int] = Counter()
    while any(queues.values()) and len(chosen) < most:
        for bin_number in sorted(queues):
            found = _next_new(queues[bin_number], given, looks) if len(chosen) < most else None
            if found is not None:
                looks.take(found)
                given[found.scene] += 1
                chosen.append(found)
    return sorted(chosen, key=lambda p: (p.frames, p.top, p.left))


def _next_new(scenes: dict[int, list[ClipPlace]], given: Counter[int], looks: TakenLooks) -> ClipPlace | None:
    """The sharpest new place of the scene that has given fewest clips."""
    while scenes:
        scene = min(scenes, key=lambda s: (given[s], -scenes[s][0].sharpness))
        place = scenes[scene].pop(0)
        if not scenes[scene]:
            del scenes[scene]
        if looks.is_new(place):
            return place
    return None
