"""A frame in between two others, made along their motion; on any torch device.

Two ways are known to each pixel. vidsr's own flow (:func:`vidsr.filters.flow.flow_between`) is estimated at the moment
of the new frame, so that it need not be projected there; it is the more precise where motion is small. The flows of
RIFE (:mod:`vidsr.models.ifnet`) follow large motion and know which frame shows what the other hides. They are mixed
pixel by pixel: by how well the two frames, moved to the moment, agree along each way; and RIFE decides where the two
ways part and motion is large, since a wrong flow, too, may find pixels that agree. Detail that stays where it is while
all around it moves, such as subtitles in the picture, keeps its place. See docs/decisions/068-frames-in-between.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.filters.flow import flow_between, gaussian, luma, resize_flow, warp
from vidsr.models.ifnet import MULTIPLE_PX, IFNet

#: Mean absolute RGB difference (0 to 1) between the two frames, moved to the same place, at which they do not fit.
_MISFIT = 0.06
#: Two frames between which less than this share of the picture fits have a cut between them.
_CUT_SHARE = 0.25
#: Two frames of which this share fits where it is have no cut between them, whatever moves.
_SURE_SHARE = 0.5
#: Cuts are looked for in pictures of about this many rows.
_CUT_ROWS = 180
#: RIFE sees pictures of at most this many rows: it was trained on small ones, and large motion becomes small.
_LEARNED_ROWS = 1200
#: Radius in pixels of the neighbourhoods in which the ways are compared.
_AROUND_PX = 3.0
#: The ways part by this many pixels, and motion is large from this many pixels on; both softly.
_APART_PX, _LARGE_PX, _SOFT_PX = 2.0, 3.0, 0.5
#: Fine detail whose mean deviation from its surroundings, in luma, reaches this may be a still overlay; softly.
_OVERLAY_DETAIL, _OVERLAY_SOFT = 0.02, 0.005
#: Radius in pixels of the strokes of an overlay, and of the surroundings from which they stand out.
_STROKE_PX, _SURROUNDINGS_PX = 1.0, 2.0
#: Squares of differences below this are noise.
_NEGLIGIBLE = 1e-6


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
        here, there = self.moved(before, after)
        return there + _sized(self.weight, size) * (here - there)

    def moved(self, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
        """Both planes at the moment of the new one."""
        to_before, to_after, size = self.to_before, self.to_after, (before.shape[-2], before.shape[-1])
        if size != (to_before.shape[-2], to_before.shape[-1]):
            to_before, to_after = resize_flow(to_before, size), resize_flow(to_after, size)
        return warp(before, to_before), warp(after, to_after)

    @property
    def motion(self) -> Tensor:
        """From the frame before to the frame after, ``[1, 2, H, W]`` in pixels."""
        return self.to_after - self.to_before


@dataclass(frozen=True, slots=True)
class BestWay:
    """The ways that there are, mixed: ``learned`` says how much RIFE's counts against vidsr's own, and ``still`` how
    much of the result does not move at all; both ``[1, 1, H, W]``, 0 to 1. ``share`` is the moment between the frames.
    """

    own: Way
    rife: Way
    learned: Tensor
    still: Tensor
    share: float

    def of(self, before: Tensor, after: Tensor) -> Tensor:
        """As :meth:`Way.of`."""
        size = (before.shape[-2], before.shape[-1])
        own, rife = self.own.of(before, after), self.rife.of(before, after)
        moving = own + _sized(self.learned, size) * (rife - own)
        held = before + self.share * (after - before)
        return moving + _sized(self.still, size) * (held - moving)


def best_way(before: Tensor, after: Tensor, share: float, network: IFNet) -> BestWay:
    """The way for a frame ``share`` of the way between two RGB pictures ``[1, 3, H, W]``, chosen pixel by pixel."""
    own, rife = own_way(before, after, share), learned_way(before, after, share, network)
    (own_here, own_there), (rife_here, rife_there) = own.moved(before, after), rife.moved(before, after)
    own_misfit = _difference(own_here, own_there, _AROUND_PX) ** 2
    rife_misfit = _difference(rife_here, rife_there, _AROUND_PX) ** 2
    agreeing = own_misfit / (own_misfit + rife_misfit + 1e-9)
    apart, large = _length(rife.motion - own.motion), _length(rife.motion)
    parting = ((apart - _APART_PX) / _SOFT_PX).sigmoid() * ((large - _LARGE_PX) / _SOFT_PX).sigmoid()
    learned = torch.maximum(agreeing, parting)
    here, there = own_here + learned * (rife_here - own_here), own_there + learned * (rife_there - own_there)
    return BestWay(own, rife, learned, _overlay(before, after, _difference(here, there, _STROKE_PX)), share)


def _overlay(before: Tensor, after: Tensor, misfit: Tensor) -> Tensor:
    """How far a pixel shows detail that stays in its place, ``[1, 1, H, W]``, 0 to 1.

    There the frames agree better as they are than along the motion, whose ``misfit`` is given; and both have detail.
    """
    moving, staying = misfit**2, _difference(before, after, _STROKE_PX) ** 2
    detail = torch.minimum(_detail(before), _detail(after))
    return moving / (moving + staying + _NEGLIGIBLE) * ((detail - _OVERLAY_DETAIL) / _OVERLAY_SOFT).sigmoid()


def _detail(picture: Tensor) -> Tensor:
    grey = luma(picture)
    return gaussian((grey - gaussian(grey, _SURROUNDINGS_PX)).abs(), _STROKE_PX)


def _difference(one: Tensor, other: Tensor, around_px: float) -> Tensor:
    """How far two RGB pictures differ around each pixel: ``[1, 1, H, W]``, 0 to 1."""
    return gaussian((one - other).abs().mean(1, keepdim=True), around_px)


def _sized(weight: Tensor, size: tuple[int, int]) -> Tensor:
    """A weight for planes of another size."""
    if size == (weight.shape[-2], weight.shape[-1]):
        return weight
    return F.interpolate(weight, size=size, mode="bilinear", align_corners=False)


def _length(flow: Tensor) -> Tensor:
    """The mean length of vectors ``[1, 2, H, W]`` around each pixel: ``[1, 1, H, W]``."""
    return gaussian(torch.linalg.vector_norm(flow, dim=1, keepdim=True), _AROUND_PX)


def learned_way(before: Tensor, after: Tensor, share: float, network: IFNet) -> Way:
    """The way that RIFE finds ``share`` of the way from RGB ``before`` to ``after``, each ``[1, 3, H, W]``."""
    height, width = before.shape[-2:]
    factor = 1
    while height > factor * _LEARNED_ROWS:
        factor *= 2
    multiple = MULTIPLE_PX * factor
    edges = (0, -width % multiple, 0, -height % multiple)
    seen = [F.pad(picture.clamp(0, 1), edges, mode="replicate") for picture in (before, after)]
    if factor > 1:
        seen = [F.avg_pool2d(picture, factor) for picture in seen]
    flows, weight = network(seen[0], seen[1], share)
    if factor > 1:
        size = (flows.shape[-2] * factor, flows.shape[-1] * factor)
        flows = torch.cat((resize_flow(flows[:, :2], size), resize_flow(flows[:, 2:], size)), 1)
        weight = F.interpolate(weight, size=size, mode="bilinear", align_corners=False)
    flows, weight = flows[..., :height, :width], weight[..., :height, :width]
    return Way(flows[:, :2].contiguous(), flows[:, 2:].contiguous(), weight.contiguous())


def own_way(before: Tensor, after: Tensor, share: float) -> Way:
    """The way by vidsr's own flow, ``share`` of the way from RGB ``before`` to ``after``, each ``[1, 3, H, W]``."""
    flow = flow_between(luma(before), luma(after), share)
    weight = flow.new_full((1, 1, *flow.shape[-2:]), 1 - share)
    return Way(flow * -share, flow * (1 - share), weight)


def is_cut(before: Tensor, after: Tensor) -> bool:
    """Whether two RGB pictures ``[1, 3, H, W]`` that follow each other show different scenes."""
    before, after = _for_cuts(before, after)
    flow = flow_between(luma(before), luma(after), 0.5)
    return _share_that_fits(warp(before, flow * -0.5), warp(after, flow * 0.5)) < _CUT_SHARE


def is_surely_no_cut(before: Tensor, after: Tensor) -> bool:
    """Whether most of the two pictures fits without any motion, which is much faster to see: then :func:`is_cut` is
    false."""
    return _share_that_fits(*_for_cuts(before, after)) >= _SURE_SHARE


def _for_cuts(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    factor = max(1, before.shape[-2] // _CUT_ROWS)
    return (before, after) if factor == 1 else (F.avg_pool2d(before, factor), F.avg_pool2d(after, factor))


def _share_that_fits(one: Tensor, other: Tensor) -> float:
    misfit = (one - other).abs().mean(1, keepdim=True)
    return float(torch.exp(-((torch.maximum(misfit, gaussian(misfit, 1.0)) / _MISFIT) ** 2)).mean())
