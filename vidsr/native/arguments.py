"""Tensors and numbers as the C kernels take them."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

#: Taps that a filter may have (MOST_TAPS of planes.h).
MOST_TAPS = 257


def are_usable(*tensors: Tensor) -> bool:
    """Whether the kernels can take these tensors: float32 on the CPU, not empty, recording no gradients."""
    for tensor in tensors:
        if tensor.device.type != "cpu" or tensor.element_size() != 4 or not tensor.is_floating_point():
            return False
        if tensor.requires_grad or tensor.numel() == 0:
            return False
    return True


def sides(picture: Tensor) -> tuple[ctypes.c_long, int, int]:
    """Planes, height and width of ``[N, C, H, W]``."""
    batch, channels, height, width = picture.shape
    return ctypes.c_long(batch * channels), height, width


def address(tensor: Tensor) -> ctypes.c_void_p:
    """Where its values lie."""
    return ctypes.c_void_p(tensor.data_ptr())


def floats(values: Sequence[float]) -> ctypes.Array[ctypes.c_float]:
    """Numbers as an array of floats."""
    return (ctypes.c_float * len(values))(*values)


def check(status: int) -> None:
    """What a kernel returned.

    Raises:
        MemoryError: it had no working memory.
    """
    if status:
        raise MemoryError("out of memory in the kernels for pictures")
