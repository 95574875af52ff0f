"""How pictures were scanned: progressive, interlaced (and which field first), telecined, or with repeated frames.

All of it is measured in the picture itself, because flags are often wrong or missing. Two measures of fields serve
(the even lines, "top", and the odd lines, "bottom"):

* *comb*: how far the lines of one field stick out of the range of their neighbours in another. Two fields of one
  moment show only the picture's own fine detail; the further apart in time, the more moving edges stick out.
* *change*: how far a field differs from the same field one frame earlier. A field that is shown again does not
  change at all, which reveals 3:2 pulldown.

In top-field-first video the moments run T0 B0 T1 B1…: B0 and T1 are neighbours, T0 and B1 are three steps apart; in
bottom-field-first video it is the other way round; in progressive video both pairs are equally far apart, and T0 and
B0 belong together. :mod:`~vidsr.filters.detect.combing` looks at that in small cells where something moved.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vidsr.filters.detect.combing import Evidence, evidence
from vidsr.native import field_kernels

Luma = npt.NDArray[np.float32]
Scan = Literal["progressive", "interlaced", "telecined", "mixed", "unclear"]
FieldOrder = Literal["tff", "bff"]
_KINDS: tuple[Literal["progressive", "interlaced", "telecined"], ...] = ("progressive", "interlaced", "telecined")

#: Columns looked at; wider pictures are thinned, for comb is a matter of lines.
_COLUMNS = 480
_GROUP = 16
#: Below this mean change (8-bit code values) two pictures count as the same moment.
_STILL = 0.02
#: Differences up to this many 8-bit code values are noise.
_NOISE = 3.0

#: A stretch says something if its pairs change by so much in all (8-bit code values).
_LEAST_CHANGE = 0.5
#: Lines that fit together comb up to this share of the picture's own detail across them, plus this constant for each
#: pair: the two fields of one frame, and fields of neighbouring frames that hold one film frame.
_WHOLE_SHARE, _JOINED_SHARE, _COMB_FLOOR = 1.8, 1.3, 0.01
#: Two halves of a film frame in neighbouring frames: a frame's own fields comb by this many times what those do.
_SHIFTED = 2.0
#: Of the moving cells that say something, so many are combed in an interlaced stretch; and over them the farther
#: fields comb by this factor more than the nearer, in so large a share of its pairs the same way round. On real clips
#: progressive stretches reached 1.03 (1.13 with so few combed cells that chance decides), interlaced ones 1.08 to 30.
#: Where compression rubbed most combing out, fewer combed cells do if they are very clear; where everything is combed,
#: as in moving text whose strokes are no wider than its steps, a lesser factor does; and a camera that shakes up and
#: down turns some pairs round, which a large factor makes up for. Each: share of cells, factor, share of pairs.
_COMBED_IN_ORDER = ((0.3, 1.15, 0.8), (0.1, 1.35, 0.8), (0.9, 1.1, 0.8), (0.5, 1.5, 0.7))
#: Fewer combed cells than interlaced stretches have must be less one-sided than this.
_FARTHER = 1.15
#: A stretch is progressive if at most so many of its telling cells are combed, and plainly so if those comb alike both
#: ways or are hardly any; with more of them that comb alike, up to this factor, it is progressive if nothing else in
#: the clip speaks against it.
_HARDLY_COMBED, _NOT_COMBED, _ALIKE = 0.3, 0.05, 1.05
#: With more combed cells than that in all, alike both ways, it cannot be told what the combing is.
_MOSTLY_COMBED = 0.9
#: So many cells must say something in a stretch, and so many of its pairs; where little is combed, so many combed ones,
#: as fewer are one-sided by chance. To be interlaced, so many pairs must comb,
#: because what happens once (a title that appears) combs as its shape will have it.
_FEWEST_CELLS, _FEWEST_OF_LITTLE, _FEWEST_PAIRS_TELLING, _FEWEST_COMBED_PAIRS = 20, 60, 2, 3
#: The share of pairs that must agree where film frames are shifted by a field.
_SHIFTED_AGREE = 0.7

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
#: A kind of scan is present in a clip from this share of the moving pairs on. In a mixture each kind must last for so
#: many moving pairs, about a second; where one lasts for less, it is unclear what the clip is.
_PRESENT, _LASTS = 0.15, 24


@dataclass(frozen=True, slots=True)
class Pair:
    """Measures between two frames that follow each other; code values of 8 bits, averaged over the picture."""

    comb: float  #: top and bottom of the first frame
    across: float  #: the same between its even and odd columns: what its own detail alone would give
    comb_next_top: float  #: top of the second frame with bottom of the first
    comb_next_bottom: float  #: top of the first frame with bottom of the second
    change_top: float
    change_bottom: float
    evidence: Evidence

    @property
    def change(self) -> float:
        """Mean change of the whole picture."""
        return (self.change_top + self.change_bottom) / 2


@dataclass(frozen=True, slots=True)
class ScanWindow:
    """The scan of a stretch of frames; None where nothing moved enough, or where the movement does not say."""

    scan: Literal["progressive", "interlaced", "telecined"] | None
    order: FieldOrder | None
    pattern: str | None
    pairs: int
    moving: int
    repeated: int
    plain: bool = True  #: whether it would contradict stretches of another kind
    combed: int = 0  #: moving cells that are combed, and that are not
    clean: int = 0


@dataclass(frozen=True, slots=True)
class ScanSummary:
    """The scan of a whole clip. ``doubtful`` is the number of the window that leaves it unclear, None if none does."""

    scan: Scan
    order: FieldOrder | None = None
    pattern: str | None = None
    repeated: float = 0.0
    doubtful: int | None = None


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
        evidence=evidence(first, second, tolerance),
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


def classify(pairs: Sequence[Pair]) -> ScanWindow:
    """The scan of a stretch of frames (best 11 to 31), from the measures of its pairs."""
    moving = [p for p in pairs if p.change > _STILL]
    repeated = _repeats(pairs)
    count = len(pairs)
    telling = [p.evidence for p in pairs if p.evidence.combed or p.evidence.clean]
    combed, clean = sum(e.combed for e in telling), sum(e.clean for e in telling)
    unknown = ScanWindow(None, None, None, count, len(moving), repeated, combed=combed, clean=clean)
    if not moving or sum(p.change for p in moving) < _LEAST_CHANGE:
        return unknown
    order = telecine_order(pairs)
    if order is not None:
        return dataclasses.replace(unknown, scan="telecined", order=order, pattern="3:2", repeated=0)
    shifted = _shifted_order(moving)
    if shifted is not None:
        return dataclasses.replace(unknown, scan="telecined", order=shifted, pattern="2:2 shifted")
    if combed + clean < _FEWEST_CELLS or len(telling) < _FEWEST_PAIRS_TELLING:
        return unknown
    share = combed / (combed + clean)
    up, down = sum(e.next_top for e in telling), sum(e.next_bottom for e in telling)
    farther = max(up, down) / max(min(up, down), 1e-6) if combed else 1.0
    alike = [e for e in telling if e.combed]
    agree = sum((e.next_top < e.next_bottom) == (up < down) for e in alike) / len(alike) if alike else 0.0
    in_order = any(share > cells and farther > by and agree > same for cells, by, same in _COMBED_IN_ORDER)
    fewest = _FEWEST_CELLS if share > _HARDLY_COMBED else _FEWEST_OF_LITTLE
    if in_order and combed >= fewest and len(alike) >= _FEWEST_COMBED_PAIRS:
        return dataclasses.replace(unknown, scan="interlaced", order="tff" if up < down else "bff", repeated=0)
    if share <= _HARDLY_COMBED:
        plain = share <= _NOT_COMBED or farther < _FARTHER
        return dataclasses.replace(unknown, scan="progressive", plain=plain)
    if farther < _ALIKE:
        return dataclasses.replace(unknown, scan="progressive", plain=False)
    return unknown


def _shifted_order(moving: Sequence[Pair]) -> FieldOrder | None:
    """The field order of film whose two fields were put into neighbouring frames; None if they were not.

    The frame before or after holds the other half.
    """
    own, across = sum(p.comb for p in moving), sum(p.across for p in moving)
    up, down = sum(p.comb_next_top for p in moving), sum(p.comb_next_bottom for p in moving)
    near, floor = min(up, down), _COMB_FLOOR * len(moving)
    agree = sum((p.comb_next_top < p.comb_next_bottom) == (up < down) for p in moving) / len(moving)
    apart = own > max(_SHIFTED * near, _WHOLE_SHARE * across + floor)
    if apart and near < _JOINED_SHARE * across + floor and agree > _SHIFTED_AGREE:
        return "tff" if up < down else "bff"
    return None


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


def summarise(windows: Sequence[ScanWindow]) -> ScanSummary:
    """The scan of a whole clip, from its stretches: what most of the movement shows, if nothing contradicts it."""
    known = [w for w in windows if w.scan is not None]
    pairs = sum(w.pairs for w in known if w.scan != "telecined")
    repeated = sum(w.repeated for w in known) / pairs if pairs else 0.0
    weight = {kind: sum(w.moving for w in known if w.scan == kind and w.plain) for kind in _KINDS}
    total = sum(weight.values())
    present = [kind for kind, amount in weight.items() if amount and amount >= _PRESENT * total]
    if not present:
        return _not_contradicted(windows, repeated)
    rare = min(present, key=lambda kind: weight[kind])
    is_short = len(present) > 1 and weight[rare] < _LASTS
    if is_short and (rare == "progressive" or "progressive" not in present):
        # Compression rubs out combing and rhythm, but nothing makes whole pictures comb in order.
        present.remove(rare)
    elif is_short:
        at = next(n for n, w in enumerate(windows) if w.scan == rare and w.plain)
        return ScanSummary("unclear", repeated=repeated, doubtful=at)
    votes = [w for w in known if w.order is not None and w.scan in present]
    tff = sum(w.moving for w in votes if w.order == "tff")
    bff = sum(w.moving for w in votes if w.order == "bff")
    order: FieldOrder | None = None if not votes else ("tff" if tff >= bff else "bff")
    patterns = [w.pattern for w in known if w.pattern]
    pattern = max(set(patterns), key=patterns.count) if patterns and "telecined" in present else None
    return ScanSummary(present[0] if len(present) == 1 else "mixed", order, pattern, repeated)


def _not_contradicted(windows: Sequence[ScanWindow], repeated: float) -> ScanSummary:
    """The scan of a clip in which nothing is plain: progressive if it combs alike both ways and not everywhere."""
    if any(w.moving for w in windows) and sum(w.combed for w in windows) < _FEWEST_CELLS:
        return ScanSummary("progressive", repeated=repeated)  # whatever it is, there is no combing to undo
    alike = [w for w in windows if w.scan == "progressive"]
    combed, clean = sum(w.combed for w in alike), sum(w.clean for w in alike)
    if alike and combed < _MOSTLY_COMBED * (combed + clean):
        return ScanSummary("progressive", repeated=repeated)
    most = max(range(len(windows)), key=lambda n: windows[n].combed + windows[n].moving) if windows else None
    return ScanSummary(
        "unclear", repeated=repeated, doubtful=most if most is not None and windows[most].moving else None
    )
