"""What can be held against a pixel of a result without the original: six kinds of evidence, in code values.

All pictures are ``[1, 3, H, W]``, RGB in 0..1, of the result's size unless said otherwise; every kind of evidence is
``[1, 1, H, W]`` in 8-bit code values, averaged over a small window.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.quality.bicubic import resize_bicubic

#: The kinds, in the order of :func:`evidence`.
KINDS = ("departure", "fine", "change", "room", "contrast", "unsteady")
#: Side of the window that evidence is averaged over, in pixels of the result, for an enlargement by four.
_WINDOW_PX = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """The frame before, brought to where its parts are now: of the result, and of the enlarged source.

    ``seen`` ``[1, 1, H, W]`` is 1 where the motion is known and 0 where something was hidden.
    """

    result: Tensor
    source: Tensor
    seen: Tensor


def evidence(result: Tensor, source: Tensor, faithful: Tensor, carried: Carried | None) -> Tensor:
    """Evidence against every pixel, ``[1, 6, H, W]``; ``source`` is ``[1, 3, h, w]``.

    - departure: from the faithful network's result;
    - fine: structure above the source's band, which the source cannot bear out;
    - change: of what the source holds, seen when the result is reduced to its size;
    - room: what even the faithful network adds to interpolation, so where the source leaves much open;
    - contrast: of the enlarged source, for any error grows with it;
    - unsteady: change along the motion beyond the source's own; 0 where there is no frame before.
    """
    size = (result.shape[-2], result.shape[-1])
    enlarged = resize_bicubic(source, 1, size=size).clamp(0, 1)
    reduced = resize_bicubic(result, 1, size=(source.shape[-2], source.shape[-1]))
    kept = resize_bicubic(reduced, 1, size=size)
    change = resize_bicubic(_mean(source - reduced), 1, size=size).clamp(min=0)
    kinds = [
        _mean(result - faithful),
        _mean(result - kept),
        change,
        _mean(faithful - enlarged),
        _gradient(enlarged) * (size[0] / source.shape[-2]),
        torch.zeros_like(change),
    ]
    if carried is not None:
        beyond = _mean(result - carried.result) - _mean(enlarged - carried.source)
        kinds[-1] = beyond.clamp(min=0) * carried.seen
    side = max(1, round(_WINDOW_PX * size[0] / source.shape[-2] / 4)) // 2 * 2 + 1
    found = torch.cat(kinds, 1) * 255
    padded = F.pad(found, (side // 2,) * 4, mode="replicate")
    # Twice a box: close to a Gaussian, and a sum per pixel whatever the side.
    once = F.avg_pool2d(padded, (side, 1), 1)
    return F.avg_pool2d(once, (1, side), 1)


def _mean(difference: Tensor) -> Tensor:
    return difference.abs().mean(1, keepdim=True)


def _gradient(picture: Tensor) -> Tensor:
    grey = F.pad(picture.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = (grey[..., 1:-1, 2:] - grey[..., 1:-1, :-2]).abs()
    down = (grey[..., 2:, 1:-1] - grey[..., :-2, 1:-1]).abs()
    return (across + down) / 2
