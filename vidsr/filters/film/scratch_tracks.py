"""Which lines of a frame are scratches: they last over many frames, and do not move with the scene.

A pole, a window frame or a letter moves with what is next to it. A scratch wanders over it, slowly: the film ran past
the same grain of dust. So a line is a scratch only where its place relative to the picture on both sides of it changes
by more than measuring errs, and not in proportion to the picture's own motion, as a pole before a far background does.
A line that stands still on a picture that stands still may be either; it is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidsr.filters.film.registration import Registered, Shift, registered_shift
from vidsr.filters.film.scratch_lines import CLEAR_SHARE, FilmLine, band_means, find_lines
from vidsr.frames import Floats

Floats64 = npt.NDArray[np.float64]
#: Frames on either side that a line is followed over.
REACH = 12
#: Frames on either side that must agree.
SETTLE = 2
#: Frames on either side in which a scratch is looked for that a frame between them does not show.
BRIDGE = 4
#: Farthest that a line moves in a frame, and in frames in which it was not seen; frames that it may be unseen in a row.
_STEP_PX, _GAP = 1.8, 3
#: Fewest frames that a line must be seen in, and least share of those from its first to its last.
_FEWEST, _SEEN = 9, 0.6
#: Share of the bands that may show a line by chance, and by how much all frames together must exceed it: 9 frames show
#: it in 75 % of the bands, or 25 frames in 62 %.
_CHANCE, _EVIDENCE = 0.55, 1.8
#: Mean share from which a line counts as measured well; below it, it must wander by so many standard deviations of its
#: unrest from frame to frame.
_SURE, _UNREST = 0.75, 3.5
#: Farthest that a scratch which a frame does not show moves in a frame; lines closer to each other are the same, px.
_BRIDGED_PX, _SAME_PX = 1.0, 5
#: Width of the strips next to a line whose motion is measured, their distance from it, and the farthest shift, px.
_STRIP, _AWAY, _FAR = 28, 5, 10
#: A strip whose best shift leaves more than this share of the worst one's difference has no texture to measure by.
_VAGUE = 0.5
#: Pictures are halved until their shorter side is shorter than this before their whole motion is measured; the least
#: trust in it.
_FINEST_PX, _TRUSTED = 240, 0.4
#: Mean difference of the bands of two scenes, in 8-bit code values.
_NEW_SCENE = 18.0
#: Frames that a place is averaged over; by how much it must wander over the picture, px; and how still it may stand.
_SMOOTHED, _WANDER, _STILL = 5, 0.5, 0.12
#: Motion of the picture, px, up to which it counts as standing still.
_CALM = 0.8
#: What moves in proportion to the picture is part of the scene, farther away or nearer: unless it moves less than this
#: share, or against the picture by up to that.
_OWN, _AGAINST = 0.3, 1.0


@dataclass(frozen=True, slots=True)
class LinedFrame:
    """What is kept of a frame.

    ``bands`` are as :func:`vidsr.filters.film.scratch_lines.band_means` gives them, ``lines`` what is found in them,
    and ``shift`` is how the picture moved from the frame before.
    """

    bands: Floats
    lines: tuple[FilmLine, ...]
    shift: Shift


def lined_frames(lumas: Iterable[Floats]) -> Iterator[LinedFrame]:
    """From consecutive lumas in 8-bit code values."""
    before: Registered | None = None
    for luma in lumas:
        bands = band_means(luma)
        now = Registered(luma, 255, _FINEST_PX)
        shift = Shift(x=0.0, y=0.0, trust=0.0, repeat=False) if before is None else registered_shift(before, now)
        before = now
        yield LinedFrame(bands, tuple(find_lines(bands)), shift)


def scene_around(window: Sequence[LinedFrame], at: int) -> tuple[int, int]:
    """The frames of the scene of ``at`` that it is judged with, as a half-open range: ``2 * REACH + 1``, with ``at`` in
    the middle unless the scene begins or ends closer to it; fewer of a shorter scene."""
    first = stop = at
    while first > max(0, at - 2 * REACH) and not _cut(window[first - 1], window[first]):
        first -= 1
    while stop < min(len(window) - 1, at + 2 * REACH) and not _cut(window[stop], window[stop + 1]):
        stop += 1
    ahead = max(at + REACH, first + 2 * REACH)
    behind = min(at - REACH, stop - 2 * REACH)
    return max(first, behind), min(stop, ahead) + 1


def _cut(one: LinedFrame, other: LinedFrame) -> bool:
    """Whether another scene begins: no common motion is known, and profiles without their mean differ more than
    ``_NEW_SCENE``."""
    if other.shift.trust >= _TRUSTED:
        return False  # it moved on, however fast
    apart = [lined.bands - lined.bands.mean() for lined in (one, other)]
    return float(np.abs(apart[0] - apart[1]).mean()) > _NEW_SCENE


def scratches(window: Sequence[LinedFrame], at: int) -> list[FilmLine]:
    """The lines of frame ``at`` of a window of one scene that are scratches, by that window alone."""
    return [line for line in window[at].lines if _is_scratch(window, at, line)]


def settled(
    window: Sequence[LinedFrame], found: Mapping[int, Sequence[FilmLine]], at: int, least_confidence: float = 0.0
) -> list[FilmLine]:
    """The lines of frame ``at`` that are scratches in most of the frames around it.

    ``found`` holds for each of them what :func:`scratches` gave. A fill that comes and goes is worse than none. Lines
    whose share of agreeing frames, or of the height, is below ``least_confidence`` are left out.
    """
    near = {n: lines for n, lines in found.items() if abs(n - at) <= SETTLE}
    kept: list[FilmLine] = []
    own = window[at].lines
    for number, line in enumerate((*own, *_bridging(found, at))):
        if any(abs(line.middle - other.middle) <= _SAME_PX for other in kept):
            continue
        agreeing = sum(_shown(lines, line) for lines in near.values())
        others = len(near) - (number >= len(own))
        if others and 2 * agreeing > others and min(agreeing / others, line.share) >= least_confidence:
            kept.append(line)
    return kept


def _shown(lines: Sequence[FilmLine], line: FilmLine) -> bool:
    """Whether a scratch of a frame close by may be this one."""
    near = _nearest(lines, line.sign, line.middle)
    return near is not None and abs(near.middle - line.middle) <= SETTLE * _STEP_PX


def _bridging(found: Mapping[int, Sequence[FilmLine]], at: int) -> Iterator[FilmLine]:
    """Where frame ``at`` has scratches by those of the frames before and after it: between the nearest of each."""
    for before in (n for n in sorted(found, reverse=True) if n < at):
        for line in found[before]:
            for after in (n for n in sorted(found) if n > at):
                other = _nearest(found[after], line.sign, line.middle)
                if other is not None and abs(other.middle - line.middle) <= _BRIDGED_PX * (after - before):
                    share = (at - before) / (after - before)
                    path = line.path + share * (other.path - line.path)
                    yield FilmLine(path, line.sign, min(line.share, other.share))
                    break


def _is_scratch(window: Sequence[LinedFrame], at: int, line: FilmLine) -> bool:
    track = _followed(window, at, line)
    first, last = min(track), max(track)
    clear = [line.share for line in track.values() if line.share >= CLEAR_SHARE]
    if len(clear) < _FEWEST or len(track) < _SEEN * (last - first + 1) or sum(clear) - _CHANCE * len(clear) < _EVIDENCE:
        return False
    numbers = sorted(track)
    places = np.array([track[n].middle for n in numbers])
    if float(_smoothed(places).std()) < _STILL:
        return False  # an analogue line never stands so still; this one was drawn
    shown = float(np.mean(clear))
    strips = _known([_strip_path(window, track, at, side) for side in (-1, 1)])
    whole = _known([_whole_path(window, at, numbers)])
    if shown < _SURE:
        # A line that few bands show is measured less well, so it must wander by more than its own unrest.
        least = max(2 * _WANDER, _UNREST * float((places - _smoothed(places)).std()))
        known = strips + whole
    else:
        least = _WANDER
        if strips and any(np.ptp(_smoothed(places[seen] - path[seen])) < least for path, seen in whole):
            return False
        known = strips or whole
    return bool(known) and all(_wanders(places[seen], path[seen], least) for path, seen in known)


def _known(paths: Sequence[Floats64]) -> list[tuple[Floats64, npt.NDArray[np.bool_]]]:
    """Those paths that are known in enough frames, and in which."""
    known = [(path, ~np.isnan(path)) for path in paths]
    return [(path, seen) for path, seen in known if seen.sum() >= max(_FEWEST, _SEEN * len(path))]


def _followed(window: Sequence[LinedFrame], at: int, line: FilmLine) -> dict[int, FilmLine]:
    """Frame number → the line in it, for the frames in which it is seen."""
    track = {at: line}
    for numbers in (range(at - 1, -1, -1), range(at + 1, len(window))):
        last, unseen = line, 0
        for n in numbers:
            reach = _STEP_PX + 0.3 * unseen
            within = [o for o in window[n].lines if o.sign == line.sign and abs(o.middle - last.middle) <= reach]
            near = _nearest([o for o in within if o.share >= CLEAR_SHARE] or within, line.sign, last.middle)
            if near is not None:
                track[n], last, unseen = near, near, 0
            else:
                unseen += 1
                if unseen > _GAP:
                    break
    return track


def _nearest(lines: Sequence[FilmLine], sign: int, place: float) -> FilmLine | None:
    """Of the lines of one sign the one next to a column."""
    return min((o for o in lines if o.sign == sign), key=lambda o: abs(o.middle - place), default=None)


def _strip_path(window: Sequence[LinedFrame], track: Mapping[int, FilmLine], at: int, side: int) -> Floats64:
    """How far the picture on one side of a line has moved since frame ``at`` in each frame of ``track``, px.

    Measured against frame ``at``, or step by step where it has moved farther than the strip can be searched; NaN where
    it has no texture.
    """
    path = {at: 0.0}
    for numbers in (sorted((n for n in track if n < at), reverse=True), sorted(n for n in track if n > at)):
        last = at
        for n in numbers:
            path[n] = _strip_shift(window, track, at, n, side)
            if np.isnan(path[n]) and last != at:
                path[n] = path[last] + _strip_shift(window, track, last, n, side)
            if not np.isnan(path[n]):
                last = n
    return np.array([path[n] for n in sorted(track)])


def _whole_path(window: Sequence[LinedFrame], at: int, numbers: Sequence[int]) -> Floats64:
    """How far the whole picture has moved since frame ``at``, px; NaN beyond a displacement that is not trusted."""
    steps = np.array([frame.shift.x if frame.shift.trust >= _TRUSTED else np.nan for frame in window])
    after = np.cumsum(steps[at + 1 :])
    before = -np.cumsum(steps[at:0:-1])[::-1]
    return np.concatenate((before, [0.0], after))[list(numbers)]


def _strip_shift(window: Sequence[LinedFrame], track: Mapping[int, FilmLine], one: int, other: int, side: int) -> float:
    """By how much the strip next to the line in frame ``one`` lies further right in ``other``; NaN if unclear."""
    width, middle = window[one].bands.shape[1], track[one].middle
    near, far = round(middle + side * _AWAY), round(middle + side * (_AWAY + _STRIP))
    low, high = max(_FAR, min(near, far)), min(width - _FAR, max(near, far))
    if high - low < _STRIP // 2:
        return float("nan")
    own = _without(window[one].bands, track[one], low, high)
    there = _without(window[other].bands, track[other], low - _FAR, high + _FAR)
    own = own - own.mean(1, keepdims=True)
    there = np.lib.stride_tricks.sliding_window_view(there, high - low, 1)
    errors = ((there - there.mean(2, keepdims=True) - own[:, None]) ** 2).mean((0, 2), dtype=np.float64)
    best = int(np.argmin(errors))
    if errors[best] > _VAGUE * float(np.median(errors)) or not 0 < best < 2 * _FAR:
        return float("nan")
    before, here, after = errors[best - 1 : best + 2]
    bend = before - 2 * here + after
    return best - _FAR + (0.5 * float(before - after) / float(bend) if bend > 0 else 0.0)


def _without(bands: Floats, line: FilmLine, low: int, high: int) -> Floats:
    """Columns ``low`` to ``high`` with the line drawn over from both sides: it would be measured for the picture."""
    reach = _AWAY + round(float(np.ptp(line.path)) / 2)
    left, right = max(0, round(line.middle) - reach), min(bands.shape[1] - 1, round(line.middle) + reach)
    first, stop = max(low, left), min(high, right + 1)
    part = bands[:, low:high]
    if first < stop:
        part = part.copy()
        share = ((np.arange(first, stop) - left) / (right - left)).astype(np.float32)
        part[:, first - low : stop - low] = bands[:, left, None] * (1 - share) + bands[:, right, None] * share
    return part


def _wanders(places: Floats64, picture: Floats64, least: float) -> bool:
    """Whether a line moves on its own by ``least`` px, and not with the ``picture`` next to it nor in proportion."""
    relative, moved = _smoothed(places - picture), _smoothed(picture)
    if float(np.ptp(relative)) < least:
        return False
    travel = float(np.ptp(moved))
    if travel < _CALM:
        return True
    centred, own = moved - moved.mean(), _smoothed(places) - places.mean()
    proportion = float(centred @ own) / float(centred @ centred)
    if float(np.ptp(own - proportion * centred)) >= least:
        return True
    return -_AGAINST <= proportion <= _OWN


def _smoothed(values: Floats64) -> Floats64:
    padded = np.pad(values, _SMOOTHED // 2, mode="edge")
    return np.convolve(padded, np.ones(_SMOOTHED) / _SMOOTHED, "valid")
