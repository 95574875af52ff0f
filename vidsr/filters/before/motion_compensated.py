"""Filters that compare a frame with its neighbours, carried along the motion: dust and scratches, noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.filters.before.base import quantised, windowed, with_planes
from vidsr.filters.detect.noise import BLOCK, flat_blocks, measure
from vidsr.filters.flow import gaussian, optical_flow, resize_flow, warp
from vidsr.frames import Frame, Plane

#: Pictures with shorter sides than this have their motion measured at full size.
_LARGE = 240


def unit(frame: Frame, number: int = 0) -> Tensor:
    """A plane as ``[1, 1, h, w]`` float32, 0 to 1."""
    return torch.from_numpy(frame.planes[number].astype(np.float32))[None, None] / frame.format.max_code


def plane_of(values: Tensor, frame: Frame) -> Plane:
    """The inverse of :func:`unit`."""
    return quantised(values[0, 0].numpy() * frame.format.max_code, frame)


def motion(now: Tensor, before: Tensor) -> Tensor:
    """The flow between two lumas; of large pictures measured at half the size, which is a quarter of the work."""
    if min(now.shape[-2:]) < _LARGE:
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


class Dust:
    """Takes out what only one frame has: dust, hairs, sparkle, single-frame scratches.

    A pixel is a fault where the frames before and after, carried onto this one, agree with each other and this one
    lies beyond both; it then gets their mean (Storey's detector, SMPTE J. 94, 1985, along the motion).

    Args:
        threshold: how far beyond, in 8-bit code values.
    """

    name = "dust"
    lookaround = (1, 1)

    def __init__(self, threshold: float = 18.0) -> None:
        self.threshold = threshold

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        return windowed(frames, 1, 1, self._clean)

    @torch.inference_mode()
    def _clean(self, window: Sequence[Frame], at: int) -> Frame:
        frame = window[at]
        if at == 0 or at + 1 == len(window):
            return frame
        before, after = carried(frame, window[at - 1]), carried(frame, window[at + 1])
        limit = self.threshold / 255
        own = unit(frame)
        agree = (before[0] - after[0]).abs()
        beyond = torch.minimum((own - before[0]).abs(), (own - after[0]).abs())
        same_side = (own - before[0]) * (own - after[0]) > 0
        fault = ((beyond > limit) & same_side & (agree < 0.6 * beyond)).float()
        # A fault has a soft rim that is no longer beyond the limit.
        mask = gaussian(F.max_pool2d(fault, 5, 1, 2), 0.8).clamp(0, 1)
        if not bool(fault.any()):
            return frame
        planes = []
        for number, plane in enumerate(frame.planes):
            size = (plane.shape[0], plane.shape[1])
            share = mask if mask.shape[-2:] == size else F.interpolate(mask, size=size, mode="area")
            mean = (before[number] + after[number]) / 2
            planes.append(plane_of(torch.lerp(unit(frame, number), mean, share), frame))
        return with_planes(frame, planes)


class Denoise:
    """Averages a frame with its neighbours, carried along the motion, where they differ by no more than the noise.

    Args:
        strength: 0 to 1; 1 takes differences up to three times the measured noise for noise.
    """

    name = "denoise"
    lookaround = (2, 2)

    def __init__(self, strength: float = 0.7) -> None:
        self.strength = strength

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        return windowed(frames, *self.lookaround, self._average)

    @torch.inference_mode()
    def _average(self, window: Sequence[Frame], at: int) -> Frame:
        frame = window[at]
        own = [unit(frame, n) for n in range(len(frame.planes))]
        if min(own[0].shape[-2:]) < BLOCK:
            return frame
        sigma = max(measure(own[0], flat_blocks(own[0], 0.1)).sigma, 0.5 / 255)
        sums, weights = [p.clone() for p in own], [torch.ones_like(p) for p in own]
        for n in range(max(0, at - 2), min(len(window), at + 3)):
            if n == at:
                continue
            other = carried(frame, window[n])
            # Over a small neighbourhood noise averages out and real change does not.
            change = gaussian((other[0] - own[0]) ** 2, 1.5).sqrt()
            fit = torch.exp(-((change / (3 * self.strength * sigma)) ** 4))
            for number, plane in enumerate(other):
                size = (plane.shape[-2], plane.shape[-1])
                share = fit if fit.shape[-2:] == size else F.interpolate(fit, size=size, mode="area")
                sums[number] += share * plane
                weights[number] += share
        return with_planes(frame, [plane_of(s / w, frame) for s, w in zip(sums, weights, strict=True)])
