"""Film out of a transfer of a higher frame rate: repeats left out, each picture at its own time.

The rhythm of the repeats is found by :mod:`vidsr.filters.detect.cadence`. Times lie on the grid of the film's rate,
which begins with the source. After an edit, which shifts the rhythm, the grid stays; so sound stays in place, and
single pictures at the edit last longer or shorter. A frame is left out only if it also looks like a repeat.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import floor, lcm

import numpy as np
import numpy.typing as npt

from vidsr.filters.before.descriptor import Clock, FilterDescriptor, Retiming
from vidsr.filters.before.timeline import WEAVE, Timeline, TimelineEntry, Times
from vidsr.filters.detect import interlace
from vidsr.filters.detect.cadence import Decoded, Series, change, decode, evidence, exact_rates, signature
from vidsr.filters.detect.inspection import Inspection
from vidsr.frames import Frame

#: Evidence beyond which a frame clearly repeats. One that does not stand out from its neighbours is left out only if it
#: changes by no more than so many times as much as this percentile of the repeats, or not at all (8-bit code values).
_CLEARLY, _MOST_REPEATS, _LIKE_A_REPEAT, _NOTHING = -1.0, 75, 2.7, 0.1
#: Where no more than this share of the repeats is clear, all of them say how much a repeat changes.
_FEW = 0.2
#: Frames on either side; where the rhythm's repeats among them mostly do not look like repeats, the source is video.
_AROUND = 12
#: Pictures after which the time of the film is compared with the source's, and the share of a picture's duration by
#: which they may differ before a picture is shown for longer.
_BLOCK, _TOLERANCE = 250, 0.6
#: By so many nats another exact rate than the nominal one must explain the source better.
_NOMINAL = 3.0
#: Parts of a picture's duration that times are multiples of.
_PARTS = 4


@dataclass(frozen=True, slots=True)
class FilmRate:
    """Pictures a second."""

    rate: Fraction

    def __str__(self) -> str:
        return str(self.rate)

    @classmethod
    def parse(cls, text: str) -> FilmRate:
        """From ``18`` or ``50/3``.

        Raises:
            ValueError: the text is not a rate from 1 to 60.
        """
        try:
            rate = Fraction(text)
        except (ValueError, ZeroDivisionError):
            rate = Fraction(0)
        if not 1 <= rate <= 60:
            raise ValueError("give the film's pictures a second, such as 16, 18 or 50/3")
        return cls(rate)


def film_clock(wanted: FilmRate, clock: Clock) -> Clock:
    """The rate of the film, and a time base in which parts of its pictures' durations are whole numbers."""
    parts = [(1 / (exact * clock.time_base) / _PARTS).denominator for exact in exact_rates(wanted.rate, clock.rate)]
    return Clock(rate=wanted.rate, time_base=clock.time_base / lcm(*parts))


def film_timeline(frames: Iterator[Frame], times: Times, wanted: FilmRate) -> Timeline:
    """One entry for each picture of the film."""
    changes: list[float] = []
    before: npt.NDArray[np.float32] | None = None
    for frame in frames:
        blocks = signature(interlace.prepare(frame.planes[0], frame.format.max_code))
        if before is not None:
            changes.append(change(before, blocks))
        before = blocks
    period, decoded = _decoded(changes, times, wanted.rate)
    kept, own = _kept(changes, decoded)
    starts = _starts(decoded, kept, own, times, period)
    end = times.pts[len(kept) - 1] + times.durations[len(kept) - 1]
    numbers = np.flatnonzero(kept)
    entries = [
        TimelineEntry(int(n), int(n), WEAVE, start, stop - start)
        for n, start, stop in zip(numbers, starts, [*starts[1:], end], strict=True)
    ]
    return Timeline(tuple(entries), "tff", times.time_base, len(kept))


@dataclass(frozen=True, slots=True)
class _Found:
    """A decoding, and the evidence that it is made from."""

    evidence: Series
    decoded: Decoded


def _decoded(changes: Sequence[float], times: Times, film: Fraction) -> tuple[Fraction, _Found]:
    """The duration of a picture in units of the time base, and the rhythm; of several exact rates the best."""
    step = Fraction(int(np.median(times.durations))) if len(times.durations) else Fraction(1)
    rate = times.rate or 1 / (step * times.time_base)
    choices = []
    for exact in exact_rates(film, rate):
        ratio = float(exact / rate)
        series = evidence(changes, min(ratio, 0.97))
        choices.append((1 / (exact * times.time_base), _Found(series, decode(series, min(ratio, 1.0)))))
    best = max(choices, key=lambda choice: choice[1].decoded.score)
    nominal = choices[0]
    return best if best[1].decoded.score > nominal[1].decoded.score + _NOMINAL else nominal


