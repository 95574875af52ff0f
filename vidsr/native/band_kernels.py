"""The kernel of band_kernels.c for NumPy arrays: the gradients that bands stand for.

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

_SOURCE = Path(__file__).with_name("band_kernels.c")


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The compiled kernels, or None where they cannot be built; the reason is logged."""
    return load(_SOURCE, "the kernels for bands", _fits)


def _fits(made: ctypes.CDLL) -> bool:
    return bool(made.bands_corrections)


def corrections(
    plane: npt.NDArray[np.float32], limit: float, straight: int, slanting: int, fewest: int
) -> npt.NDArray[Any] | None:
    """What :func:`vidsr.filters.banding.deband.corrections` gives for a plane ``[h, w]``.

    Args:
        plane: code values, contiguous.
        limit: the largest step, in code values, above 0.
        straight: how far to look along rows and columns, samples.
        slanting: how far along diagonals; at most ``straight``.
        fewest: pairs without which a direction has no say.
    """
    kernels = library() if plane.size and plane.flags.c_contiguous else None
    if kernels is None:
        return None
    made: npt.NDArray[Any] = np.empty(plane.shape, np.float32)
    pointers = (ctypes.c_void_p(plane.ctypes.data), ctypes.c_void_p(made.ctypes.data))
    check(kernels.bands_corrections(*pointers, *plane.shape, ctypes.c_float(limit), straight, slanting, fewest))
    return made
