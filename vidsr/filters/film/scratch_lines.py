"""Lines along the film in single frames: thin ridges from top to bottom, upright but for a slant and a waver.

The picture is cut into bands, each averaged over its rows, so that a line stands out of the detail that changes along
it. A line is a place, and a slant, at which most bands have a ridge of one sign: brighter than both sides, or darker
than both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from vidsr.frames import Floats

#: Bands that a picture is cut into.
BANDS = 24
#: Widths of ridges that are looked for, px; distance from a ridge to its sides.
_WIDTHS, _BESIDE = (1, 2, 3, 5), 2
#: Columns on either side in which the usual ridges are measured.
_AROUND = 24
#: Least ridge, in 8-bit code values and in usual ridges of its surroundings.
_LEAST, _CLEAR = 1.5, 1.6
#: Largest slant from the top to the bottom, px; and how far a band's ridge may lie from the straight line.
_SLANT, _WAVER = 5, 1
#: Share of the bands that shows a line by itself, and least share that shows one where frames around it do; and pixels
#: around a line in which no weaker one counts.
CLEAR_SHARE, _SHARE, _APART = 0.6, 0.4, 5
#: Farthest that two lines of one sign lie on either side of what is only the gap between them, px; and their least
#: clearness, as a share of its.
_GAP_PX, _AS_CLEAR = 9, 0.6
#: Most lines of a frame, the clearest; and most of each sign that few bands show.
_MOST, _MOST_WEAK = 24, 8
#: Share of the step between its sides by which a ridge must be higher.
_STEP = 0.5
#: Columns at the edges in which no line is looked for.
_EDGE = 4


@dataclass(frozen=True, slots=True)
class FilmLine:
    """One line in one frame.

    ``path`` holds its column in the middle of each band, px with fractions; ``sign`` is 1 for a bright line, -1 for a
    dark one; ``share`` that of the bands that show it.
    """

    path: npt.NDArray[np.float64]
    sign: int
    share: float
    #: Its column at half the height.
    middle: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "middle", float(self.path.mean()))


def band_means(luma: Floats) -> Floats:
    """``[BANDS, W]``: the mean of each band's rows."""
    edges = np.linspace(0, luma.shape[0], BANDS + 1).astype(int)
    sums = np.add.reduceat(luma, edges[:-1], axis=0)
    return np.asarray(sums / np.maximum(np.diff(edges), 1)[:, None], np.float32)


def find_lines(bands: Floats) -> list[FilmLine]:
    """The lines of a picture whose bands are ``bands``, the clearest first."""
    found: list[tuple[float, int, FilmLine]] = []
    for sign in (1, -1):
        signed = np.float32(sign) * bands
        found += [(score, sign, line) for score, line in _straight(signed, _ridges(signed), sign)]
    clear = [(score, line) for score, _, line in found if line.share >= CLEAR_SHARE]
    found = [e for e in found if not _lies_between(e[2], [line for score, line in clear if score >= _AS_CLEAR * e[0]])]
    found.sort(key=lambda entry: (-entry[0], entry[2].middle))
    lines: list[FilmLine] = []
    for _, _, line in found:
        if all(abs(line.middle - other.middle) > _APART for other in lines):
            lines.append(line)
    return lines[:_MOST]


def _lies_between(line: FilmLine, others: Sequence[FilmLine]) -> bool:
    """Whether a line is only the gap between two of the other sign among ``others``."""
    away = [o.middle - line.middle for o in others if o.sign != line.sign and abs(o.middle - line.middle) <= _GAP_PX]
    return any(a < 0 for a in away) and any(a > 0 for a in away)


def _ridges(bands: Floats) -> Floats:
    """How clear a bright ridge each place of each band is; below 1 where it is not clear."""
    best = np.zeros_like(bands)
    cumulated = np.pad(np.cumsum(bands, 1, dtype=np.float64), ((0, 0), (1, 0)))
    width = bands.shape[1]
    at = np.arange(width)
    for thick in _WIDTHS:
        reach = thick // 2
        low, high = np.clip(at - reach, 0, width), np.clip(at - reach + thick, 0, width)
        own = (cumulated[:, high] - cumulated[:, low]) / np.maximum(high - low, 1)
        left = _mean(cumulated, at - reach - 1 - _BESIDE, at - reach - 1)
        right = _mean(cumulated, at - reach + thick + 1, at - reach + thick + 1 + _BESIDE)
        # At the edge of something, a ridge counts only where it stands out of the step.
        height = own - np.maximum(left, right) - _STEP * np.abs(left - right)
        # A wide window on a thin line is lower: the height is that of the best width.
        best = np.maximum(best, height.astype(np.float32))
    curved = np.abs(np.diff(bands, 2, axis=1, prepend=bands[:, :1], append=bands[:, -1:]))
    usual = _median_around(curved)
    return np.asarray(best / np.maximum(_LEAST, _CLEAR * usual), np.float32)


