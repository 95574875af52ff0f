"""Neighbouring frames carried onto a frame along the motion, as tensors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.filters.before.filter import quantised
from vidsr.filters.flow import optical_flow, resize_flow, warp
from vidsr.frames import Frame, Plane

#: Pictures with shorter sides than this have their motion measured at full size.
_LARGE_PX = 240


def unit(frame: Frame, number: int = 0) -> Tensor:
    """A plane as ``[1, 1, h, w]`` float32, 0 to 1."""
    return torch.from_numpy(frame.planes[number].astype(np.float32))[None, None] / frame.format.max_code


def plane_of(values: Tensor, frame: Frame) -> Plane:
    """The inverse of :func:`unit`."""
    return quantised(values[0, 0].numpy() * frame.format.max_code, frame)


def motion(now: Tensor, before: Tensor) -> Tensor:
    """The flow between two lumas; of large pictures measured at half the size, which is a quarter of the work."""
    if min(now.shape[-2:]) < _LARGE_PX:
        return optical_flow(now, before)
    halves = (F.avg_pool2d(p, 2, ceil_mode=True, count_include_pad=False) for p in (now, before))
    return resize_flow(optical_flow(*halves, steps=3), (now.shape[-2], now.shape[-1]))


def carried(frame: Frame, other: Frame) -> list[Tensor]:
    """All planes of ``other``, carried onto ``frame`` along the motion of the luma."""
    flow = motion(unit(frame), unit(other))
    planes = []
    for number, plane in enumerate(frame.planes):
        size = (plane.shape[0], plane.shape[1])
        moved = flow if flow.shape[-2:] == size else resize_flow(flow, size)
        planes.append(warp(unit(other, number), moved))
    return planes
