"""How pictures were scanned: progressive, interlaced (and which field first), telecined, or with repeated frames.

All of it is measured in the picture itself, because flags are often wrong or missing. Two measures of fields serve
(the even lines, "top", and the odd lines, "bottom"):

* *comb*: how far the lines of one field stick out of the range of their neighbours in another. Two fields of one
  moment show only the picture's own fine detail; the further apart in time, the more moving edges stick out.
* *change*: how far a field differs from the same field one frame earlier. A field that is shown again does not
  change at all, which reveals 3:2 pulldown.

In top-field-first video the moments run T0 B0 T1 B1…: B0 and T1 are neighbours, T0 and B1 are three steps apart; in
bottom-field-first video it is the other way round; in progressive video both pairs are equally far apart, and T0 and
B0 belong together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vidsr.native import field_kernels

Luma = npt.NDArray[np.float32]
Scan = Literal["progressive", "interlaced", "telecined", "mixed"]
FieldOrder = Literal["tff", "bff"]

#: Columns looked at; wider pictures are thinned, for comb is a matter of lines.
_COLUMNS = 480
_GROUP = 16
#: Below this mean change (8-bit code values) two pictures count as the same moment.
_STILL = 0.02
#: Differences up to this many 8-bit code values are noise.
_NOISE = 3.0

#: A stretch says something if so many of its pairs move, and by so much in all (8-bit code values).
_FEWEST_MOVING, _LEAST_CHANGE = 3, 0.5
#: Lines that fit together comb up to this share of the picture's own detail across them, plus this constant for each
#: pair: the two fields of one frame, and fields of neighbouring frames that hold one film frame.
_WHOLE_SHARE, _JOINED_SHARE, _COMB_FLOOR = 1.8, 1.3, 0.01
#: Two halves of a film frame in neighbouring frames: a frame's own fields comb by this many times what those do.
_SHIFTED = 2.0
#: Interlaced: a frame's own fields comb by this share of what the nearer fields of two frames do (else they belong
#: together), and the farther fields by this many times the nearer.
_OWN_SHARE, _FAR_SHARE = 0.45, 1.1
#: The share of pairs that must agree on which fields are nearer; with so many, the farther need only comb by a little
#: more.
_AGREE, _AGREE_ALL, _FAR_SHARE_ALL = 0.7, 0.9, 1.02
#: Combed plainly enough to believe the file's own field order.
_OWN_SHARE_FLAGGED = 0.3

#: 3:2 pulldown: a field is shown again if it changes by less than this share of the other one.
_AGAIN_SHARE = 0.25
#: Fewest pairs and repeated fields from which a rhythm can be read; the price of a repeated field out of rhythm; the
#: least score, which is the share of the places in the rhythm that show a repeated field, less that price.
_FEWEST_PAIRS, _FEWEST_EVENTS, _STRAY, _LEAST_SCORE = 7, 3, 0.5, 0.6
_CYCLE = 5

#: Repeated frames: fewest pairs, and pairs on either side that say how much usually changes.
_FEWEST_FOR_REPEATS, _AROUND = 4, 3
#: A frame is repeated if it changes by less than this share of the usual change, which must be this many times that of
#: stillness: motion so slight that a codec may have skipped it proves nothing.
_REPEAT_SHARE, _CLEAR_MOTION = 0.12, 5
#: A kind of scan is present in a clip from this share of the moving pairs on.
_PRESENT = 0.15


@dataclass(frozen=True, slots=True)
class Pair:
    """Measures between two frames that follow each other; code values of 8 bits, averaged over the picture."""

    comb: float  #: top and bottom of the first frame
    across: float  #: the same between its even and odd columns: what its own detail alone would give
    comb_next_top: float  #: top of the second frame with bottom of the first
    comb_next_bottom: float  #: top of the first frame with bottom of the second
    change_top: float
    change_bottom: float

    @property
    def change(self) -> float:
        """Mean change of the whole picture."""
        return (self.change_top + self.change_bottom) / 2


@dataclass(frozen=True, slots=True)
class ScanWindow:
    """The scan of a stretch of frames; None where nothing moved enough to tell."""

    scan: Literal["progressive", "interlaced", "telecined"] | None
    order: FieldOrder | None
    pattern: str | None
    pairs: int
    moving: int
    repeated: int


def prepare(luma: npt.NDArray[Any], max_code: int) -> Luma:
    """A luma plane as float32 in 8-bit code values, an even number of lines, at most some 480 columns."""
    rows, columns = luma.shape
    groups, every = columns // _GROUP, max(1, columns // _COLUMNS)
    thin: npt.NDArray[Any] = luma[: rows // 2 * 2]
    if every > 1:
        # Whole groups of neighbouring columns, so that detail along a line can be measured too.
        thin = thin[:, : groups * _GROUP].reshape(len(thin), groups, _GROUP)[:, ::every].reshape(len(thin), -1)
    codes: Luma = thin[:, : thin.shape[1] // 2 * 2].astype(np.float32)
    return codes if max_code == 255 else codes * np.float32(255 / max_code)


def measure_pair(first: Luma, second: Luma, tolerance: float = _NOISE) -> Pair:
    """The measures between two prepared frames; differences up to ``tolerance`` code values are noise."""
    top, bottom, next_top, next_bottom = first[0::2], first[1::2], second[0::2], second[1::2]
    _, _, change_top, change_bottom = changes(first, second, tolerance)
    return Pair(
        comb=comb(top, bottom, tolerance),
        across=detail(first, tolerance),
        comb_next_top=comb(next_top, bottom, tolerance),
        comb_next_bottom=comb(top, next_bottom, tolerance),
        change_top=change_top,
        change_bottom=change_bottom,
    )


def comb(top: Luma, bottom: Luma, tolerance: float = _NOISE) -> float:
    """How far lines woven from two fields stick out of the range of their neighbours, beyond ``tolerance``."""
    made = field_kernels.comb(top, bottom, tolerance)
    return _comb(top, bottom, tolerance) if made is None else made


def _comb(top: Luma, bottom: Luma, tolerance: float) -> float:
    return 0.5 * (
        _sticking_out(bottom[:-1], top[:-1], top[1:], tolerance)
        + _sticking_out(top[1:], bottom[:-1], bottom[1:], tolerance)
    )


def detail(picture: Luma, tolerance: float = _NOISE) -> float:
    """What :func:`comb` is between the even and odd columns: what the picture's own fine detail alone would give."""
    made = field_kernels.detail(picture, tolerance)
    return _comb(picture[:, 0::2].T, picture[:, 1::2].T, tolerance) if made is None else made