def _kept(changes: Sequence[float], found: _Found) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which frames stay, and which belong to video without the rhythm, so that they keep their own time."""
    repeats = ~found.decoded.new
    values = np.concatenate(([np.inf], np.asarray(changes, np.float64)))
    clear = repeats & (found.evidence < _CLEARLY)
    usual = clear if clear.sum() > _FEW * repeats.sum() else repeats
    most = float(np.percentile(values[usual], _MOST_REPEATS)) if usual.any() else 0.0
    real = repeats & (clear | (values <= _LIKE_A_REPEAT * most + _NOTHING))
    due, seen = (_around(frames) for frames in (repeats, real))
    own = 2 * seen < due
    return ~(real & ~own), own


def _around(frames: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """For each frame how many of those marked lie around it. Clips may be shorter than what lies around a frame."""
    counts = np.convolve(frames.astype(np.float64), np.ones(2 * _AROUND + 1), "full")
    return counts[_AROUND : _AROUND + len(frames)]


def _starts(
    found: _Found, kept: npt.NDArray[np.bool_], own: npt.NDArray[np.bool_], times: Times, period: Fraction
) -> list[int]:
    """When each frame that stays is shown."""
    origin = times.pts[0]
    number = np.cumsum(found.decoded.new) - 1
    starts: dict[int, Fraction] = {}
    late: Fraction | None = None  # by how much the transfer shows pictures later than the grid, on average
    slot = 0  # on the grid, of the picture with number 0
    edits = set(found.decoded.spans)
    for first, stop in _blocks(found.decoded, int(number[-1]) + 1):
        inside = [n for n in range(first, stop) if found.decoded.new[n] and not own[n]]
        if not inside:
            continue
        offsets = [times.pts[n] - origin - int(number[n]) * period for n in inside]
        offset = sum(offsets, Fraction(0)) / len(offsets)
        if late is None:
            late = offset
        target = (offset - late) / period
        if (first and first in edits) or abs(target - slot) > _TOLERANCE:
            slot = round(target)
        for n in inside:
            starts[n] = origin + (int(number[n]) + slot) * period
    quarter = period / _PARTS
    result: list[Fraction] = []
    for n in map(int, np.flatnonzero(kept)):
        at = starts.get(n, Fraction(times.pts[n]))
        if not result:
            at = Fraction(origin)
        elif at <= result[-1]:
            at = result[-1] + (2 if n in starts else 1) * quarter
        result.append(at)
    return _before_end([floor(at) for at in result], times.pts[len(kept) - 1] + times.durations[len(kept) - 1])


def _blocks(decoded: Decoded, pictures: int) -> list[tuple[int, int]]:
    """Half-open ranges of frames of one phase, none much longer than :data:`_BLOCK` pictures."""
    edges = [*decoded.spans, len(decoded.new)]
    length = max(1, round(_BLOCK * len(decoded.new) / max(1, pictures)))
    found = []
    for first, stop in pairwise(edges):
        parts = max(1, round((stop - first) / length))
        inner = [first + (stop - first) * k // parts for k in range(parts + 1)]
        found += list(pairwise(inner))
    return found


def _before_end(starts: list[int], end: int) -> list[int]:
    """The same times, the last ones moved so that all lie ahead of the end and follow each other."""
    limit = end
    for k in range(len(starts) - 1, 0, -1):
        if starts[k] < limit:
            break
        before = starts[k - 1] if starts[k - 1] < limit - 1 else limit - 2
        starts[k] = (before + limit) // 2
        limit = starts[k]
    return starts


def _find(found: Inspection) -> FilmRate | None:
    return None if found.cadence is None else FilmRate(found.cadence.film)


FILTER: FilterDescriptor[FilmRate] = FilterDescriptor(
    name="film",
    help="leaves out the frames that repeat film of 16, 18 or another rate in its transfer, and gives each picture its "
    "own time",
    syntax="PICTURES_A_SECOND",
    parse=FilmRate.parse,
    retiming=Retiming(rate=Fraction(1), parts=1, table=film_timeline, clock=film_clock),
    find=_find,
    absent="no rhythm of repeated frames as of film was found (film=18 names the rate)",
    recommended=lambda found: found.cadence is not None,
    whole=True,
)
