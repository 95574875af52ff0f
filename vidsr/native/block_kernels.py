"""The kernel of block_kernels.c for NumPy arrays: steps on the grid of block codecs smoothed.

As in :mod:`vidsr.native.pictures` the function returns None where the kernel cannot do it.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidsr.native.arguments import check
from vidsr.native.build import load

_SOURCE = Path(__file__).with_name("block_kernels.c")


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The compiled kernels, or None where they cannot be built; the reason is logged."""
    return load(_SOURCE, "the kernels for blocks", _fits)


def _fits(made: ctypes.CDLL) -> bool:
    return bool(made.blocks_smooth)


def smoothed(plane: npt.NDArray[Any], limit: float, most: int) -> npt.NDArray[Any] | None:
    """A frame's plane ``[h, w]``, its steps on the 8×8 grid smoothed as :mod:`vidsr.filters.before.deblock` does.

    Args:
        plane: code values, uint8 or uint16.
        limit: the largest step that is smoothed, in code values, above 0.
        most: the largest code value.
    """
    kernels = library() if plane.size and plane.strides[1] == plane.itemsize <= 2 else None
    if kernels is None or limit <= 0:
        return None
    made: npt.NDArray[Any] = np.empty(plane.shape, plane.dtype)
    source = (ctypes.c_void_p(plane.ctypes.data), ctypes.c_long(plane.strides[0]), int(plane.itemsize > 1))
    limits = (ctypes.c_float(limit), ctypes.c_float(most))
    check(kernels.blocks_smooth(*source, ctypes.c_void_p(made.ctypes.data), *plane.shape, *limits))
    return made
