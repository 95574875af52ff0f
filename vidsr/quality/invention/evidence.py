"""What can be said about a pixel of a result without the original: evidence against it, and what its source is like.

All pictures are ``[1, 3, H, W]``, RGB in 0..1, of the result's size unless said otherwise. Every kind of evidence has
one value per pixel of the source, ``[1, 1, h, w]``, averaged over about nine pixels of the result for an enlargement by
four. It is in 8-bit code values, or a logarithm of a ratio of such values.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

#: The kinds, in the order of :func:`evidence`: six against the result, then eight about the source.
KINDS = (
    *("departure", "fine", "change", "room", "contrast", "unsteady"),
    *("detail_1", "detail_2", "detail_4", "corner", "finest", "middling", "sharpest", "floor"),
)
#: Those of the kinds that are logarithms of ratios.
RATIOS = ("finest", "middling", "sharpest")
#: Sides, in pixels of the source, of the windows that evidence and detail are averaged over.
_WINDOW_PX, _AROUND_PX = 3, 9
#: Code values below which detail counts as none.
_LEAST_DETAIL = 0.25
#: Share of the places with the least fine detail, where noise and coding leave the most of what there is.
_QUIETEST = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """The frame before, brought to where its parts are now: of the result, and of the enlarged source.

    ``seen`` ``[1, 1, H, W]`` is 1 where the motion is known and 0 where something was hidden.
    """

    result: Tensor
    source: Tensor
    seen: Tensor


def evidence(result: Tensor, source: Tensor, faithful: Tensor, carried: Carried | None) -> Tensor:
    """Evidence about every pixel of the source, ``[1, 14, h, w]``; ``source`` is ``[1, 3, h, w]``.

    Against the result:

    - departure: from the faithful network's result;
    - fine: structure above the source's band, which the source cannot bear out;
    - change: of what the source holds, seen when the result is reduced to its size;
    - room: what even the faithful network adds to interpolation, so where the source leaves much open;
    - contrast: of the enlarged source, for any error grows with it;
    - unsteady: change along the motion beyond the source's own; 0 where there is no frame before.

    About the source, because compression and soft lenses take the finest detail first:

    - detail_1, detail_2, detail_4: around the place, in octaves from the finest on;
    - corner: detail that is finest in both directions at once, which codecs spend no bits on;
    - finest, middling, sharpest: logarithms of ratios over the whole picture, of the first octave to the second, of the
      second to the third, and of the corner to the first;
    - floor: the finest detail at the quietest places of the picture, which is noise where there is much of it.
    """
    large, small = (result.shape[-2], result.shape[-1]), (source.shape[-2], source.shape[-1])
    enlarged = _bicubic(source, large).clamp(0, 1)
    reduced = _bicubic(result, small)
    unsteady = torch.zeros_like(result[:, :1])
    if carried is not None:
        beyond = _mean(result - carried.result) - _mean(enlarged - carried.source)
        unsteady = beyond.clamp(min=0) * carried.seen
    kinds = [
        _reduced(_mean(result - faithful), small),
        _reduced(_mean(result - _bicubic(reduced, large)), small),
        _mean(source - reduced),
        _reduced(_mean(faithful - enlarged), small),
        _gradient(source),
        _reduced(unsteady, small),
    ]
    return torch.cat((_averaged(torch.cat(kinds, 1) * 255, _WINDOW_PX), _of_source(source)), 1)


def _of_source(source: Tensor) -> Tensor:
    """The eight kinds about the source, ``[1, 8, h, w]``."""
    grey = source.mean(1, keepdim=True) * 255
    octaves = []
    for step in (1, 2, 4):
        softer = _softened(grey, step)
        octaves.append((grey - softer).abs())
        grey = softer
    octaves.append(_corner(source.mean(1, keepdim=True) * 255))
    around = _averaged(torch.cat(octaves, 1), _AROUND_PX)
    whole = (around.mean((-2, -1), keepdim=True) + _LEAST_DETAIL).log()
    flat = around[:, :1].flatten(1)
    quietest = flat.kthvalue(max(1, int(_QUIETEST * flat.shape[1])), 1, keepdim=True).values[..., None, None]
    fine, middle, coarse, corner = torch.split(whole, 1, 1)
    of_picture = torch.cat((fine - middle, middle - coarse, corner - fine, quietest), 1)
    return torch.cat((around, of_picture.expand(-1, -1, *source.shape[-2:])), 1)


def _mean(difference: Tensor) -> Tensor:
    return difference.abs().mean(1, keepdim=True)


def _bicubic(picture: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(picture, size=size, mode="bicubic", align_corners=False, antialias=True)


def _reduced(picture: Tensor, size: tuple[int, int]) -> Tensor:
    return F.adaptive_avg_pool2d(picture, size)


def _averaged(picture: Tensor, side: int) -> Tensor:
    """The mean of a square around each pixel; of what there is of it at the borders."""
    across = F.avg_pool2d(picture, (1, side), 1, (0, side // 2), count_include_pad=False)
    return F.avg_pool2d(across, (side, 1), 1, (side // 2, 0), count_include_pad=False)


def _softened(grey: Tensor, step: int) -> Tensor:
    """1 2 1 in both directions, over pixels ``step`` apart."""
    padded = F.pad(grey, (step,) * 4, mode="replicate")
    across = (padded[..., : -2 * step] + 2 * padded[..., step:-step] + padded[..., 2 * step :]) / 4
    return (across[..., : -2 * step, :] + 2 * across[..., step:-step, :] + across[..., 2 * step :, :]) / 4


def _corner(grey: Tensor) -> Tensor:
    """1 -2 1 in both directions, over 4."""
    padded = F.pad(grey, (1, 1, 1, 1), mode="replicate")
    across = padded[..., :-2] - 2 * padded[..., 1:-1] + padded[..., 2:]
    return ((across[..., :-2, :] - 2 * across[..., 1:-1, :] + across[..., 2:, :]) / 4).abs()


def _gradient(picture: Tensor) -> Tensor:
    grey = F.pad(picture.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = (grey[..., 1:-1, 2:] - grey[..., 1:-1, :-2]).abs()
    down = (grey[..., 2:, 1:-1] - grey[..., :-2, 1:-1]).abs()
    return (across + down) / 2
