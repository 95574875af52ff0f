"""Film in a transfer of a higher frame rate: the rhythm in which its pictures are repeated, and where a repeat stands.

Film of ``r`` pictures a second that is shown at ``R`` frames a second without blending gives a pattern: frame ``n``
shows picture ``floor(n r / R + phase)``, and repeats the frame before where that number stays. Compression, grain of
the transfer and stillness hide single repeats; so frames are not judged one by one. How far each frame differs from the
one before becomes *evidence* (log-likelihood ratio in nats: above 0 new, below 0 repeated, 0 unknown), measured against
how much usually changes around it. A Viterbi search then finds the pattern that explains all of it best, with a price
on changing the phase, as an edit made after the transfer does.

Rates of film are recognised by the same search: each known one, against patterns that are none of film (animation on
twos and threes, any other ratio).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from vidsr.filters.detect.interlace import Luma

Series = npt.NDArray[np.float64]

#: Rates at which film is shot or projected, in pictures a second; 16 2/3 is silent film slowed to a multiple of 25 Hz.
FILM_RATES = (
    Fraction(12),
    Fraction(15),
    Fraction(16),
    Fraction(50, 3),
    Fraction(18),
    Fraction(20),
    Fraction(24),
    Fraction(25),
)
#: Pictures for each frame of the transfer: what counts as film in it. Beyond the upper bound repeats are too rare to
#: be a pattern; from half down, patterns of animation are.
_LEAST_RATIO, _MOST_RATIO = 0.26, 0.97
#: Ratios closer than this are told apart by nothing shorter than a whole film.
_SAME_RATIO = 0.004
#: Animation and other clips in which each picture stands for whole frames.
_HELD = (1 / 2, 1 / 3, 1 / 4)
#: Ratios that no film has, as rivals.
_RIVALS = tuple(np.arange(0.26, 0.985, 0.0125))

#: Blocks across a picture whose means are compared, which evens out grain; the share of blocks that change most.
_BLOCKS, _MOST_CHANGED = 80, 0.05
#: Added to every change, in 8-bit code values: smaller ones say nothing.
_FLOOR = 0.1
#: A cut changes by more than this, and by so many times as much as any frame near it.
_CUT_CHANGE, _CUT_SHARE = 20.0, 2.0
#: Frames before, or after, from which the level of new pictures is estimated, and on either side from which that of
#: repeats is; fewest that say something.
_NEAR, _WIDE, _FEWEST = 7, 12, 3
#: Pictures for each frame from which levels are estimated while the ratio is unknown; in transfers of up to so many
#: frames a second, and in others.
_USUAL_RATIO, _USUAL_RATE, _FAST_RATIO = 0.7, 40, 0.4
#: Spread of the logarithm of changes of either kind; the largest ratio of their levels, as logarithm, and evidence.
_SPREAD, _APART, _CAP = 0.5, 3.0, 4.0
#: Evidence of the first frame after a cut, where another phase costs less.
_AT_CUT = 5.0
#: Phases that are tried; prices of a small drift (more than a single frame can gain), of another phase, and of another
#: phase at a cut.
_PHASES, _DRIFT, _EDIT, _CUT = 240, 4.5, 7.0, 4.0
#: Evidence from which a repeat and the new picture next to it change places: the transfer rounded the other way.
_SWAP = 2.0
#: The pattern must explain this share of all evidence, be better than the second best by so many nats, and than no
#: repeats at all by so many.
_LEAST_FIT, _MARGIN, _CLEAR = 0.8, 6.0, 20.0


def signature(luma: Luma) -> npt.NDArray[np.float32]:
    """The means of blocks of a luma plane in 8-bit code values, some 80 blocks across."""
    side = max(1, round(luma.shape[1] / _BLOCKS))
    rows, columns = luma.shape[0] // side, luma.shape[1] // side
    # Rows first: whole rows are added at once.
    lines = luma[: rows * side, : columns * side].reshape(rows, side, columns * side).sum(1)
    return np.asarray(lines.reshape(rows, columns, side).sum(2) * np.float32(1 / side**2))


def change(before: npt.NDArray[np.float32], now: npt.NDArray[np.float32]) -> float:
    """How far two signatures differ: the mean over the blocks that differ most, in 8-bit code values."""
    differences = np.abs(now - before).ravel()
    count = max(1, int(len(differences) * _MOST_CHANGED))
    return float(np.partition(differences, -count)[-count:].mean())


def evidence(changes: Sequence[float], ratio: float = _USUAL_RATIO) -> Series:
    """For each frame how much its change from the one before speaks for a new picture (above 0) or a repeat, in nats.

    ``changes[n]`` is the change from frame ``n`` to ``n + 1``. The result has one more value: the first frame, of which
    nothing is known, has 0. ``ratio`` of the frames are expected to be new.
    """
    values = np.asarray(changes, np.float64)
    level = np.log(values + _FLOOR)
    found = np.zeros(len(level) + 1)
    edges = [-1, *_cuts(values), len(level)]
    for before, end in pairwise(edges):
        if end < len(level):
            found[end + 1] = _AT_CUT
        if end - before > _FEWEST:
            found[before + 2 : end + 1] = _within_scene(level[before + 1 : end], ratio)
    return found


def is_cut(series: Series) -> npt.NDArray[np.bool_]:
    """For each frame whether a scene begins with it, of evidence."""
    return np.asarray(series >= _AT_CUT)


def usual_ratio(rate: Fraction) -> float:
    """Pictures for each frame to be expected of film in a transfer of ``rate`` frames a second."""
    return _USUAL_RATIO if rate <= _USUAL_RATE else _FAST_RATIO


def _cuts(values: Series) -> list[int]:
    """Changes that are cuts: large, and far larger than those around them."""
    found = []
    for n in np.flatnonzero(values > _CUT_CHANGE):
        around = np.concatenate((values[max(0, n - _NEAR) : n], values[n + 1 : n + 1 + _NEAR]))
        if len(around) and values[n] > _CUT_SHARE * around.max():
            found.append(int(n))
    return found


def _within_scene(level: Series, ratio: float) -> Series:
    """Evidence from logarithms of change within one scene."""
    new = np.minimum(_new_level(level, ratio), _new_level(level[::-1], ratio)[::-1])
    around = _ordered(np.pad(level, _WIDE, constant_values=np.nan), 2 * _WIDE + 1)
    known = np.isfinite(around).sum(1)
    places = ((1 - ratio) * known / 2).astype(int)
    repeat = np.take_along_axis(around, places[:, None], 1)[:, 0]
    apart = np.clip(new - repeat, 0, _APART)
    return np.asarray(np.clip((level - new + apart / 2) * apart / _SPREAD**2, -_CAP, _CAP))


def _new_level(level: Series, ratio: float) -> Series:
    """The usual level of new pictures before each frame: the median of the share ``ratio`` that changes most."""
    ordered = _ordered(np.pad(level, (_NEAR, 0), constant_values=np.nan)[:-1], _NEAR)
    known = np.isfinite(ordered).sum(1)
    places = np.maximum(known - 1 - (ratio * known / 2).astype(int), 0)
    found = np.take_along_axis(ordered, places[:, None], 1)[:, 0]
    return np.where(known < _FEWEST, np.inf, found)  # at the edges of a scene the other side decides


def _ordered(level: Series, length: int) -> Series:
    """All windows of a series, each in ascending order; NaN last."""
    return np.sort(np.lib.stride_tricks.sliding_window_view(level, length), 1)


@dataclass(frozen=True, slots=True)
class _Rhythm:
    """A ratio that is tried: pictures for each frame, and the film rate if it is one."""

    ratio: float
    film: Fraction | None


def exact_rates(film: Fraction, rate: Fraction) -> tuple[Fraction, ...]:
    """The rates that film of a nominal rate may have in a transfer of ``rate``: with 29.97 and its like, a thousandth
    less too."""
    return (film, film * Fraction(1000, 1001)) if rate.denominator % 1001 == 0 else (film,)


def _rhythms(rate: Fraction) -> list[_Rhythm]:
    """All that are tried in a transfer of ``rate`` frames a second."""
    films: list[_Rhythm] = []
    for film in FILM_RATES:
        for exact in exact_rates(film, rate):
            ratio = float(exact / rate)
            held = any(abs(ratio - h) < _SAME_RATIO for h in _HELD)
            if _LEAST_RATIO < ratio < _MOST_RATIO and not held:
                films.append(_Rhythm(ratio, film))
    rivals = [r for r in (*_HELD, *_RIVALS) if all(abs(r - f.ratio) >= 2 * _SAME_RATIO for f in films)]
    return [*films, *(_Rhythm(float(r), None) for r in rivals)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """A rhythm of film that was found.

    ``film`` and ``rate`` are pictures and frames a second; ``ratio`` is their exact quotient in the clip. ``certainty``
    is 0 to 1. ``fitting`` of ``visible`` changes and repeats that can be told apart fit the rhythm.
    """

    film: Fraction
    rate: Fraction
    ratio: float
    certainty: float
    fitting: int
    visible: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; rates as text, for example ``50/3``."""
        return {
            "film": str(self.film),
            "rate": str(self.rate),
            "ratio": round(self.ratio, 5),
            "certainty": round(self.certainty, 3),
            "fitting": self.fitting,
            "visible": self.visible,
        }


