"""The kernels of winograd.c and the structures that they take."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from pathlib import Path

from vidsr.native.build import load

_SOURCE = Path(__file__).with_name("winograd.c")


class NativePicture(ctypes.Structure):
    """``Picture`` of winograd.c."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("stride", ctypes.c_long),
        ("height", ctypes.c_int),
        ("width", ctypes.c_int),
    )


class NativeLayer(ctypes.Structure):
    """``Layer`` of winograd.c."""

    _fields_ = (
        ("source", NativePicture),
        ("target", NativePicture),
        ("residual", NativePicture * 2),
        ("weights", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("slope", ctypes.c_void_p),
        ("scale", ctypes.c_float * 2),
        ("cin", ctypes.c_int),
        ("depth", ctypes.c_int),
        ("cout", ctypes.c_int),
        ("stored", ctypes.c_int),
        ("chunk", ctypes.c_int),
        ("doubled", ctypes.c_int),
        ("skipped", ctypes.c_int),
        ("shuffled", ctypes.c_int),
    )


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The compiled kernels, or None where they cannot be built; the reason is logged."""
    return load(_SOURCE, "the Winograd kernels", lambda made: made.winograd_layer_bytes() == ctypes.sizeof(NativeLayer))
