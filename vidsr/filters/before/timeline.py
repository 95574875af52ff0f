"""Filters that change how many frames there are, or when: inverse telecine, one frame a field, repeated frames.

What each new frame is made of, and when it is shown, is decided once, in a pass over the whole source, and kept as a
table. Making frames from the table needs only the source frames that it names and their neighbours; so segments, and
a job that is resumed, come out the same wherever they begin.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, pairwise
from typing import Any

import numpy as np

from vidsr.filters.before.base import with_planes
from vidsr.filters.before.deinterlace import bob
from vidsr.filters.detect import interlace
from vidsr.filters.detect.pulldown import CYCLE, FieldChange, field_change, rhythm
from vidsr.frames import Frame

ReadFrames = Callable[[int, int], Iterator[Frame]]

#: Kinds of table entries: two fields woven, or the first or second field of a frame with the lines between made.
WEAVE, FIRST, SECOND = 0, 1, 2
_CYCLE = CYCLE
_STILL = 0.02
#: Stands for the change of the very first frame, which has none before it.
_FIRST = 1e9


@dataclass(frozen=True, slots=True)
class Entry:
    """One new frame: the source frames of its top and bottom field, its kind, and its place in time."""

    top: int
    bottom: int
    kind: int
    pts: int
    duration: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """The table. ``order`` is the field order; ``sources`` the number of source frames."""

    entries: tuple[Entry, ...]
    order: str
    time_base: Fraction
    sources: int

    def read(self, source: ReadFrames, first: int, stop: int) -> Iterator[Frame]:
        """New frames ``first`` to ``stop`` (not included). ``source(a, b)`` reads a range of source frames."""
        wanted = self.entries[first:stop]
        if not wanted:
            return
        low = max(0, min(min(e.top, e.bottom) for e in wanted) - 1)
        high = min(self.sources, max(max(e.top, e.bottom) for e in wanted) + 2)
        held: dict[int, Frame] = {}
        stream = source(low, high)
        try:
            for number, entry in enumerate(wanted, first):
                last = min(high - 1, max(entry.top, entry.bottom) + 1)
                while last not in held:
                    frame = next(stream)
                    held[frame.index] = frame
                yield self._place(self._make(entry, held), entry, number)
                for old in [n for n in held if n < min(entry.top, entry.bottom) - 2]:
                    del held[old]
        finally:
            close = getattr(stream, "close", None)
            if close is not None:
                close()

    def _make(self, entry: Entry, held: dict[int, Frame]) -> Frame:
        top = held[entry.top]
        if entry.kind == WEAVE:
            return top if entry.top == entry.bottom else woven(top, held[entry.bottom])
        before, after = held.get(entry.top - 1, top), held.get(entry.top + 1, top)
        return bob(before, top, after, first=entry.kind == FIRST, order=self.order)

    def _place(self, frame: Frame, entry: Entry, number: int) -> Frame:
        return replace(frame, index=number, pts=entry.pts, duration=entry.duration, time_base=self.time_base)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        rows = [[e.top, e.bottom, e.kind, e.pts, e.duration] for e in self.entries]
        return {"order": self.order, "time_base": str(self.time_base), "sources": self.sources, "entries": rows}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Timeline:
        """The inverse of :meth:`to_json`."""
        entries = tuple(Entry(*row) for row in data["entries"])
        return cls(entries, data["order"], Fraction(data["time_base"]), data["sources"])


def woven(top: Frame, bottom: Frame) -> Frame:
    """The even lines of one frame with the odd lines of another."""
    planes = []
    for even, odd in zip(top.planes, bottom.planes, strict=True):
        plane = np.array(even)
        plane[1::2] = odd[1::2]
        planes.append(plane)
    return with_planes(top, planes)


def fineness(mode: str, step: int) -> int:
    """How many times finer the time base must be so that the new times of ``mode`` are whole numbers."""
    parts = {"double": 2, "ivtc": 4, "dedupe": 4}[mode]
    return 1 if step % parts == 0 else parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When the source frames are shown, in a time base that is already fine enough."""

    pts: Sequence[int]
    durations: Sequence[int]
    time_base: Fraction


def doubled(times: Times, order: str) -> Timeline:
    """One new frame for each field, the second half-way to the next frame."""
    entries = []
    for n, (pts, duration) in enumerate(zip(times.pts, times.durations, strict=True)):
        half = duration // 2
        entries.append(Entry(n, n, FIRST, pts, half))
        entries.append(Entry(n, n, SECOND, pts + half, duration - half))
    return Timeline(tuple(entries), order, times.time_base, len(times.pts))