def find_cadence(stretches: Sequence[Series], rate: Fraction) -> Cadence | None:
    """The rhythm that the evidence of some stretches of one clip shows; None if it shows none of film."""
    rhythms = _rhythms(rate)
    films = [r for r in rhythms if r.film is not None]
    stretches = [s for s in stretches if np.abs(s).sum() > _CAP]
    if not films or not stretches:
        return None
    ratios = np.array([r.ratio for r in rhythms])
    scores = sum((_scores(s, ratios) for s in stretches), np.zeros(len(rhythms)))
    everything = sum(float(np.abs(s).sum()) / 2 for s in stretches)
    nothing = sum(float(s.sum()) / 2 for s in stretches)
    best = int(np.argmax(scores[: len(films)]))
    others = [
        scores[k]
        for k, r in enumerate(rhythms)
        if r.film != films[best].film and abs(r.ratio - ratios[best]) > _SAME_RATIO
    ]
    margin, clear = float(scores[best] - max(others)), float(scores[best]) - nothing
    fit = float(scores[best]) / everything
    if fit < _LEAST_FIT or margin < _MARGIN or clear < _CLEAR:
        return None
    film = films[best].film
    assert film is not None
    fitting = visible = 0
    for series in stretches:
        new = decode(series, float(ratios[best])).new
        seen = np.abs(series) > _SPREAD * 2
        visible += int(seen.sum())
        fitting += int((seen & (new == (series > 0))).sum())
    return Cadence(
        film=film,
        rate=rate,
        ratio=float(ratios[best]),
        certainty=float(1 - np.exp(-min(margin, clear) / _MARGIN)) * fitting / max(1, visible),
        fitting=fitting,
        visible=visible,
    )


