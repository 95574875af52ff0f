"""A frame in between two others, made along their motion; on any torch device.

The flow is estimated at the moment of the new frame (:func:`vidsr.filters.flow.flow_between`): one vector per pixel,
which leads back into the frame before and on into the frame after. So no flow has to be projected to the moment.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.filters.flow import flow_between, gaussian, luma, resize_flow, warp

#: Mean absolute RGB difference (0 to 1) between the two frames, moved to the same place, at which they do not fit.
_MISFIT = 0.06
#: Two frames between which less than this share of the picture fits have a cut between them.
_CUT_SHARE = 0.25
#: Cuts are looked for in pictures of about this many rows.
_CUT_ROWS = 180


@dataclass(frozen=True, slots=True)
class Way:
    """What each pixel of a new frame is made of: its places in the frame before and in the frame after, as flows
    ``[1, 2, H, W]`` in pixels, and the weight ``[1, 1, H, W]`` of the frame before, 0 to 1."""

    to_before: Tensor
    to_after: Tensor
    weight: Tensor

    def of(self, before: Tensor, after: Tensor) -> Tensor:
        """The new plane ``[1, C, h, w]`` from those of the two frames, which may be smaller (chroma)."""
        size = (before.shape[-2], before.shape[-1])
        to_before, to_after, weight = self.to_before, self.to_after, self.weight
        if size != (weight.shape[-2], weight.shape[-1]):
            to_before, to_after = resize_flow(to_before, size), resize_flow(to_after, size)
            weight = F.interpolate(weight, size=size, mode="bilinear", align_corners=False)
        here, there = warp(before, to_before), warp(after, to_after)
        return there + weight * (here - there)


def own_way(before: Tensor, after: Tensor, share: float) -> Way:
    """The way by vidsr's own flow, ``share`` of the way from RGB ``before`` to ``after``, each ``[1, 3, H, W]``."""
    flow = flow_between(luma(before), luma(after), share)
    weight = flow.new_full((1, 1, *flow.shape[-2:]), 1 - share)
    return Way(flow * -share, flow * (1 - share), weight)


def is_cut(before: Tensor, after: Tensor) -> bool:
    """Whether two RGB pictures ``[1, 3, H, W]`` that follow each other show different scenes."""
    factor = max(1, before.shape[-2] // _CUT_ROWS)
    if factor > 1:
        before, after = F.avg_pool2d(before, factor), F.avg_pool2d(after, factor)
    flow = flow_between(luma(before), luma(after), 0.5)
    misfit = (warp(before, flow * -0.5) - warp(after, flow * 0.5)).abs().mean(1, keepdim=True)
    fit = torch.exp(-((torch.maximum(misfit, gaussian(misfit, 1.0)) / _MISFIT) ** 2))
    return bool(fit.mean() < _CUT_SHARE)
