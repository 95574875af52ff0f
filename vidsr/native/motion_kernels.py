"""The kernels of motion_kernels.c for torch tensors: motion between pictures, and pictures carried along it, on a CPU.

As in :mod:`vidsr.native.pictures` each function returns None where the kernels cannot do it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from vidsr.native.arguments import MOST_TAPS, address, are_usable, check, floats
from vidsr.native.build import load

if TYPE_CHECKING:
    from torch import Tensor

_SOURCE = Path(__file__).with_name("motion_kernels.c")


class FlowFit(ctypes.Structure):
    """``FlowFit`` of motion_kernels.c."""

    _fields_ = (
        ("first", ctypes.c_void_p),
        ("second", ctypes.c_void_p),
        ("flow", ctypes.c_void_p),
        ("window", ctypes.POINTER(ctypes.c_float)),
        ("smooth", ctypes.POINTER(ctypes.c_float)),
        ("share", ctypes.c_float),
        ("scale", ctypes.c_float),
        ("damping", ctypes.c_float),
        ("pictures", ctypes.c_long),
        ("windows", ctypes.c_int),
        ("smooths", ctypes.c_int),
        ("height", ctypes.c_int),
        ("width", ctypes.c_int),
        ("steps", ctypes.c_int),
    )


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The compiled kernels, or None where they cannot be built; the reason is logged."""
    return load(_SOURCE, "the kernels for motion", _fits)


def _fits(made: ctypes.CDLL) -> bool:
    made.motion_faults.restype = ctypes.c_long
    made.motion_add.restype = None
    return bool(made.motion_fit_bytes() == ctypes.sizeof(FlowFit))


def warped(picture: Tensor, flow: Tensor) -> Tensor | None:
    """``picture`` ``[N, C, H, W]`` sampled at each place plus ``flow`` ``[N, 2, H, W]`` by bicubic interpolation."""
    kernels = _for(picture, flow)
    if kernels is None or picture.shape[0] != flow.shape[0] or picture.shape[2:] != flow.shape[2:]:
        return None
    picture, flow = picture.contiguous(), flow.contiguous()
    out = picture.new_empty(picture.shape)
    check(kernels.motion_warp(address(picture), address(flow), address(out), *_shape(picture)))
    return out


def blended(carried: Tensor, flow: Tensor, out: Tensor, weight: Tensor) -> Tensor | None:
    """``out + weight · (carried along flow − out)``, ``[N, C, H, W]``.

    Args:
        carried, out: ``[N, C, H, W]``.
        flow: ``[N, 2, H, W]``.
        weight: ``[N, 1, h, w]``, enlarged linearly.
    """
    kernels = _for(carried, flow, out, weight)
    if kernels is None or out.shape[2:] != flow.shape[2:] or carried.shape != out.shape:
        return None
    carried, flow, out, weight = (tensor.contiguous() for tensor in (carried, flow, out, weight))
    result = out.new_empty(out.shape)
    tensors = [address(tensor) for tensor in (carried, flow, out, weight, result)]
    check(kernels.motion_blend(*tensors, *_shape(out), weight.shape[2], weight.shape[3]))
    return result


def fit(
    first: Tensor,
    second: Tensor,
    flow: Tensor,
    *,
    share: float,
    steps: int,
    window: Sequence[float],
    smooth: Sequence[float],
    scale: float,
    damping: float,
) -> Tensor | None:
    """``flow`` ``[N, 2, H, W]`` after some corrections at one level of :func:`vidsr.filters.flow.flow_between`.

    Args:
        first, second: luma ``[N, 1, H, W]``.
        share: how far from the first to the second the flow's pixels are, 0 to 1.
        steps: how many corrections.
        window, smooth: taps of the window, and of the blur of the flow after each correction.
        scale: difference of luma that counts half as much, squared.
        damping: added to the squares of gradients.
    """
    kernels = _for(first, second, flow)
    if (
        kernels is None
        or first.shape != second.shape
        or first.shape[1] != 1
        or max(len(window), len(smooth)) > MOST_TAPS
    ):
        return None
    import torch

    first, second, flow = first.contiguous(), second.contiguous(), flow.clone(memory_format=torch.contiguous_format)
    pictures, _, height, width = first.shape
    work = FlowFit(
        first=first.data_ptr(),
        second=second.data_ptr(),
        flow=flow.data_ptr(),
        window=floats(window),
        smooth=floats(smooth),
        share=share,
        scale=scale,
        damping=damping,
        pictures=pictures,
        windows=len(window),
        smooths=len(smooth),
        height=height,
        width=width,
        steps=steps,
    )
    check(kernels.motion_fit(ctypes.byref(work)))
    return flow


def agreement(own: Tensor, moved: Tensor, taps: Sequence[float], scale: float) -> Tensor | None:
    """exp(−(change / ``scale``)⁴), the change being the root of the squared difference filtered by ``taps``.

    Args:
        own, moved: ``[1, 1, H, W]``.
    """
    kernels = _for(own, moved)
    if kernels is None or len(taps) > MOST_TAPS or own.shape != moved.shape or own.shape[:2] != (1, 1):
        return None
    own, moved = own.contiguous(), moved.contiguous()
    out = own.new_empty(own.shape)
    tensors = [address(tensor) for tensor in (own, moved, out)]
    work = (own.shape[2], own.shape[3], floats(taps), len(taps), ctypes.c_float(scale))
    check(kernels.motion_agreement(*tensors, *work))
    return out


def add(sums: Tensor, weights: Tensor, plane: Tensor, share: Tensor) -> bool:
    """``sums += share · plane`` and ``weights += share``, all of one shape; False where that cannot be done."""
    tensors = (sums, weights, plane, share)
    kernels = _for(*tensors)
    if kernels is None or not all(t.is_contiguous() and t.shape == sums.shape for t in tensors):
        return False
    kernels.motion_add(*[address(tensor) for tensor in tensors], ctypes.c_long(sums.numel()))
    return True


def faults(
    own: Tensor, before: Tensor, after: Tensor, *, limit: float, agree: float, around: int
) -> tuple[Tensor, int] | None:
    """Where only ``own`` of three ``[1, 1, H, W]`` has something: 1 within ``around`` pixels of it, else 0; and the
    number of pixels that it is. See :mod:`vidsr.filters.before.dust`."""
    kernels = _for(own, before, after)
    if kernels is None or own.shape[:2] != (1, 1) or not own.shape == before.shape == after.shape:
        return None
    own, before, after = own.contiguous(), before.contiguous(), after.contiguous()
    out = own.new_empty(own.shape)
    tensors = [address(tensor) for tensor in (own, before, after, out)]
    limits = (ctypes.c_float(limit), ctypes.c_float(agree))
    found = int(kernels.motion_faults(*tensors, own.shape[2], own.shape[3], *limits, around))
    return out, found


def _for(*tensors: Tensor) -> ctypes.CDLL | None:
    """The kernels, if they can take these tensors."""
    return library() if are_usable(*tensors) else None


def _shape(picture: Tensor) -> tuple[ctypes.c_long, int, int, int]:
    """Pictures, channels, height and width."""
    pictures, channels, height, width = picture.shape
    return ctypes.c_long(pictures), channels, height, width