@dataclass(slots=True)
class _Match:
    """What one source frame becomes: the pair of fields, its kind, its picture. ``own`` and ``with_before`` say whether
    the frame's own fields, and its first field with the frame before's, would do nearly as well."""

    top: int
    bottom: int
    kind: int
    picture: interlace.Luma | None
    fields: FieldChange
    own: bool = True
    with_before: bool = False


def matched(frames: Iterator[Frame], times: Times, order: str) -> Timeline:
    """Inverse telecine: the fields of one film frame woven together again, and the spare one of five left out.

    Frames that no pair of fields fits (true video in between) are deinterlaced and keep their own time.
    """
    found, changes = _gathered(_matches(frames, order))
    beats = rhythm([m.fields for m in found], order)
    starts = range(0, len(found), _CYCLE)
    loose = _settled([_spare(changes[n : n + _CYCLE]) for n in starts])
    spares = [other if beat is None else (beat,) for beat, other in zip(beats, _single(loose, changes), strict=True)]
    if spares and spares[0] == (0,):
        spares[0] = ()  # no frame before shows the first one's film frame
    for first, beat in zip(starts, beats, strict=True):
        if beat is not None:
            _follow(found, first + beat, order)
    return _build(found, spares, times, order)


def _follow(found: list[_Match], spare: int, order: str) -> None:
    """Make the frames after a spare one of the fields that the rhythm says: one with the spare's, the others whole."""
    for n in range(spare + 1, min(spare + _CYCLE, len(found))):
        match = found[n]
        if match.kind == WEAVE and n == spare + 1 and match.with_before:
            match.top, match.bottom = (n, n - 1) if order == "tff" else (n - 1, n)
        elif match.kind == WEAVE and n > spare + 1 and match.own:
            match.top, match.bottom = n, n


def without_repeats(frames: Iterator[Frame], times: Times) -> Timeline:
    """Repeated frames left out; where one in five was one, the other four share the time evenly."""

    def own() -> Iterator[_Match]:
        for n, frame in enumerate(frames):
            yield _Match(n, n, WEAVE, interlace.prepare(frame.planes[0], frame.format.max_code), FieldChange())

    found, changes = _gathered(own())
    spares = _settled([_spare(changes[n : n + _CYCLE]) for n in range(0, len(found), _CYCLE)])
    return _build(found, spares, times, "tff")


def _gathered(matches: Iterator[_Match]) -> tuple[list[_Match], list[_Change]]:
    """All matches, without their pictures, and how far each picture differs from the one before."""
    found, changes = [], []
    last: interlace.Luma | None = None
    for match in matches:
        assert match.picture is not None
        changes.append(_change(last, match.picture))
        last, match.picture = match.picture, None
        found.append(match)
    return found, changes


def _matches(frames: Iterator[Frame], order: str) -> Iterator[_Match]:
    """For each source frame the pair of fields that combs least."""
    before: interlace.Luma | None = None
    pictures = (interlace.prepare(f.planes[0], f.format.max_code) for f in frames)
    ended: list[interlace.Luma | None] = [None]
    for n, (now, after) in enumerate(pairwise(chain(pictures, ended))):
        assert now is not None
        choices = [(n, n)]
        if before is not None:
            choices.append((n, n - 1) if order == "tff" else (n - 1, n))
        if after is not None and before is not None:  # half a film frame at the very beginning stays one
            choices.append((n + 1, n) if order == "tff" else (n, n + 1))
        around = {n - 1: before, n: now, n + 1: after}
        combs = [_comb(around, choice) for choice in choices]
        # The frame's own fields, unless another pair is clearly better; the pair with the frame after only where the
        # one with the frame before is not: one film frame is in both, and must not be taken twice.
        handicap = [0.0, *([0.01 + 0.3 * combs[0]] if before is not None else []), 0.02 + 0.6 * combs[0]]
        best = min(range(len(choices)), key=lambda k: combs[k] + handicap[k])
        top, bottom = choices[best]
        own_detail = interlace.comb(now[:, 0::2].T, now[:, 1::2].T)
        fields = field_change(before, now)
        # Combed beyond its own detail, and no other pair shows much more: then none of them belongs together.
        if combs[best] > max(1.8 * own_detail + 0.15, 0.5 * max(combs)):
            yield _Match(n, n, FIRST, now, fields)
        else:
            picture = now if top == bottom else _interleave(around, top, bottom)
            fair = [comb <= 1.3 * min(combs) + 0.05 for comb in combs]
            yield _Match(top, bottom, WEAVE, picture, fields, fair[0], before is not None and fair[1])
        before = now


def _comb(around: dict[int, interlace.Luma | None], choice: tuple[int, int]) -> float:
    top, bottom = around[choice[0]], around[choice[1]]
    assert top is not None and bottom is not None
    return interlace.comb(top[0::2], bottom[1::2])


