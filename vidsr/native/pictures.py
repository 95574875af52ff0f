"""The kernels of pictures.c for torch tensors: what filters and inference do to pictures on a CPU.

Each function returns None where the kernels cannot do it: no C compiler, another device or type, a tensor that records
gradients. The caller has the same in PyTorch, which gives the same result to rounding. They run in the calling thread,
without the GIL.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vidsr.native.arguments import MOST_TAPS, address, are_usable, check, floats, sides
from vidsr.native.build import load

if TYPE_CHECKING:
    from torch import Tensor

_SOURCE = Path(__file__).with_name("pictures.c")
#: Taps of one phase of bicubic enlargement (CUBIC).
_CUBIC = 5
_POSITIONS = {"first": 0, "middle": 1, "last": 2}


class Conversion(ctypes.Structure):
    """``Conversion`` of pictures.c."""

    _fields_ = (
        ("rgb", ctypes.c_void_p),
        ("dither", ctypes.c_void_p * 3),
        ("planes", ctypes.c_void_p * 3),
        ("matrix", ctypes.c_float * 9),
        ("factor", ctypes.c_float * 3),
        ("offset", ctypes.c_float * 3),
        ("most", ctypes.c_float),
        ("height", ctypes.c_int),
        ("width", ctypes.c_int),
        ("log2_height", ctypes.c_int),
        ("log2_width", ctypes.c_int),
        ("vertical", ctypes.c_int),
        ("horizontal", ctypes.c_int),
        ("deep", ctypes.c_int),
    )


class Reading(ctypes.Structure):
    """``Reading`` of pictures.c."""

    _fields_ = (
        ("planes", ctypes.c_void_p * 3),
        ("rgb", ctypes.c_void_p),
        ("matrix", ctypes.c_float * 9),
        ("factor", ctypes.c_float * 3),
        ("offset", ctypes.c_float * 3),
        ("height", ctypes.c_int),
        ("width", ctypes.c_int),
        ("log2_height", ctypes.c_int),
        ("log2_width", ctypes.c_int),
        ("vertical", ctypes.c_int),
        ("horizontal", ctypes.c_int),
        ("deep", ctypes.c_int),
    )


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The compiled kernels, or None where they cannot be built; the reason is logged."""
    return load(_SOURCE, "the kernels for pictures", _fits)


def _fits(made: ctypes.CDLL) -> bool:
    made.pictures_units.restype = made.pictures_codes.restype = made.pictures_mix.restype = None
    made.pictures_look_up.restype, made.pictures_sum.restype = None, ctypes.c_long
    sizes = (made.pictures_conversion_bytes(), made.pictures_reading_bytes())
    return sizes == (ctypes.sizeof(Conversion), ctypes.sizeof(Reading))


def filtered(
    picture: Tensor, down: Sequence[float], across: Sequence[float], base: Tensor | None = None
) -> Tensor | None:
    """``picture`` ``[N, C, H, W]`` filtered by odd numbers of taps each way, borders repeated; or ``base``, of the same
    shape, minus that."""
    kernels = _for(picture) if base is None else _for(picture, base)
    if kernels is None or max(len(down), len(across)) > MOST_TAPS or (base is not None and base.shape != picture.shape):
        return None
    picture = picture.contiguous()
    base = None if base is None else base.contiguous()
    under = None if base is None else address(base)
    out = picture.new_empty(picture.shape)
    planes, height, width = sides(picture)
    arguments = (planes, height, width, floats(down), len(down), floats(across), len(across))
    check(kernels.pictures_filter(address(picture), under, address(out), *arguments))
    return out


def averaged(picture: Tensor, tall: int, wide: int) -> Tensor | None:
    """Means over blocks of ``tall`` × ``wide`` pixels, which divide ``picture`` ``[N, C, H, W]``."""
    kernels = _for(picture)
    if kernels is None:
        return None
    picture = picture.contiguous()
    planes, height, width = sides(picture)
    rows, columns = height // tall, width // wide
    out = picture.new_empty((*picture.shape[:2], rows, columns))
    check(kernels.pictures_average(address(picture), address(out), planes, rows, columns, tall, wide))
    return out


def enlarged(
    picture: Tensor, down: Sequence[Sequence[float]], across: Sequence[Sequence[float]], base: Tensor | None = None
) -> Tensor | None:
    """``picture`` ``[N, C, h, w]`` enlarged by phases of five taps, plus ``base`` ``[N, C, H, W]`` if there is one."""
    kernels = _for(picture) if base is None else _for(picture, base)
    if kernels is None or any(len(taps) != _CUBIC for taps in (*down, *across)):
        return None
    picture = picture.contiguous()
    base = None if base is None else base.contiguous()
    planes, height, width = sides(picture)
    tall, wide = len(down), len(across)
    out = picture.new_empty((*picture.shape[:2], height * tall, width * wide))
    taps = (floats([t for phase in down for t in phase]), floats([t for phase in across for t in phase]))
    under = None if base is None else address(base)
    check(kernels.pictures_enlarge(address(picture), under, address(out), planes, height, width, tall, wide, *taps))
    return out


