"""Frames as tensors, and neighbouring frames carried onto a frame along the motion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vidsr.filters.before.filter import quantised
from vidsr.filters.flow import halved, pyramid, pyramid_flow, resize_flow, warp
from vidsr.frames import Frame, Plane
from vidsr.native import pictures

#: Pictures with shorter sides than this have their motion measured at full size.
_LARGE_PX = 240
#: Fits per level of the pyramid: of pictures at full size, and of larger ones at half their size.
_STEPS, _HALF_STEPS = 4, 3


class Planes:
    """A frame with its planes as tensors and the pyramid of its luma, each made once and when first asked for."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self._planes: dict[int, Tensor] = {}
        self._pyramid: tuple[Tensor, ...] = ()
        self.flows: dict[int, Tensor] = {}  #: Onto the frame so many further, see :func:`followed`.

    def __getitem__(self, number: int) -> Tensor:
        """A plane as ``[1, 1, h, w]`` float32, 0 to 1."""
        if number not in self._planes:
            self._planes[number] = unit(self.frame, number)
        return self._planes[number]

    @property
    def pyramid(self) -> tuple[Tensor, ...]:
        """What motion is measured with: of large pictures from half the size on, which is a quarter of the work."""
        if not self._pyramid:
            luma = self[0]
            self._pyramid = pyramid(luma if min(luma.shape[-2:]) < _LARGE_PX else halved(luma))
        return self._pyramid


def unit(frame: Frame, number: int = 0) -> Tensor:
    """A plane as ``[1, 1, h, w]`` float32, 0 to 1."""
    plane, most = frame.planes[number], frame.format.max_code
    made = pictures.units(plane, most)
    return torch.from_numpy(plane.astype(np.float32))[None, None] / most if made is None else made


def plane_of(values: Tensor, frame: Frame) -> Plane:
    """The inverse of :func:`unit`."""
    most = frame.format.max_code
    made = pictures.codes(values, most, frame.planes[0])
    return quantised(values[0, 0].numpy() * most, frame) if made is None else made


def motion(now: Planes, before: Planes) -> Tensor:
    """The flow between two lumas, ``[1, 2, h, w]``."""
    size = (now[0].shape[-2], now[0].shape[-1])
    if min(size) < _LARGE_PX:
        return pyramid_flow(now.pyramid, before.pyramid, steps=_STEPS)
    return resize_flow(pyramid_flow(now.pyramid, before.pyramid, steps=_HALF_STEPS), size)


def followed(window: Sequence[Planes], at: int, step: int) -> Tensor:
    """The flow from a frame of a window onto the one ``step`` further, measured once."""
    now = window[at]
    if step not in now.flows:
        now.flows[step] = motion(now, window[at + step])
    return now.flows[step]


def carried(now: Planes, other: Planes, flow: Tensor | None = None) -> list[Tensor]:
    """All planes of ``other``, carried onto ``now`` along ``flow``, or else the motion of the luma."""
    flow = motion(now, other) if flow is None else flow
    flows = {(flow.shape[-2], flow.shape[-1]): flow}
    planes = []
    for number, plane in enumerate(now.frame.planes):
        size = (plane.shape[0], plane.shape[1])
        if size not in flows:
            flows[size] = resize_flow(flow, size)
        planes.append(warp(other[number], flows[size]))
    return planes