def _interleave(around: dict[int, interlace.Luma | None], top: int, bottom: int) -> interlace.Luma:
    even, odd = around[top], around[bottom]
    assert even is not None and odd is not None
    picture = even.copy()
    picture[1::2] = odd[1::2]
    return picture


def _build(found: Sequence[_Match], spares: Sequence[tuple[int, ...]], times: Times, order: str) -> Timeline:
    entries: list[Entry] = []
    for number, spare in enumerate(spares):
        first = number * _CYCLE
        block = [(m.top, m.bottom, m.kind) for m in found[first : first + _CYCLE]]
        if len(block) < _CYCLE:
            spare = tuple(n for n in spare if n < len(block)) if len(block) > 2 else ()  # noqa: PLW2901
        entries += _timed(block, spare, first, times)
    # Where the first frame of a block was left out, the last one of the block before stays on.
    lasting = [replace(a, duration=max(a.duration, b.pts - a.pts)) for a, b in pairwise(entries)]
    return Timeline((*lasting, *entries[-1:]), order, times.time_base, len(found))


@dataclass(frozen=True, slots=True)
class _Change:
    """How far a frame differs from the one before: beyond what noise does, and in all; mean 8-bit code values."""

    clear: float
    fine: float


def _change(before: interlace.Luma | None, now: interlace.Luma) -> _Change:
    if before is None:
        return _Change(_FIRST, _FIRST)
    difference = np.abs(now - before)
    return _Change(float(np.maximum(difference - 3, 0).mean()), float(difference.mean()))


def _spare(changes: Sequence[_Change]) -> tuple[int, ...] | None:
    """Which frames of a block only repeat the one before them; None where too little moves to tell."""
    told = [c for c in changes if c.clear < _FIRST]
    lively = [c for c in told if c.clear >= _STILL]
    if len(lively) > len(told) / 2 or (lively and max(c.clear for c in told) > 10 * _STILL):
        clear, fine = (float(np.median([getattr(c, name) for c in lively])) for name in ("clear", "fine"))
        # What repeats has only the codec's noise; slight motion stands out of it less than clear motion does.
        return tuple(n for n, c in enumerate(changes) if c.clear < 0.2 * clear and c.fine < 0.6 * fine)
    # Slight motion throughout: at most one repeat, and only if it stands out.
    order = sorted(range(len(changes)), key=lambda n: changes[n].fine)
    if len(told) < _CYCLE - 1:
        return None
    least, next_least = changes[order[0]].fine, changes[order[1]].fine
    if least < 0.4 * next_least and next_least > _STILL:
        return (order[0],)
    return None


def _single(spares: Sequence[tuple[int, ...]], changes: Sequence[_Change]) -> list[tuple[int, ...]]:
    """Of each block the one frame that changes least; of several that hardly do, the one at its usual place."""
    usual = Counter(spare[0] for spare in spares if len(spare) == 1)
    chosen: list[tuple[int, ...]] = []
    for block, spare in enumerate(spares):
        fine = {n: changes[block * _CYCLE + n].fine for n in spare if block * _CYCLE + n < len(changes)}
        alike = [n for n in fine if fine[n] <= 2 * min(fine.values()) + _STILL]
        chosen.append((max(alike, key=lambda n: usual[n]),) if alike else ())
    return chosen


def _settled(found: Sequence[tuple[int, ...] | None]) -> list[tuple[int, ...]]:
    """What was found for each block; where nothing could be told, as in the block before, or else in the next told."""
    told = [spare for spare in found if spare is not None]
    last = told[0] if told else ()
    settled = []
    for spare in found:
        last = last if spare is None else spare
        settled.append(last)
    return settled


def _timed(block: Sequence[tuple[int, int, int]], spare: tuple[int, ...], first: int, times: Times) -> list[Entry]:
    """The frames of a block that stay, with their times.

    If one of five goes, the other four share the time evenly; otherwise each keeps its own, and lasts until the next.
    """
    kept = [n for n in range(len(block)) if n not in spare] or [0]
    last = first + len(block) - 1
    end = times.pts[last] + times.durations[last]
    starts = [times.pts[first + n] for n in kept]
    if len(spare) == 1 and len(block) == _CYCLE:
        begin = times.pts[first]
        starts = [begin + (end - begin) * k // len(kept) for k in range(len(kept))]
    elif len(spare) == 1:
        step = times.durations[first] * _CYCLE // (_CYCLE - 1)
        starts = [times.pts[first] + step * k for k in range(len(kept))]
        end = starts[-1] + step
    return [Entry(*block[n], low, high - low) for n, (low, high) in zip(kept, pairwise([*starts, end]), strict=True)]
