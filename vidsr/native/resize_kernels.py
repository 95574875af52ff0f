"""The kernel of resize_kernels.c for torch tensors: resizing by any ratio on a CPU.

As in :mod:`vidsr.native.pictures` the function returns None where the kernel cannot do it.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vidsr.native.arguments import MOST_TAPS, address, are_usable, check
from vidsr.native.build import load

if TYPE_CHECKING:
    from torch import Tensor

_SOURCE = Path(__file__).with_name("resize_kernels.c")
#: Below so many pixels of each phase vectors gain nothing.
_FEWEST_OF_A_PHASE = 32


class Side(ctypes.Structure):
    """``Side`` of resize_kernels.c."""

    _fields_ = (
        ("start", ctypes.c_void_p),
        ("weights", ctypes.c_void_p),
        ("taps", ctypes.c_int),
        ("inputs", ctypes.c_int),
        ("outputs", ctypes.c_int),
        ("up", ctypes.c_int),
        ("down", ctypes.c_int),
        ("low", ctypes.c_int),
        ("high", ctypes.c_int),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What the pixels of one side weigh of the ``inputs`` pixels before.

    Attributes:
        start: the first of them ``[outputs]`` int32, ascending; ``start + taps`` is at most ``inputs``.
        weights: ``[outputs, taps]`` float32.
        whole: first output pixel whose surroundings lie within the picture, and the one after the last.
    """

    inputs: int
    start: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    whole: tuple[int, int]


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The compiled kernels, or None where they cannot be built; the reason is logged."""
    return load(_SOURCE, "the kernels for resizing", _fits)


def _fits(made: ctypes.CDLL) -> bool:
    return bool(made.resize_side_bytes() == ctypes.sizeof(Side))


def resized(picture: Tensor, down: Weights, across: Weights) -> Tensor | None:
    """``picture`` ``[N, C, H, W]`` resized to the outputs of ``down`` and ``across``."""
    kernels = library() if are_usable(picture) else None
    if kernels is None or max(down.weights.shape[1], across.weights.shape[1]) > MOST_TAPS:
        return None
    picture = picture.contiguous()
    batch, channels = picture.shape[:2]
    out = picture.new_empty((batch, channels, len(down.start), len(across.start)))
    sides = (ctypes.byref(_side(down)), ctypes.byref(_side(across)))
    check(kernels.resize_planes(address(picture), address(out), ctypes.c_long(batch * channels), *sides))
    return out


def _side(side: Weights) -> Side:
    outputs, taps = side.weights.shape
    (low, high), shared = side.whole, np.gcd(side.inputs, outputs)
    up, down = outputs // shared, side.inputs // shared
    if shared < _FEWEST_OF_A_PHASE or high - low < 3 * up:
        up = 0
    start, weights = (ctypes.c_void_p(array.ctypes.data) for array in (side.start, side.weights))
    return Side(start, weights, taps, side.inputs, outputs, up, down, low, high)