def changes(before: Luma, now: Luma, tolerance: float = _NOISE) -> tuple[float, float, float, float]:
    """Mean difference of the top field and of the bottom field; the same beyond ``tolerance``."""
    made = field_kernels.changes(before, now, tolerance)
    if made is not None:
        return made
    top, bottom = np.abs(now[0::2] - before[0::2]), np.abs(now[1::2] - before[1::2])
    return float(top.mean()), float(bottom.mean()), _beyond(top, tolerance), _beyond(bottom, tolerance)


def _sticking_out(line: Luma, above: Luma, below: Luma, tolerance: float) -> float:
    over, under = line - np.maximum(above, below), np.minimum(above, below) - line
    return _beyond(np.maximum(over, under, out=over), tolerance)


def _beyond(differences: Luma, tolerance: float) -> float:
    differences = differences - np.float32(tolerance)
    return float(np.maximum(differences, 0, out=differences).mean())


def classify(pairs: Sequence[Pair], flagged: FieldOrder | None = None) -> ScanWindow:
    """The scan of a stretch of frames (best 11 to 31), from the measures of its pairs.

    ``flagged`` is the field order that the file claims, if it claims one. It decides only where the picture is
    plainly combed but too damaged to say in which order.
    """
    moving = [p for p in pairs if p.change > _STILL]
    repeated = _repeats(pairs)
    count = len(pairs)
    if len(moving) < _FEWEST_MOVING or sum(p.change for p in moving) < _LEAST_CHANGE:
        return ScanWindow(None, None, None, count, len(moving), repeated)
    order = telecine_order(pairs)
    if order is not None:
        return ScanWindow("telecined", order, "3:2", count, len(moving), 0)
    own, across = sum(p.comb for p in moving), sum(p.across for p in moving)
    up, down = sum(p.comb_next_top for p in moving), sum(p.comb_next_bottom for p in moving)
    near, far = min(up, down), max(up, down)
    floor = _COMB_FLOOR * len(moving)
    if own < _WHOLE_SHARE * across + floor:
        return ScanWindow("progressive", None, None, count, len(moving), repeated)
    near_order: FieldOrder = "tff" if up < down else "bff"
    agree = sum((p.comb_next_top < p.comb_next_bottom) == (up < down) for p in moving) / len(moving)
    if own > _SHIFTED * near and near < _JOINED_SHARE * across + floor and agree > _AGREE:
        # Film whose two fields were put into neighbouring frames: the frame before or after holds the other half.
        return ScanWindow("telecined", near_order, "2:2 shifted", count, len(moving), repeated)
    mostly = far > _FAR_SHARE * near and agree > _AGREE
    nearly_always = far > _FAR_SHARE_ALL * near and agree > _AGREE_ALL
    if own > _OWN_SHARE * near and (mostly or nearly_always):
        return ScanWindow("interlaced", near_order, None, count, len(moving), 0)
    if own > _OWN_SHARE_FLAGGED * near and flagged is not None:
        return ScanWindow("interlaced", flagged, None, count, len(moving), 0)
    return ScanWindow("progressive", None, None, count, len(moving), repeated)