def _mean(cumulated: npt.NDArray[np.float64], first: npt.NDArray[np.int_], stop: npt.NDArray[np.int_]) -> Floats:
    """Means from columns ``first`` to ``stop``, cut at the edges."""
    last = cumulated.shape[1] - 1
    low, high = np.clip(first, 0, last - 1), np.clip(stop, 1, last)
    high = np.maximum(high, low + 1)
    return np.asarray((cumulated[:, high] - cumulated[:, low]) / (high - low), np.float32)


def _median_around(values: Floats) -> Floats:
    """The median of each place's surroundings, in steps of half of them."""
    width, step = values.shape[1], _AROUND
    centres = np.arange(0, width, step)
    medians = np.stack([np.median(values[:, max(0, c - _AROUND) : c + _AROUND + 1], axis=1) for c in centres], 1)
    nearest = np.clip(np.rint(np.arange(width) / step).astype(int), 0, len(centres) - 1)
    return np.asarray(medians[:, nearest], np.float32)


def _straight(bands: Floats, ridges: Floats, sign: int) -> list[tuple[float, FilmLine]]:
    """Straight lines through the ridges, with their scores."""
    width = ridges.shape[1]
    clear = (ridges >= 1).astype(np.float32)
    strength = np.minimum(ridges, 3)
    # A band counts where a clear ridge is no further than the waver.
    near_clear, near_strength = _spread(clear), _spread(strength)
    score = np.zeros((2 * _SLANT + 1, width), np.float32)
    share = np.zeros_like(score)
    along = (np.arange(BANDS) - (BANDS - 1) / 2) / BANDS
    places = np.arange(width)
    clear_wide, strong_wide = (
        np.pad(values, ((0, 0), (_SLANT, _SLANT)), mode="edge") for values in (near_clear, near_strength * near_clear)
    )
    for number, slant in enumerate(range(-_SLANT, _SLANT + 1)):
        for band, offset in enumerate(np.rint(slant * along).astype(int) + _SLANT):
            share[number] += clear_wide[band, offset : offset + width]
            score[number] += strong_wide[band, offset : offset + width]
    share, score = share / np.float32(BANDS), score / np.float32(BANDS)
    best = np.argmax(score - 0.01 * np.abs(np.arange(-_SLANT, _SLANT + 1))[:, None], 0)
    tops, shares = score[best, places], share[best, places]
    tallest = []
    for x in map(int, np.nonzero(shares >= _SHARE)[0]):
        low, high = max(0, x - 2), min(width, x + 3)
        if _EDGE <= x < width - _EDGE and tops[x] >= tops[low:high].max() and tops[x] > tops[low:x].max(initial=0):
            tallest.append(x)
    too_weak = sorted((x for x in tallest if shares[x] < CLEAR_SHARE), key=lambda x: -tops[x])[_MOST_WEAK:]
    found = []
    for x in sorted(set(tallest) - set(too_weak)):
        path = _path(bands, ridges, float(x), float(best[x]) - _SLANT)
        found.append((float(tops[x]), FilmLine(path, sign, float(shares[x]))))
    return found


def _spread(values: Floats) -> Floats:
    """The largest value within the waver of each place."""
    padded = np.pad(values, ((0, 0), (_WAVER, _WAVER)))
    width = values.shape[1]
    return np.asarray(np.max([padded[:, k : k + width] for k in range(2 * _WAVER + 1)], 0), np.float32)


def _path(bands: Floats, ridges: Floats, middle: float, slant: float) -> npt.NDArray[np.float64]:
    """The line's column in each band: a parabola through the centres of the ridges near the straight line."""
    along = (np.arange(BANDS) - (BANDS - 1) / 2) / BANDS
    straight = middle + slant * along
    nearest = np.rint(straight)[:, None].astype(int)
    columns = np.clip(nearest + np.arange(-4, 5), 0, ridges.shape[1] - 1)
    values = np.take_along_axis(bands, columns, 1).astype(np.float64)
    clear = np.take_along_axis(ridges, columns, 1)[:, 2:-2].max(1)
    # The weight of a place is by how much it stands out of the slope from one side to the other.
    left, right = values[:, :2].mean(1, keepdims=True), values[:, -2:].mean(1, keepdims=True)
    ground = left + (right - left) * np.linspace(0, 1, 9)[None]
    weights = np.maximum(values - ground, 0)[:, 1:-1]
    centres = (weights * columns[:, 1:-1]).sum(1) / np.maximum(weights.sum(1), 1e-6)
    trust = np.where(clear >= 1, np.minimum(clear, 3), 0)
    if (trust > 0).sum() < 6:
        return straight
    powers = np.stack([np.ones(BANDS), along, along**2], 1)
    for _ in range(2):
        fitted = np.linalg.lstsq(powers * trust[:, None], centres * trust, rcond=None)[0]
        away = np.abs(centres - powers @ fitted)
        trust = np.where(away > 1.5, 0, trust)
        if (trust > 0).sum() < 6:
            return straight
    return np.asarray(powers @ fitted)
