"""The kernel of carried_kernels.c for torch tensors: the missing lines of a field, from candidates along the motion.

As in :mod:`vidsr.native.pictures` the function returns None where the kernel cannot do it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from vidsr.native.arguments import address, are_usable, check
from vidsr.native.build import load

if TYPE_CHECKING:
    from torch import Tensor

_SOURCE = Path(__file__).with_name("carried_kernels.c")
_PICTURES = ("now", "before", "after", "moved_before", "moved_after", "phase_before", "phase_after")
_WEIGHTS = ("first", "first_bias", "window", "second", "second_bias", "gates", "gates_bias")


class CarriedFields(ctypes.Structure):
    """``CarriedFields`` of carried_kernels.c."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in (*_PICTURES, "out", *_WEIGHTS)),
        ("still", ctypes.c_float),
        ("height", ctypes.c_int),
        ("width", ctypes.c_int),
        ("parity", ctypes.c_int),
    )


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The compiled kernel, or None where it cannot be built; the reason is logged."""
    return load(_SOURCE, "the kernel for fields along the motion", _fits)


def _fits(made: ctypes.CDLL) -> bool:
    return bool(made.carried_bytes() == ctypes.sizeof(CarriedFields))


def missing_lines(
    pictures: Sequence[Tensor], weights: Mapping[str, Tensor], *, parity: int, still: float
) -> Tensor | None:
    """:func:`vidsr.filters.before.carried_fields.missing_lines`, ``[1, 1, lines, W]``.

    Args:
        pictures: now, before, after, before moved, after moved, ``[1, 1, H, W]`` float32; the phases of the latter two,
            ``[1, 1, lines, W]``.
        weights: by the names of carried_kernels.c, those of 1×1 layers as ``[inputs, outputs]``.
        parity: 0 for the even lines, 1 for the odd ones.
        still: the largest change that counts as none.
    """
    tensors = [picture.contiguous() for picture in pictures]
    if not are_usable(*tensors, *weights.values()):
        return None
    kernels = library()
    if kernels is None:
        return None
    height, width = tensors[0].shape[-2:]
    out = tensors[0].new_empty(1, 1, (height - parity + 1) // 2, width)
    work = CarriedFields(out=address(out), still=still, height=height, width=width, parity=parity)
    for name, tensor in (*zip(_PICTURES, tensors, strict=True), *((name, weights[name]) for name in _WEIGHTS)):
        setattr(work, name, address(tensor))
    check(kernels.carried_lines(ctypes.byref(work)))
    return out
