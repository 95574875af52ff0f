"""The kernels of field_kernels.c for NumPy arrays: the missing lines of a field, and measures between fields.

As in :mod:`vidsr.native.pictures` each function returns None where the kernels cannot do it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidsr.native.arguments import check
from vidsr.native.build import load

_SOURCE = Path(__file__).with_name("field_kernels.c")

FieldLines = npt.NDArray[np.float32]


class Missing(ctypes.Structure):
    """``Missing`` of field_kernels.c."""

    _fields_ = (
        ("planes", ctypes.c_void_p * 5),
        ("out", ctypes.c_void_p),
        ("strides", ctypes.c_long * 5),
        ("same", ctypes.c_float * 2),
        ("other", ctypes.c_float * 3),
        ("spatial", ctypes.c_float * 2),
        ("rounding", ctypes.c_float),
        ("most", ctypes.c_float),
        ("height", ctypes.c_int),
        ("width", ctypes.c_int),
        ("parity", ctypes.c_int),
        ("deep", ctypes.c_int),
    )


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The compiled kernels, or None where they cannot be built; the reason is logged."""
    return load(_SOURCE, "the kernels for fields", _fits)


def _fits(made: ctypes.CDLL) -> bool:
    made.fields_comb.restype = made.fields_detail.restype = ctypes.c_double
    return bool(made.fields_missing_bytes() == ctypes.sizeof(Missing))


def with_missing_lines(
    planes: Sequence[npt.NDArray[Any]],
    *,
    parity: int,
    most: int,
    same: Sequence[float],
    other: Sequence[float],
    spatial: Sequence[float],
    rounding: float,
) -> npt.NDArray[Any] | None:
    """The first of five ``planes`` ``[h, w]`` with its lines of ``parity`` (0 even, 1 odd) made of the others.

    Args:
        planes: the frame, the other field before and after, the frames before and after; uint8 or uint16.
        most: the largest code value.
        same, other, spatial, rounding: the coefficients of :mod:`vidsr.filters.before.field_interpolation`.
    """
    own = planes[0]
    alike = all(p.shape == own.shape and p.dtype == own.dtype and p.strides[1] == p.itemsize <= 2 for p in planes)
    kernels = library() if alike and min(own.shape) > 1 else None
    if kernels is None:
        return None
    out = np.empty(own.shape, own.dtype)
    work = Missing(out=out.ctypes.data, rounding=rounding, most=most, parity=parity, deep=int(own.itemsize > 1))
    work.height, work.width = own.shape
    work.planes[:], work.strides[:] = [p.ctypes.data for p in planes], [p.strides[0] for p in planes]
    work.same[:], work.other[:], work.spatial[:] = list(same), list(other), list(spatial)
    check(kernels.fields_missing(ctypes.byref(work)))
    return out


def comb(top: FieldLines, bottom: FieldLines, tolerance: float) -> float | None:
    """:func:`vidsr.filters.detect.interlace.comb`."""
    kernels = _for(top, bottom)
    if kernels is None or len(top) < 2:
        return None
    arguments = (*_rows(top), *_rows(bottom), *top.shape, ctypes.c_float(tolerance))
    return _mean(kernels.fields_comb(*arguments), 2 * (len(top) - 1) * top.shape[1])


def detail(picture: FieldLines, tolerance: float) -> float | None:
    """:func:`vidsr.filters.detect.interlace.detail`."""
    kernels = _for(picture)
    if kernels is None or picture.shape[1] < 4:
        return None
    height, width = picture.shape
    return _mean(kernels.fields_detail(*_rows(picture), height, width, ctypes.c_float(tolerance)), height * (width - 2))


def changes(before: FieldLines, now: FieldLines, tolerance: float) -> tuple[float, float, float, float] | None:
    """Mean difference of the even lines and of the odd ones; the same beyond ``tolerance``."""
    kernels = _for(before, now)
    if kernels is None or len(now) % 2:
        return None
    sums = (ctypes.c_double * 4)()
    check(kernels.fields_change(*_rows(before), *_rows(now), *now.shape, ctypes.c_float(tolerance), sums))
    top, bottom, clear_top, clear_bottom = (value / (now.size / 2) for value in sums)
    return top, bottom, clear_top, clear_bottom


def _for(*pictures: FieldLines) -> ctypes.CDLL | None:
    """The kernels, if they can take these pictures."""
    shape = pictures[0].shape
    if not all(p.dtype == np.float32 and p.shape == shape and p.size and p.strides[1] == 4 for p in pictures):
        return None
    return library()


def _rows(picture: FieldLines) -> tuple[ctypes.c_void_p, ctypes.c_long]:
    return ctypes.c_void_p(picture.ctypes.data), ctypes.c_long(picture.strides[0] // 4)


def _mean(total: float, count: int) -> float:
    check(int(total < 0))
    return total / count