def linear(picture: Tensor, size: tuple[int, int], gains: Sequence[float]) -> Tensor | None:
    """``picture`` ``[N, C, h, w]`` resized linearly to ``size`` (rows, columns), each channel times its gain."""
    kernels = _for(picture)
    if kernels is None or min(size) < 1:
        return None
    picture = picture.contiguous()
    pictures, channels, height, width = picture.shape
    out = picture.new_empty((pictures, channels, *size))
    shape = (ctypes.c_long(pictures), channels, height, width, *size)
    check(kernels.pictures_linear(address(picture), address(out), *shape, floats(gains)))
    return out


def mixed(rgb: Tensor, weights: Sequence[float]) -> Tensor | None:
    """The weighted sum ``[N, 1, H, W]`` of the channels of ``rgb`` ``[N, 3, H, W]``."""
    kernels = _for(rgb)
    if kernels is None or rgb.shape[1] != 3:
        return None
    rgb = rgb.contiguous()
    pictures, _, height, width = rgb.shape
    out = rgb.new_empty((pictures, 1, height, width))
    sizes = (ctypes.c_long(pictures), ctypes.c_long(height * width))
    kernels.pictures_mix(address(rgb), address(out), *sizes, floats(weights))
    return out


def low_frequencies(missing: Tensor, coarse: Sequence[float], fine: Sequence[float], whole: Tensor) -> Tensor | None:
    """See :func:`vidsr.filters.after.colour_lock.low_frequencies`; the taps are those of its two blurs.

    Args:
        missing: ``[N, 3, H, W]``.
        coarse, fine: odd numbers of taps, across and down.
        whole: ``[N]``.
    """
    kernels = _for(missing, whole)
    if kernels is None or max(len(coarse), len(fine)) > MOST_TAPS or missing.shape[1] != 3:
        return None
    missing, whole = missing.contiguous(), whole.contiguous()
    out = missing.new_empty(missing.shape)
    pictures, _, height, width = missing.shape
    taps = (floats(coarse), len(coarse), floats(fine), len(fine))
    work = (ctypes.c_long(pictures), height, width, *taps, address(whole))
    check(kernels.pictures_low_frequencies(address(missing), address(out), *work))
    return out


def neutral(rgb: Tensor, limit: float) -> list[bool] | None:
    """For each of ``[N, 3, H, W]``: do the channels of every pixel differ by less than ``limit``?"""
    kernels = _for(rgb)
    if kernels is None or rgb.shape[1] != 3:
        return None
    rgb = rgb.contiguous()
    plane = ctypes.c_long(rgb.shape[2] * rgb.shape[3])
    return [bool(kernels.pictures_neutral(address(one), plane, ctypes.c_float(limit))) for one in rgb]


def converted(
    rgb: Tensor,
    planes: Sequence[Tensor],
    *,
    matrix: Sequence[float],
    scales: Sequence[tuple[float, float]],
    most: int,
    dither: Sequence[Tensor],
    log2_chroma: tuple[int, int],
    positions: tuple[str, str],
) -> bool:
    """Write the code values of ``rgb`` ``[3, H, W]`` into the ``planes`` Y, Cb and Cr; False where that cannot be done.

    Args:
        planes: ``[h, w]``, uint8, or int16 that holds the bits of uint16.
        matrix: from RGB to Y, Cb, Cr.
        scales: (factor, offset) of each plane.
        most: the largest code value.
        dither: of the planes' sizes, in code values; empty for none.
        log2_chroma: (vertical, horizontal) subsampling, 0 or 1 each.
        positions: (vertical, horizontal) place of chroma samples: first, middle or last.
    """
    kernels = _for(rgb, *dither)
    if kernels is None or max(log2_chroma) > 1 or not all(p.is_contiguous() for p in (*planes, *dither)):
        return False
    rgb = rgb.contiguous()
    work = Conversion(rgb=rgb.data_ptr(), most=float(most), height=rgb.shape[-2], width=rgb.shape[-1])
    work.matrix[:] = list(matrix)
    for i, (plane, (factor, offset)) in enumerate(zip(planes, scales, strict=True)):
        work.planes[i], work.factor[i], work.offset[i] = plane.data_ptr(), factor, offset
        work.dither[i] = dither[i].data_ptr() if dither else None
    work.log2_height, work.log2_width = log2_chroma
    work.vertical, work.horizontal = (_POSITIONS[p] for p in positions)
    work.deep = int(planes[0].element_size() > 1)
    check(kernels.pictures_convert(ctypes.byref(work)))
    return True


