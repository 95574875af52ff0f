"""Inverse telecine: the fields of film in 3:2 pulldown woven together again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import chain, pairwise

from vidsr.filters.before.descriptor import FilterDescriptor, Retiming, find_field_order, parse_field_order
from vidsr.filters.before.repeats import STILL, Change, Match, gathered, repeats_of_blocks, without
from vidsr.filters.before.timeline import FIRST, WEAVE, Timeline, Times
from vidsr.filters.detect import interlace
from vidsr.filters.detect.inspection import Inspection
from vidsr.filters.detect.interlace import FieldOrder
from vidsr.filters.detect.pulldown import CYCLE, field_change, rhythm
from vidsr.frames import Frame
from vidsr.options.filter_choices import FilterChoice

#: A frame's own fields are kept unless another pair combs less by this constant and this share of the own comb: for
#: the pair with the frame before, and for the one with the frame after. The latter must be better by more, because one
#: film frame is in both pairs and must not be taken twice.
_PAIR_BEFORE, _PAIR_AFTER = (0.01, 0.3), (0.02, 0.6)
#: No pair of fields belongs together if even the best combs beyond this share of the frame's own detail plus this
#: constant, and beyond this share of the worst.
_DETAIL_SHARE, _DETAIL_MORE, _WORST_SHARE = 1.8, 0.15, 0.5
#: A pair would do nearly as well as the best up to this share of its comb plus this constant.
_FAIR_SHARE, _FAIR_MORE = 1.3, 0.05


def matched(frames: Iterator[Frame], times: Times, order: str) -> Timeline:
    """Inverse telecine: the fields of each film frame woven together again, and the spare frame of five left out.

    Frames that no pair of fields fits (native video in between) are deinterlaced and keep their own time.
    """
    found, changes = gathered(_matches(frames, order))
    beats = rhythm([m.fields for m in found], order)
    starts = range(0, len(found), CYCLE)
    loose = _single(repeats_of_blocks(changes), changes)
    spares = [other if beat is None else (beat,) for beat, other in zip(beats, loose, strict=True)]
    if spares and spares[0] == (0,):
        spares[0] = ()  # no frame before shows the first one's film frame
    for first, beat in zip(starts, beats, strict=True):
        if beat is not None:
            _follow(found, first + beat, order)
    return without(found, spares, times, order)


def _follow(found: list[Match], spare: int, order: str) -> None:
    """Make the frames after a spare one of the fields that the rhythm names: one with the spare's, the others whole."""
    for n in range(spare + 1, min(spare + CYCLE, len(found))):
        match = found[n]
        if match.kind == WEAVE and n == spare + 1 and match.with_before:
            match.top, match.bottom = (n, n - 1) if order == "tff" else (n - 1, n)
        elif match.kind == WEAVE and n > spare + 1 and match.own:
            match.top, match.bottom = n, n


def _matches(frames: Iterator[Frame], order: str) -> Iterator[Match]:
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
        best = _best(combs, has_before=before is not None)
        top, bottom = choices[best]
        own_detail = interlace.detail(now)
        fields = field_change(before, now)
        if combs[best] > max(_DETAIL_SHARE * own_detail + _DETAIL_MORE, _WORST_SHARE * max(combs)):
            yield Match(n, n, FIRST, now, fields)
        else:
            picture = now if top == bottom else _interleave(around, top, bottom)
            fair = [comb <= _FAIR_SHARE * min(combs) + _FAIR_MORE for comb in combs]
            yield Match(top, bottom, WEAVE, picture, fields, fair[0], before is not None and fair[1])
        before = now


def _best(combs: Sequence[float], *, has_before: bool) -> int:
    """Which pair to take: the frame's own fields, unless another pair is clearly better."""
    margins = [_PAIR_BEFORE, _PAIR_AFTER] if has_before else [_PAIR_AFTER]
    handicaps = [0.0, *(constant + share * combs[0] for constant, share in margins)]
    return min(range(len(combs)), key=lambda k: combs[k] + handicaps[k])


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


def _single(spares: Sequence[tuple[int, ...]], changes: Sequence[Change]) -> list[tuple[int, ...]]:
    """Of each block the one frame that changes least; of several that hardly do, the one at its usual place."""
    usual = Counter(spare[0] for spare in spares if len(spare) == 1)
    chosen: list[tuple[int, ...]] = []
    for block, spare in enumerate(spares):
        fine = {n: changes[block * CYCLE + n].fine for n in spare if block * CYCLE + n < len(changes)}
        alike = [n for n in fine if fine[n] <= 2 * min(fine.values()) + STILL]
        chosen.append((max(alike, key=lambda n: usual[n]),) if alike else ())
    return chosen


def _recommended(found: Inspection) -> bool:
    return found.scan == "telecined" or (found.scan == "mixed" and bool(found.pattern))


FILTER: FilterDescriptor[FieldOrder] = FilterDescriptor(
    name="ivtc",
    help="reassembles the fields of telecined film and drops the extra frame in five; native video in between "
    "is deinterlaced and keeps its own timing",
    syntax="tff|bff",
    parse=parse_field_order,
    retiming=Retiming(
        rate=Fraction(4, 5),
        parts=4,
        table=matched,
        at_moments=lambda order: FilterChoice("deinterlace", order),
    ),
    find=find_field_order,
    absent="the picture does not look interlaced (ivtc=tff does it anyway)",
    recommended=_recommended,
    whole=True,
)
