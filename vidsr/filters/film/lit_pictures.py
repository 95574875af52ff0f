"""Two frames in different light matched pixel by pixel, so that their colours can be compared.

The motion is measured in contrasts, which light leaves as they are: differences from the local mean, as a share of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.filters.film.rgb_planes import small_colours
from vidsr.filters.flow import gaussian, luma, pyramid, pyramid_flow, warp
from vidsr.frames import Floats, Frame

#: The shorter side of the pictures that are matched is at most this; they have about so many blocks along the longer.
_SHORTER_PX, _BLOCKS = 240, 64
#: Radius of the local mean, px; brightness below which contrasts fade; and contrast as luma for the flow, whose
#: constants were chosen for that.
_LOCAL_PX, _DARK, _AS_LUMA = 4.0, 0.1, 0.5
#: Radius over which a match is judged, px; the share of the power that may differ; and the power of a textured place.
_JUDGED_PX, _LIKE, _TEXTURED = 2.0, 0.3, 2e-4
#: A block counts as seen in both frames from this share of its pixels on.
_INSIDE = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class LitPicture:
    """Red, green and blue ``[1, 3, h, w]``, 0 to 1; and the contrasts ``[1, 1, h, w]`` of luma, from fine to coarse."""

    colours: Tensor
    contrasts: Sequence[Tensor]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counterpart:
    """Blocks ``[h, w, 3]`` of two frames at the places of the first, 0 to 1; where they show the same ``[h, w]``; the
    share of the textured blocks that do; and the median speed, as a share of the longer side."""

    before: Floats
    now: Floats
    same: npt.NDArray[np.bool_]
    trust: float
    speed: float


def lit_picture(frame: Frame) -> LitPicture:
    """What is kept of a frame."""
    step = max(1, -(-min(frame.width, frame.height) // _SHORTER_PX))
    with torch.inference_mode():
        colours = torch.from_numpy(np.ascontiguousarray(small_colours(frame, step).transpose(2, 0, 1)))[None]
        return LitPicture(colours, [_contrasts(level) for level in pyramid(luma(colours))])


def match(before: LitPicture, now: LitPicture) -> Counterpart:
    """Follow what ``before`` shows into ``now``, a picture of the same size."""
    with torch.inference_mode():
        flow = pyramid_flow(before.contrasts, now.contrasts)
        height, width = flow.shape[-2:]
        one, other = before.contrasts[0], warp(now.contrasts[0], flow, "bilinear")
        rest = gaussian((one - other) ** 2, _JUDGED_PX)
        power = gaussian(one**2 + other**2, _JUDGED_PX)
        step = -(-max(height, width) // _BLOCKS)
        rest, power, inside = (_blocks(values, step)[0, 0] for values in (rest, power, _inside(flow)))
        seen, textured = inside > _INSIDE, power > _TEXTURED
        like = seen & (rest <= _LIKE * power)
        return Counterpart(
            before=_picture(_blocks(before.colours, step)),
            now=_picture(_blocks(warp(now.colours, flow, "bilinear"), step)),
            same=(seen & (like | ~textured)).numpy(),
            trust=float((like & textured).sum() / textured.sum().clamp(min=1)),
            speed=float(flow.norm(dim=1).median()) / max(height, width),
        )


def _contrasts(luma: Tensor) -> Tensor:
    mean = gaussian(luma, _LOCAL_PX)
    return (luma - mean) / (mean.clamp(min=0) + _DARK) * _AS_LUMA


def _inside(flow: Tensor) -> Tensor:
    """1 where the flow ``[1, 2, h, w]`` stays within the picture, else 0."""
    height, width = flow.shape[-2:]
    x = torch.arange(width, dtype=flow.dtype) + flow[:, 0]
    y = torch.arange(height, dtype=flow.dtype)[:, None] + flow[:, 1]
    within = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return within[:, None].to(flow.dtype)


def _blocks(values: Tensor, step: int) -> Tensor:
    return F.avg_pool2d(values, step)


def _picture(values: Tensor) -> Floats:
    return np.asarray(values[0].permute(1, 2, 0).numpy(), np.float32)
