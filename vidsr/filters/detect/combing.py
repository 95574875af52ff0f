"""Evidence of interlacing between two frames: where something moved, do a frame's two fields belong together, and with
which field of the next frame do they belong more?

Combing alone proves nothing: fine detail of still or whole pictures combs too, and so does noise. Order in time does.
In progressive video the fields of two frames are equally far apart, whichever is taken from the next frame, so they
comb alike; in interlaced video one pair is one step apart and the other three, so it combs more. Both are compared in
small cells, and only over pixels that changed, so that still parts (titles, background, an analogue edge) say nothing.

ffmpeg's idet compares the same three pairs over whole pictures, frame by frame; it calls a picture progressive where
its own fields comb less than the others, which analogue noise hides and still detail feigns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidsr.frames import Floats

#: A cell: lines of one field, and columns.
_LINES, _COLUMNS = 8, 16
#: Of the 256 places in a cell where lines meet, so many must have changed. Of the places that did, the pair of fields
#: that combs more must comb by more than so many 8-bit code values on average beyond noise: the cell moves.
_FEWEST_CHANGED, _MOVES = 8, 1.0
#: A moving cell is combed if both frames' own fields comb by more than this share of the nearer pair of fields (half,
#: because compression rubs combing out: one frame is coded whole, two are not) and by more than so many code values;
#: it is clean if they comb by less than the other share, and the nearer pair by more than so many code values.
_COMBED_SHARE, _LEAST_COMB = 0.5, 0.5
_CLEAN_SHARE, _LEAST_NEAR = 0.25, 1.0
#: Detail that moves by one line a frame combs less with the fields of the next frame than by itself, either way round;
#: in interlaced video a frame's own fields never comb more than the nearer of those.
_STAIRS = 2.0
#: Noise moves nothing: differences below this factor times the mean change that noise makes, if that is more than the
#: tolerance asked for (two standard deviations of the difference between two noisy frames). That mean is the lesser of
#: two: the change in the quietest share of the cells, which is more than noise if everything moves; and the roughness
#: along lines in the quietest cells, which is more than noise if there is fine detail everywhere (by the ratio of the
#: standard deviations of a difference of two and a second difference of three values, the square root of 2/6).
_NOISE_SHARE, _QUIETEST, _ROUGH_SHARE = 2.5, 0.1, 0.58
#: So much of all change goes one way, brighter or darker: a fade or a flash, which combs still detail unevenly. Its
#: evidence counts only if one pair of fields combs by more than this many times the other (three times, in fields).
_FADE, _FADE_RATIO = 0.5, 2.7


@dataclass(frozen=True, slots=True)
class Evidence:
    """What two frames say; cells are counted, comb is summed over the combed cells (8-bit code values per place)."""

    combed: int = 0  #: moving cells in which a frame's own fields lie apart
    clean: int = 0  #: moving cells in which they belong together
    next_top: float = 0.0  #: comb of the next frame's top field with this frame's bottom field
    next_bottom: float = 0.0  #: comb of this frame's top field with the next frame's bottom field


def evidence(first: Floats, second: Floats, tolerance: float) -> Evidence:
    """The evidence of two pictures of the same even height, in 8-bit code values; ``tolerance`` of them are noise."""
    difference = second - first
    size = np.abs(difference)
    tolerance = max(tolerance, _NOISE_SHARE * min(_quiet(size), _ROUGH_SHARE * _quiet(_rough(first))))
    changed = size > tolerance
    if not changed.any():
        return Evidence()
    moved_top, moved_bottom = changed[0::2], changed[1::2]
    between = moved_bottom[:-1] | moved_top[1:]
    inside = between | moved_top[:-1], between | moved_bottom[1:]
    places = _cells(inside[0].astype(np.float32) + inside[1])
    enough = places >= _FEWEST_CHANGED
    if not enough.any():
        return Evidence()
    top, bottom, next_top, next_bottom = first[0::2], first[1::2], second[0::2], second[1::2]
    scale = np.where(enough, 1 / np.maximum(places, 1), 0).astype(np.float32)

    def combing(even: Floats, odd: Floats) -> Floats:
        across = _beyond(odd[:-1], even[:-1], even[1:], tolerance) * inside[0]
        across += _beyond(even[1:], odd[:-1], odd[1:], tolerance) * inside[1]
        return _cells(across) * scale

    own, own_next = combing(top, bottom), combing(next_top, next_bottom)
    up, down = combing(next_top, bottom), combing(top, next_bottom)
    near, moving = np.minimum(up, down), np.maximum(up, down) > _MOVES
    least = np.minimum(own, own_next)
    combed = moving & (least > _COMBED_SHARE * near) & (least > _LEAST_COMB)
    clean = moving & (own < _CLEAN_SHARE * near) & (near > _LEAST_NEAR)
    clean |= (own > _STAIRS * np.maximum(up, down)) & (own > _LEAST_NEAR)
    sums = float(up[combed].sum()), float(down[combed].sum())
    fades = abs(float(difference[changed].sum())) > _FADE * float(size[changed].sum())
    if fades and max(sums) < _FADE_RATIO * min(sums):
        return Evidence()
    return Evidence(int(combed.sum()), int(clean.sum()), *sums)


def _quiet(size: Floats) -> float:
    """The mean value in the quietest cells: for changes, noise, unless everything moves."""
    cells = _cells(size)
    return float(np.quantile(cells, _QUIETEST)) / (_LINES * _COLUMNS) if cells.size else 0.0


def _rough(picture: Floats) -> Floats:
    """How far values lie from those beside them on their line; in flat cells, noise, whether anything moves or not."""
    inner: Floats = np.abs(2 * picture[:, 1:-1] - picture[:, :-2] - picture[:, 2:])
    return inner


def _beyond(line: Floats, above: Floats, below: Floats, tolerance: float) -> Floats:
    """How far each value lies outside the range of its neighbours above and below, beyond ``tolerance``."""
    over, under = line - np.maximum(above, below), np.minimum(above, below) - line
    out: Floats = np.maximum(over, under, out=over)
    out -= np.float32(tolerance)
    return np.maximum(out, 0, out=out)


def _cells(values: Floats) -> Floats:
    """Sums over cells; lines and columns beyond the last whole cell are left out."""
    rows, columns = values.shape[0] // _LINES, values.shape[1] // _COLUMNS
    whole = values[: rows * _LINES, : columns * _COLUMNS]
    sums: Floats = whole.reshape(rows, _LINES, columns, _COLUMNS).sum((1, 3), dtype=np.float32)
    return sums