def telecine_order(pairs: Sequence[Pair]) -> FieldOrder | None:
    """The field order of 3:2 pulldown in ``pairs``, or None if they do not show it.

    Over five frames one field is shown again, and two frames later the other one: top then bottom in
    top-field-first video.
    """
    again_top = [p.change_top < _AGAIN_SHARE * p.change_bottom and p.change_bottom > _STILL for p in pairs]
    again_bottom = [p.change_bottom < _AGAIN_SHARE * p.change_top and p.change_top > _STILL for p in pairs]
    events = sum(again_top) + sum(again_bottom)
    if len(pairs) < _FEWEST_PAIRS or events < _FEWEST_EVENTS:
        return None
    best, order = 0.0, None
    for phase in range(_CYCLE):
        for first, second, name in ((again_top, again_bottom, "tff"), (again_bottom, again_top, "bff")):
            slots = [first[n] for n in range(len(pairs)) if n % _CYCLE == phase]
            slots += [second[n] for n in range(len(pairs)) if n % _CYCLE == (phase + 2) % _CYCLE]
            hits = sum(slots)
            score = hits / max(len(slots), 1) - _STRAY * (events - hits) / len(pairs)
            if score > best:
                best, order = score, name
    return order if best >= _LEAST_SCORE else None  # type: ignore[return-value]


def _repeats(pairs: Sequence[Pair]) -> int:
    """How many of the frames only show the one before again. Stretches without motion do not count."""
    change = np.array([p.change for p in pairs])
    if len(change) < _FEWEST_FOR_REPEATS:
        return 0
    count = 0
    for n, value in enumerate(change):
        before, after = change[max(0, n - _AROUND) : n], change[n + 1 : n + 1 + _AROUND]
        lively = [around[around > _STILL] for around in (before, after)]
        if not all(len(around) for around in lively):
            continue
        usual = float(np.median(np.concatenate(lively)))
        count += usual > _CLEAR_MOTION * _STILL and value < _REPEAT_SHARE * usual
    return count


def summarise(windows: Sequence[ScanWindow]) -> tuple[Scan, FieldOrder | None, str | None, float]:
    """Scan, field order, pattern and share of repeated frames of a whole clip."""
    known = [w for w in windows if w.scan is not None]
    pairs = sum(w.pairs for w in known if w.scan != "telecined")
    repeated = sum(w.repeated for w in known) / pairs if pairs else 0.0
    if not known:
        return "progressive", None, None, 0.0
    weight = {
        kind: sum(w.moving for w in known if w.scan == kind) for kind in ("progressive", "interlaced", "telecined")
    }
    total = sum(weight.values())
    present = [kind for kind, amount in weight.items() if amount >= _PRESENT * total]
    votes = [w for w in known if w.order is not None and w.scan in present]
    tff = sum(w.moving for w in votes if w.order == "tff")
    bff = sum(w.moving for w in votes if w.order == "bff")
    order: FieldOrder | None = None if not votes else ("tff" if tff >= bff else "bff")
    patterns = [w.pattern for w in known if w.pattern]
    pattern = max(set(patterns), key=patterns.count) if patterns and "telecined" in present else None
    if len(present) == 1:
        scan: Scan = present[0]  # type: ignore[assignment]
        return scan, order if scan != "progressive" else None, pattern, repeated
    return "mixed", order, pattern, repeated