def read(
    planes: Sequence[Tensor],
    *,
    matrix: Sequence[float],
    scales: Sequence[tuple[float, float]],
    log2_chroma: tuple[int, int],
    positions: tuple[str, str],
) -> Tensor | None:
    """RGB ``[N, 3, H, W]`` of the ``planes`` Y, Cb and Cr; the inverse of :func:`converted`, but not clamped.

    Args:
        planes: ``[N, h, w]`` on the CPU, uint8, or int16 that holds the bits of uint16.
        matrix: from Y, Cb, Cr to RGB.
        scales, log2_chroma, positions: as there.
    """
    luma = planes[0]
    kernels = library() if luma.device.type == "cpu" and luma.numel() and luma.element_size() <= 2 else None
    if kernels is None or max(log2_chroma) > 1:
        return None
    import torch

    planes = [plane.contiguous() for plane in planes]
    pictures, height, width = luma.shape
    rgb = torch.empty((pictures, 3, height, width))
    work = Reading(height=height, width=width, deep=int(luma.element_size() > 1))
    work.matrix[:] = list(matrix)
    for i, (factor, offset) in enumerate(scales):
        work.factor[i], work.offset[i] = factor, offset
    work.log2_height, work.log2_width = log2_chroma
    work.vertical, work.horizontal = (_POSITIONS[p] for p in positions)
    for number in range(pictures):
        work.rgb = rgb[number].data_ptr()
        work.planes[:] = [plane[number].data_ptr() for plane in planes]
        check(kernels.pictures_read(ctypes.byref(work)))
    return rgb


def units(plane: npt.NDArray[Any], most: int) -> Tensor | None:
    """A frame's plane ``[h, w]`` of code values as ``[1, 1, h, w]`` float32, ``most`` being 1."""
    kernels = _for_plane(plane)
    if kernels is None:
        return None
    import torch

    out = torch.empty((1, 1, *plane.shape))
    kernels.pictures_units(*_codes_of(plane), address(out), *plane.shape, ctypes.c_float(most), ctypes.c_float(0))
    return out


def total(plane: npt.NDArray[Any]) -> int | None:
    """The sum of a frame's plane ``[h, w]`` of code values."""
    kernels = _for_plane(plane)
    return None if kernels is None else int(kernels.pictures_sum(*_codes_of(plane), *plane.shape))


def looked_up(plane: npt.NDArray[Any], table: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    """``table[min(plane, its last place)]`` for a frame's plane ``[h, w]`` and a table of its type."""
    kernels = _for_plane(plane)
    if kernels is None or table.dtype != plane.dtype or not table.flags.c_contiguous:
        return None
    if plane.itemsize == 1 and len(table) < 256:
        table = np.concatenate((table, np.full(256 - len(table), table[-1], table.dtype)))
    made: npt.NDArray[Any] = np.empty(plane.shape, plane.dtype)
    values, target = ctypes.c_void_p(table.ctypes.data), ctypes.c_void_p(made.ctypes.data)
    kernels.pictures_look_up(*_codes_of(plane), values, len(table) - 1, target, *plane.shape)
    return made


def codes(values: Tensor, most: int, like: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    """The inverse of :func:`units`, rounded and clamped: a plane of the type of ``like``."""
    kernels = _for(values)
    if kernels is None:
        return None
    values = values.contiguous()
    made: npt.NDArray[Any] = np.empty(values.shape[-2:], like.dtype)
    target = (ctypes.c_void_p(made.ctypes.data), ctypes.c_long(made.size), int(made.itemsize > 1))
    kernels.pictures_codes(address(values), *target, ctypes.c_float(most), ctypes.c_float(most))
    return made


def _for_plane(plane: npt.NDArray[Any]) -> ctypes.CDLL | None:
    """The kernels, if they can take this plane of code values."""
    return library() if plane.size and plane.strides[1] == plane.itemsize <= 2 else None


def _codes_of(plane: npt.NDArray[Any]) -> tuple[ctypes.c_void_p, ctypes.c_long, int]:
    """Where they lie, bytes from row to row, and whether they have two bytes each."""
    return ctypes.c_void_p(plane.ctypes.data), ctypes.c_long(plane.strides[0]), int(plane.itemsize > 1)


def _for(*tensors: Tensor) -> ctypes.CDLL | None:
    """The kernels, if they can take these tensors."""
    return library() if are_usable(*tensors) else None
