"""Frames that only repeat the one before them, and the times of the others when those are left out.

Shared by inverse telecine and by the removal of repeated frames. Repeats are looked for in blocks of five frames, the
cycle of 3:2 pulldown. Differences are means over the picture in 8-bit code values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from vidsr.filters.before.timeline import Timeline, TimelineEntry, Times
from vidsr.filters.detect import interlace
from vidsr.filters.detect.pulldown import CYCLE, FieldChange

#: Below this change nothing moves; and from this many times as much on, something does for certain.
STILL, _LIVELY = 0.02, 10
#: Stands for the change of the first frame, which has none before it.
_FIRST = 1e9
#: Differences up to this are noise.
_NOISE = 3
#: A repeat changes by less than these shares of the median change: beyond noise, and in all. A repeat has only the
#: codec's noise, from which slight motion stands out less than clear motion does.
_CLEAR_SHARE, _FINE_SHARE = 0.2, 0.6
#: Where motion is slight throughout, the only repeat of a block changes by less than this share of the next least.
_LEAST_SHARE = 0.4


@dataclass(slots=True)
class Match:
    """The pair of fields that one source frame becomes, its kind, and its picture.

    ``own`` and ``with_before`` say whether the frame's own fields, and its first field with the frame before's, would
    do nearly as well.
    """

    top: int
    bottom: int
    kind: int
    picture: interlace.Luma | None
    fields: FieldChange
    own: bool = True
    with_before: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """How far a frame differs from the one before: ``clear`` beyond noise, ``fine`` in all."""

    clear: float
    fine: float


def gathered(matches: Iterator[Match]) -> tuple[list[Match], list[Change]]:
    """All matches, without their pictures, and how far each picture differs from the one before."""
    found, changes = [], []
    last: interlace.Luma | None = None
    for match in matches:
        assert match.picture is not None
        changes.append(_change(last, match.picture))
        last, match.picture = match.picture, None
        found.append(match)
    return found, changes


def _change(before: interlace.Luma | None, now: interlace.Luma) -> Change:
    if before is None:
        return Change(_FIRST, _FIRST)
    top, bottom, clear_top, clear_bottom = interlace.changes(before, now, _NOISE)
    return Change((clear_top + clear_bottom) / 2, (top + bottom) / 2)


def repeats_of_blocks(changes: Sequence[Change]) -> list[tuple[int, ...]]:
    """For each block of five frames the places in it of those that only repeat the frame before them.

    Blocks in which too little moves to tell are taken to be like the block before, or else like the next clear one.
    """
    found = [_repeats(changes[n : n + CYCLE]) for n in range(0, len(changes), CYCLE)]
    clear = [places for places in found if places is not None]
    last = clear[0] if clear else ()
    settled = []
    for places in found:
        last = last if places is None else places
        settled.append(last)
    return settled


def _repeats(changes: Sequence[Change]) -> tuple[int, ...] | None:
    """Which frames of a block only repeat the one before them; None where too little moves to tell."""
    known = [c for c in changes if c.clear < _FIRST]
    lively = [c for c in known if c.clear >= STILL]
    if len(lively) > len(known) / 2 or (lively and max(c.clear for c in known) > _LIVELY * STILL):
        clear, fine = (float(np.median([getattr(c, name) for c in lively])) for name in ("clear", "fine"))
        return tuple(n for n, c in enumerate(changes) if c.clear < _CLEAR_SHARE * clear and c.fine < _FINE_SHARE * fine)
    # Slight motion throughout: at most one repeat, and only if it stands out.
    order = sorted(range(len(changes)), key=lambda n: changes[n].fine)
    if len(known) < CYCLE - 1:
        return None
    least, next_least = changes[order[0]].fine, changes[order[1]].fine
    if least < _LEAST_SHARE * next_least and next_least > STILL:
        return (order[0],)
    return None


def without(found: Sequence[Match], spares: Sequence[tuple[int, ...]], times: Times, order: str) -> Timeline:
    """The table of all matches but the ``spares``, which are places in each block of five."""
    entries: list[TimelineEntry] = []
    for number, places in enumerate(spares):
        first = number * CYCLE
        block = [(m.top, m.bottom, m.kind) for m in found[first : first + CYCLE]]
        spare = places
        if len(block) < CYCLE:
            spare = tuple(n for n in places if n < len(block)) if len(block) > 2 else ()
        entries += _timed(block, spare, first, times)
    # Where the first frame of a block was left out, the last one of the block before stays on.
    lasting = [replace(a, duration=max(a.duration, b.pts - a.pts)) for a, b in pairwise(entries)]
    return Timeline((*lasting, *entries[-1:]), order, times.time_base, len(found))


def _timed(
    block: Sequence[tuple[int, int, int]], spare: tuple[int, ...], first: int, times: Times
) -> list[TimelineEntry]:
    """The frames of a block that stay, with their times.

    If one of five goes, the other four share the time evenly; otherwise each keeps its own, and lasts until the next.
    """
    kept = [n for n in range(len(block)) if n not in spare] or [0]
    last = first + len(block) - 1
    end = times.pts[last] + times.durations[last]
    starts = [times.pts[first + n] for n in kept]
    if len(spare) == 1 and len(block) == CYCLE:
        begin = times.pts[first]
        starts = [begin + (end - begin) * k // len(kept) for k in range(len(kept))]
    elif len(spare) == 1:
        step = times.durations[first] * CYCLE // (CYCLE - 1)
        starts = [times.pts[first] + step * k for k in range(len(kept))]
        end = starts[-1] + step
    return [
        TimelineEntry(*block[n], low, high - low) for n, (low, high) in zip(kept, pairwise([*starts, end]), strict=True)
    ]
