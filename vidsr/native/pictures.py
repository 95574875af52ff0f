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
from typing import TYPE_CHECKING

from vidsr.native.build import load

if TYPE_CHECKING:
    from torch import Tensor

_SOURCE = Path(__file__).with_name("pictures.c")
#: Taps that a filter may have (MOST_TAPS), and those of one phase of bicubic enlargement (CUBIC).
_MOST_TAPS, _CUBIC = 257, 5
_BLOCK_PX = 8
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


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The compiled kernels, or None where they cannot be had; the reason is logged."""
    return load(
        _SOURCE,
        "the kernels for pictures",
        lambda made: made.pictures_conversion_bytes() == ctypes.sizeof(Conversion),
    )


def filtered(picture: Tensor, down: Sequence[float], across: Sequence[float]) -> Tensor | None:
    """``picture`` ``[N, C, H, W]`` filtered by odd numbers of taps each way; borders repeat."""
    kernels = _for(picture)
    if kernels is None or max(len(down), len(across)) > _MOST_TAPS:
        return None
    picture = picture.contiguous()
    out = picture.new_empty(picture.shape)
    planes, height, width = _sides(picture)
    arguments = (planes, height, width, _floats(down), len(down), _floats(across), len(across))
    _check(kernels.pictures_filter(_at(picture), _at(out), *arguments))
    return out


def averaged(picture: Tensor, tall: int, wide: int) -> Tensor | None:
    """Means over blocks of ``tall`` × ``wide`` pixels, which divide ``picture`` ``[N, C, H, W]``."""
    kernels = _for(picture)
    if kernels is None:
        return None
    picture = picture.contiguous()
    planes, height, width = _sides(picture)
    rows, columns = height // tall, width // wide
    out = picture.new_empty((*picture.shape[:2], rows, columns))
    _check(kernels.pictures_average(_at(picture), _at(out), planes, rows, columns, tall, wide))
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
    planes, height, width = _sides(picture)
    tall, wide = len(down), len(across)
    out = picture.new_empty((*picture.shape[:2], height * tall, width * wide))
    taps = (_floats([t for phase in down for t in phase]), _floats([t for phase in across for t in phase]))
    under = None if base is None else _at(base)
    _check(kernels.pictures_enlarge(_at(picture), under, _at(out), planes, height, width, tall, wide, *taps))
    return out


def block_power(picture: Tensor, stride: int, low: int, high: int, basis: Tensor) -> Tensor | None:
    """Mean power of some DCT coefficients of each 8×8 block, ``[N, C, blocks]``.

    Args:
        picture: ``[N, C, H, W]``, at least 8 pixels each way.
        stride: pixels from block to block; divides 8.
        low, high: taken are the coefficients whose two frequencies (0 to 7) add up to ``low`` ≤ sum < ``high``.
        basis: the transform ``[8, 8]``.
    """
    kernels = _for(picture, basis)
    if kernels is None:
        return None
    picture, basis = picture.contiguous(), basis.contiguous()
    planes, height, width = _sides(picture)
    blocks = ((height - _BLOCK_PX) // stride + 1) * ((width - _BLOCK_PX) // stride + 1)
    out = picture.new_empty((*picture.shape[:2], blocks))
    arguments = (planes, height, width, stride, low, high, _at(basis))
    _check(kernels.pictures_block_power(_at(picture), _at(out), *arguments))
    return out


def warped(picture: Tensor, flow: Tensor) -> Tensor | None:
    """``picture`` ``[N, C, H, W]`` sampled at each place plus ``flow`` ``[N, 2, H, W]`` by bicubic interpolation."""
    kernels = _for(picture, flow)
    if kernels is None or picture.shape[0] != flow.shape[0] or picture.shape[2:] != flow.shape[2:]:
        return None
    picture, flow = picture.contiguous(), flow.contiguous()
    pictures, channels, height, width = picture.shape
    out = picture.new_empty(picture.shape)
    sides = (ctypes.c_long(pictures), channels, height, width)
    _check(kernels.pictures_warp(_at(picture), _at(flow), _at(out), *sides))
    return out


def flow_products(now: Tensor, moved: Tensor, scale: float) -> Tensor | None:
    """The five products ``[N, 5, H, W]`` of :func:`vidsr.filters.flow.optical_flow`, of luma ``[N, 1, H, W]``."""
    kernels = _for(now, moved)
    if kernels is None or now.shape != moved.shape or now.shape[1] != 1:
        return None
    now, moved = now.contiguous(), moved.contiguous()
    out = now.new_empty((len(now), 5, *now.shape[2:]))
    _check(kernels.pictures_flow_products(_at(now), _at(moved), _at(out), *_sides(now), ctypes.c_float(scale)))
    return out


def flow_step(sums: Tensor, flow: Tensor, damping: float) -> Tensor | None:
    """``flow`` ``[N, 2, H, W]`` corrected by the solution of ``sums`` ``[N, 5, H, W]``, by one pixel at most."""
    kernels = _for(sums, flow)
    if kernels is None:
        return None
    sums, flow = sums.contiguous(), flow.contiguous()
    out = flow.new_empty(flow.shape)
    pictures, _, height, width = flow.shape
    sides = (ctypes.c_long(pictures), height, width)
    _check(kernels.pictures_flow_step(_at(sums), _at(flow), _at(out), *sides, ctypes.c_float(damping)))
    return out


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
    _check(kernels.pictures_convert(ctypes.byref(work)))
    return True


def _for(*tensors: Tensor) -> ctypes.CDLL | None:
    """The kernels, if they can take these tensors."""
    for tensor in tensors:
        if tensor.device.type != "cpu" or tensor.element_size() != 4 or not tensor.is_floating_point():
            return None
        if tensor.requires_grad or tensor.numel() == 0:
            return None
    return library()


def _sides(picture: Tensor) -> tuple[ctypes.c_long, int, int]:
    """Planes, height and width."""
    batch, channels, height, width = picture.shape
    return ctypes.c_long(batch * channels), height, width


def _at(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())


def _floats(values: Sequence[float]) -> ctypes.Array[ctypes.c_float]:
    return (ctypes.c_float * len(values))(*values)


def _check(status: int) -> None:
    if status:
        raise MemoryError("out of memory in the kernels for pictures")