def _scores(series: Series, ratios: Series) -> Series:
    """For each ratio the evidence that its best path through the phases explains."""
    prices = _edit_prices(series)
    best = np.zeros((len(ratios), _PHASES))
    for n, gain in enumerate(series):
        best = _step(best, n, float(gain), float(prices[n]), ratios[:, None], None)
    return np.asarray(best.max(1), np.float64)


def _edit_prices(series: Series) -> Series:
    return np.where(is_cut(series), _CUT, _EDIT)


#: The phases that are tried. They avoid simple fractions, where rounding would decide what is new.
_OFFSETS = (np.arange(_PHASES) + 0.37) / _PHASES


def _is_new(n: int, ratios: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """For each phase whether frame ``n`` shows a new picture."""
    return np.asarray((n * ratios + _OFFSETS) % 1 < ratios)


def _step(
    best: Series, n: int, gain: float, price: float, ratios: npt.NDArray[Any], came: npt.NDArray[np.int16] | None
) -> Series:
    """Scores after frame ``n``. ``came`` takes the phase that each came from; -1 for an edit at this frame."""
    side = np.maximum(np.roll(best, 1, -1), np.roll(best, -1, -1)) - _DRIFT
    kept = np.maximum(best, side)
    emitted = kept + np.where(_is_new(n, ratios), gain / 2, -gain / 2)
    # What follows an edit is new, whatever the pattern says of the frame.
    edited = best.max(-1, keepdims=True) - price + gain / 2
    if came is not None:
        phases = np.arange(_PHASES)
        left = np.roll(best, 1, -1) >= np.roll(best, -1, -1)
        came[:] = np.where(best >= side, phases, np.where(left, phases - 1, phases + 1) % _PHASES)
        came[edited[0] > emitted] = -1
    return np.asarray(np.maximum(emitted, edited))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """Which frames show a new picture, the first frame of every span of one phase (the first is 0), and the evidence
    in nats that this explains."""

    new: npt.NDArray[np.bool_]
    spans: tuple[int, ...]
    score: float


def decode(series: Series, ratio: float) -> Decoded:
    """The frames that show new pictures, from evidence and the pictures for each frame."""
    count = len(series)
    prices = _edit_prices(series)
    came = np.empty((count, _PHASES), np.int16)
    best = np.zeros(_PHASES)
    peaks = np.empty(count, np.int16)
    for n, gain in enumerate(series):
        peaks[n] = int(np.argmax(best))
        best = _step(best, n, float(gain), float(prices[n]), np.array([ratio]), came[n])
    new = np.empty(count, np.bool_)
    spans = []
    phase = int(np.argmax(best))
    for n in range(count - 1, -1, -1):
        new[n] = (n * ratio + _OFFSETS[phase]) % 1 < ratio
        if came[n, phase] < 0:
            new[n] = True
            spans.append(n)
            phase = int(peaks[n])
        else:
            phase = int(came[n, phase])
    new[:1] = True
    _swap(new, series)
    starts = (0, *(n for n in reversed(spans) if n))
    return Decoded(new=new, spans=starts, score=float(best.max()))


def _swap(new: npt.NDArray[np.bool_], series: Series) -> None:
    """Let a repeat and a new picture next to each other change places where both clearly are the other one."""
    wrong = np.where(new, -series, series) > _SWAP
    for n in np.flatnonzero(wrong[1:-1] & wrong[2:] & (new[1:-1] != new[2:])) + 1:
        if wrong[n]:
            new[n], new[n + 1] = new[n + 1], new[n]
            wrong[n + 1] = False
