"""Dense motion between two pictures, and carrying a picture along it; on any torch device.

Coarse-to-fine least-squares flow (Lucas and Kanade 1981, with Gaussian windows and warping at each pyramid level,
as Bouguet 2001 does for points), written as whole-picture tensor operations so that it runs where the frames
already are. Deterministic: the same two pictures give the same flow whatever came before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.filters.resample import cubic_up, separable
from vidsr.frames import luma_weights
from vidsr.native import motion_kernels, pictures

#: Which weights are used matters little to matching.
LUMA = luma_weights("bt709")
#: Differences larger than this are occlusions or noise: they get little say (Geman-McClure weights).
_OCCLUDED = 0.05
#: Added to the squares of gradients, so that flat areas keep their flow.
_DAMPING = 1e-5
#: Blur of the flow after each fit, in pixels.
_SMOOTH = 0.8
#: Pictures are halved until a side is shorter than this.
_COARSEST_PX = 24


def luma(rgb: Tensor) -> Tensor:
    """``[N, 3, H, W]`` RGB to ``[N, 1, H, W]`` luma, same range."""
    made = pictures.mixed(rgb, LUMA)
    if made is not None:
        return made
    weights = _luma_weights(str(rgb.device)).to(rgb.dtype)
    return (rgb * weights).sum(1, keepdim=True)


@lru_cache(maxsize=16)
def _luma_weights(device: str) -> Tensor:
    with torch.inference_mode(False):  # else a first call from inference would spoil it for training
        return torch.tensor(LUMA).view(1, 3, 1, 1).to(device)


def warp(picture: Tensor, flow: Tensor, mode: str = "bicubic") -> Tensor:
    """Sample ``picture`` ``[N, C, H, W]`` at each pixel's place plus ``flow`` ``[N, 2, H, W]`` (x, y in pixels).

    Places outside repeat the border. ``mode`` is "bilinear" or "bicubic".
    """
    made = motion_kernels.warped(picture, flow) if mode == "bicubic" else None
    if made is not None:
        return made
    height, width = picture.shape[-2:]
    x = torch.arange(width, device=flow.device, dtype=flow.dtype).view(1, 1, width) + flow[:, 0]
    y = torch.arange(height, device=flow.device, dtype=flow.dtype).view(1, height, 1) + flow[:, 1]
    grid = torch.stack((x * (2 / max(width - 1, 1)) - 1, y * (2 / max(height - 1, 1)) - 1), -1)
    return F.grid_sample(picture, grid, mode=mode, padding_mode="border", align_corners=True)


def blended(carried: Tensor, flow: Tensor, out: Tensor, weight: Tensor) -> Tensor:
    """``out`` ``[N, C, H, W]`` plus ``weight`` times what it lacks of ``carried`` moved along ``flow``.

    Args:
        carried: ``[N, C, H, W]``.
        flow: ``[N, 2, H, W]``.
        weight: ``[N, 1, h, w]``, enlarged linearly.
    """
    made = motion_kernels.blended(carried, flow, out, weight)
    if made is not None:
        return made
    large = F.interpolate(weight, size=out.shape[-2:], mode="bilinear", align_corners=False)
    return out + large * (warp(carried, flow) - out)


def gaussian(picture: Tensor, sigma: float) -> Tensor:
    """``picture`` ``[N, C, H, W]`` blurred with a Gaussian of ``sigma`` pixels; borders repeat."""
    taps = gaussian_taps(sigma)
    return separable(picture, taps, taps)


@lru_cache(maxsize=32)
def gaussian_taps(sigma: float) -> list[float]:
    """The weights of :func:`gaussian` in one direction."""
    radius = max(1, round(2.5 * sigma))
    at = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    taps: list[float] = (kernel / kernel.sum()).tolist()
    return taps


def resize_flow(flow: Tensor, size: tuple[int, int], mode: str = "bilinear") -> Tensor:
    """``flow`` ``[N, 2, h, w]`` at another ``size`` (rows, columns), its vectors scaled with it."""
    gains = (size[1] / flow.shape[3], size[0] / flow.shape[2])
    if mode == "bicubic":
        # Scaled while it is small.
        return cubic_up(torch.cat((flow[:, :1] * gains[0], flow[:, 1:] * gains[1]), 1), size)
    made = pictures.linear(flow, size, gains)
    if made is not None:
        return made
    resized = F.interpolate(flow, size=size, mode=mode, align_corners=False)
    return torch.cat((resized[:, :1] * gains[0], resized[:, 1:] * gains[1]), 1)


def halved(picture: Tensor) -> Tensor:
    """``picture`` ``[N, C, H, W]`` averaged over 2×2 pixels; sides are rounded up."""
    if picture.shape[-2] % 2 == 0 and picture.shape[-1] % 2 == 0:
        made = pictures.averaged(picture, 2, 2)
        if made is not None:
            return made
    return F.avg_pool2d(picture, 2, ceil_mode=True, count_include_pad=False)


def pyramid(luma: Tensor) -> tuple[Tensor, ...]:
    """``luma`` ``[N, 1, H, W]`` and its halvings, down to a shorter side below 24 pixels."""
    levels = [luma]
    while min(levels[-1].shape[-2:]) >= _COARSEST_PX:
        levels.append(halved(levels[-1]))
    return tuple(levels)


def optical_flow(now: Tensor, before: Tensor, *, sigma: float = 2.5, steps: int = 4) -> Tensor:
    """Where each pixel of ``now`` was in ``before``: ``[N, 2, H, W]``, x and y in pixels.

    Args:
        now, before: luma ``[N, 1, H, W]``, about 0 to 1.
        sigma: radius in pixels of the Gaussian window that one vector is fitted to.
        steps: fits per pyramid level.
    """
    return pyramid_flow(pyramid(now), pyramid(before), sigma=sigma, steps=steps)


def flow_between(before: Tensor, after: Tensor, share: float, *, sigma: float = 2.5, steps: int = 4) -> Tensor:
    """The motion from ``before`` to ``after``, at the places where things are at ``share`` (0 to 1) of the way.

    ``[N, 2, H, W]``, x and y in pixels: what is seen at a pixel x then was at ``x - share * flow`` in ``before`` and
    will be at ``x + (1 - share) * flow`` in ``after``. The other arguments are those of :func:`optical_flow`.
    """
    return pyramid_flow(pyramid(before), pyramid(after), share=share, sigma=sigma, steps=steps)


def pyramid_flow(
    first: Sequence[Tensor],
    second: Sequence[Tensor],
    *,
    share: float = 0.0,
    sigma: float = 2.5,
    steps: int = 4,
    begin: Tensor | None = None,
) -> Tensor:
    """The flow from the first picture to the second, both as :func:`pyramid` makes them; see :func:`flow_between`.

    ``begin`` is a flow ``[N, 2, h, w]`` to begin with, of any size; none is no motion.
    """
    flow = first[-1].new_zeros(first[-1].shape[0], 2, *first[-1].shape[-2:]) if begin is None else begin
    for a, b in zip(reversed(first), reversed(second), strict=True):
        if flow.shape[-2:] != a.shape[-2:]:
            flow = resize_flow(flow, (a.shape[-2], a.shape[-1]))
        flow = _fit(a, b, flow, share, sigma, steps)
    return flow


def _fit(first: Tensor, second: Tensor, flow: Tensor, share: float, sigma: float, steps: int) -> Tensor:
    """``flow`` after some least-squares corrections at one pyramid level."""
    made = motion_kernels.fit(
        first,
        second,
        flow,
        share=share,
        steps=steps,
        window=gaussian_taps(sigma),
        smooth=gaussian_taps(_SMOOTH),
        scale=_OCCLUDED,
        damping=_DAMPING,
    )
    if made is not None:
        return made
    for _ in range(steps):
        here = warp(first, flow * -share) if share else first
        sums = gaussian(_products(here, warp(second, flow * (1 - share) if share else flow)), sigma)
        flow = gaussian(_step(sums, flow), _SMOOTH)
    return flow


def _products(now: Tensor, moved: Tensor) -> Tensor:
    """What is summed over the window: gradients times gradients and times the difference, ``[N, 5, H, W]``."""
    difference = now - moved
    middle = F.pad((now + moved) * 0.5, (1, 1, 1, 1), mode="replicate")
    gx = (middle[..., 1:-1, 2:] - middle[..., 1:-1, :-2]) * 0.5
    gy = (middle[..., 2:, 1:-1] - middle[..., :-2, 1:-1]) * 0.5
    trust = 1 / (1 + (difference / _OCCLUDED) ** 2) ** 2
    return torch.cat((gx * gx, gx * gy, gy * gy, gx * difference, gy * difference), 1) * trust


def _step(sums: Tensor, flow: Tensor) -> Tensor:
    """The flow ``[N, 2, H, W]``, corrected by at most a pixel."""
    xx, xy, yy, bx, by = (sums[:, i : i + 1] for i in range(5))
    xx, yy = xx + _DAMPING, yy + _DAMPING
    determinant = xx * yy - xy * xy
    step = torch.cat((yy * bx - xy * by, xx * by - xy * bx), 1) / determinant
    # grad·u = difference has the sign of moving the sample place by +u.
    return flow + step.clamp(-1, 1)
