"""The kernels of noise_kernels.c for torch tensors: noise and lost detail of pictures, from spectra of their blocks.

As in :mod:`vidsr.native.pictures` each function returns None where the kernels cannot do it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from vidsr.native.arguments import MOST_TAPS, address, are_usable, check, floats, sides
from vidsr.native.build import load

if TYPE_CHECKING:
    from torch import Tensor

_SOURCE = Path(__file__).with_name("noise_kernels.c")
_BLOCK_PX = 8


class Limits(ctypes.Structure):
    """``Limits`` of noise_kernels.c: what :mod:`vidsr.filters.after.fidelity` measures by."""

    _fields_ = (
        ("quietest", ctypes.c_double),
        ("quiet", ctypes.c_double),
        ("basis", ctypes.c_float * _BLOCK_PX**2),
        ("luma", ctypes.c_float * 3),
        ("noise_ratio", ctypes.c_float),
        ("texture_ratio", ctypes.c_float),
        ("shown", ctypes.c_float),
        ("colour_detail", ctypes.c_float),
        ("shown_by_colour", ctypes.c_float),
        ("damaged", ctypes.c_float),
        ("intact", ctypes.c_float),
        ("middle", ctypes.c_int * 2),
        ("fine", ctypes.c_int * 2),
        ("finest", ctypes.c_int * 2),
    )


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The compiled kernels, or None where they cannot be built; the reason is logged."""
    return load(_SOURCE, "the kernels for noise", _fits)


def _fits(made: ctypes.CDLL) -> bool:
    return bool(made.noise_limits_bytes() == ctypes.sizeof(Limits))


def block_power(picture: Tensor, stride: int, low: int, high: int, basis: Tensor) -> Tensor | None:
    """Mean power of some DCT coefficients of each 8×8 block, ``[N, C, blocks]``.

    Args:
        picture: ``[N, C, H, W]``, at least 8 pixels each way.
        stride: pixels from block to block; divides 8.
        low, high: taken are the coefficients whose two frequencies (0 to 7) add up to ``low`` ≤ sum < ``high``.
        basis: the 8-point DCT ``[8, 8]``.
    """
    kernels = library() if are_usable(picture, basis) else None
    if kernels is None:
        return None
    picture, basis = picture.contiguous(), basis.contiguous()
    planes, height, width = sides(picture)
    blocks = ((height - _BLOCK_PX) // stride + 1) * ((width - _BLOCK_PX) // stride + 1)
    out = picture.new_empty((*picture.shape[:2], blocks))
    arguments = (planes, height, width, stride, low, high, address(basis))
    check(kernels.noise_block_power(address(picture), address(out), *arguments))
    return out


def levels(rgb: Tensor, stride: int, limits: Limits) -> Tensor | None:
    """Strength of the white noise in each channel of ``[N, 3, H, W]``, 1 being full scale: ``[N, 3]``.

    ``stride`` is that of overlapping blocks, and divides 8; pictures have at least 8 pixels each way.
    """
    kernels = library() if are_usable(rgb) and rgb.shape[1] == 3 else None
    if kernels is None:
        return None
    rgb = rgb.contiguous()
    out = rgb.new_empty(rgb.shape[:2])
    work = (ctypes.c_long(len(rgb)), *rgb.shape[2:], stride, ctypes.byref(limits))
    check(kernels.noise_levels(address(rgb), address(out), *work))
    return out


def intactness(rgb: Tensor, limits: Limits) -> Tensor | None:
    """How much of its fine structure compression has left each of ``[N, 3, H, W]``, 0 to 1: ``[N]``.

    Pictures have at least 8 pixels each way.
    """
    kernels = library() if are_usable(rgb) and rgb.shape[1] == 3 else None
    if kernels is None:
        return None
    rgb = rgb.contiguous()
    out = rgb.new_empty(len(rgb))
    check(
        kernels.noise_intact(address(rgb), address(out), ctypes.c_long(len(rgb)), *rgb.shape[2:], ctypes.byref(limits))
    )
    return out


def above(picture: Tensor, taps: Sequence[float], floors: Tensor, shares: Tensor) -> Tensor | None:
    """``shares · clamp(1 − floors / power, 0, 1)``, the power being the squares of ``picture`` filtered by ``taps``.

    Args:
        picture: ``[N, C, H, W]``.
        taps: an odd number of them, across and down.
        floors, shares: of each plane, ``[N, C]``.
    """
    kernels = library() if are_usable(picture, floors, shares) else None
    if kernels is None or len(taps) > MOST_TAPS or not floors.shape == shares.shape == picture.shape[:2]:
        return None
    picture, floors, shares = picture.contiguous(), floors.contiguous(), shares.contiguous()
    out = picture.new_empty(picture.shape)
    work = (*sides(picture), floats(taps), len(taps), address(floors), address(shares))
    check(kernels.noise_above(address(picture), address(out), *work))
    return out
