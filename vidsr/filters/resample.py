"""The two resizings that back-projection needs: exact area averaging down, bicubic up; any ratio, any device.

Both are linear and the same at every pixel, so that going up and down again, which each further round of
back-projection does, is a blur of five taps at the small size (:func:`without`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.native import pictures


@lru_cache(maxsize=16)
def _box_weights(fine: int, coarse: int) -> Tensor:
    """``[coarse, fine]``: the share of each fine pixel in each coarse pixel's area; rows sum to 1."""
    ratio = fine / coarse
    edges = torch.arange(coarse, dtype=torch.float64)[:, None] * ratio
    pixels = torch.arange(fine, dtype=torch.float64)[None]
    overlap = torch.minimum(edges + ratio, pixels + 1) - torch.maximum(edges, pixels)
    return (overlap.clamp(min=0) / ratio).float()


def area_down(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """``picture`` ``[N, C, H, W]`` averaged to ``size`` (rows, columns), each pixel over exactly its own area.

    Unlike adaptive pooling the weights are right for ratios that are not whole numbers.
    """
    height, width = picture.shape[-2:]
    rows, columns = size
    if height % rows == 0 and width % columns == 0:
        tall, wide = height // rows, width // columns
        made = pictures.averaged(picture, tall, wide)
        return F.avg_pool2d(picture, (tall, wide)) if made is None else made
    down = _box_weights(height, rows).to(picture)
    across = _box_weights(width, columns).to(picture)
    return down @ picture @ across.T


def cubic_up(picture: Tensor, size: tuple[int, int], base: Tensor | None = None) -> Tensor:
    """``picture`` ``[N, C, h, w]`` enlarged to ``size`` (rows, columns) by bicubic interpolation, not clamped.

    Keys' kernel with a = -0.75 and repeated borders, as ``F.interpolate``; by phases where the ratio is whole, which is
    several times as fast on a CPU. ``base`` ``[N, C, H, W]`` is added to the result.
    """
    ratios = _whole_ratios((picture.shape[-2], picture.shape[-1]), size)
    if ratios is not None:
        made = pictures.enlarged(picture, _cubic_taps(ratios[0]), _cubic_taps(ratios[1]), base)
        if made is not None:
            return made
    if ratios is None or picture.device.type != "cpu":
        large = F.interpolate(picture, size=size, mode="bicubic", align_corners=False)
    else:
        large = picture
        for side, ratio in zip((2, 3), ratios, strict=True):
            phases = [filtered(large, taps, side) for taps in _cubic_taps(ratio)]
            large = torch.stack(phases, side + 1).flatten(side, side + 1) if ratio > 1 else large
    return large if base is None else base + large


def without(base: Tensor, picture: Tensor, size: tuple[int, int]) -> Tensor:
    """``base`` minus ``area_down(cubic_up(picture, size), its own size)``, without the large picture where the ratio is
    whole."""
    low = (picture.shape[-2], picture.shape[-1])
    ratios = _whole_ratios(low, size)
    if ratios is None:
        return base - area_down(cubic_up(picture, size), low)
    down, across = (
        [sum(same) / ratio for same in zip(*_cubic_taps(ratio), strict=True)] if ratio > 1 else [1.0]
        for ratio in ratios
    )
    made = pictures.filtered(picture, down, across, base)
    return base - separable(picture, down, across) if made is None else made


def _whole_ratios(low: tuple[int, int], high: tuple[int, int]) -> tuple[int, int] | None:
    """How many times as high and as wide, where both are whole numbers."""
    rows, columns = high[0] / low[0], high[1] / low[1]
    return (int(rows), int(columns)) if rows.is_integer() and columns.is_integer() else None


@lru_cache(maxsize=16)
def _cubic_taps(ratio: int) -> list[list[float]]:
    """For each of the ``ratio`` pixels that one becomes: weights of the five pixels around it (Keys 1981, eq. 15)."""
    a = -0.75
    phases = []
    for phase in range(ratio):
        place = (phase + 0.5) / ratio - 0.5
        away = [abs(place - tap) for tap in range(-2, 3)]
        near = [((a + 2) * d - (a + 3)) * d * d + 1 for d in away]
        far = [((a * d - 5 * a) * d + 8 * a) * d - 4 * a for d in away]
        phases.append([n if d <= 1 else f if d < 2 else 0.0 for d, n, f in zip(away, near, far, strict=True)])
    return phases


def separable(picture: Tensor, down: Sequence[float], across: Sequence[float]) -> Tensor:
    """``picture`` ``[N, C, H, W]`` filtered by odd numbers of taps down and across; borders repeat."""
    made = pictures.filtered(picture, down, across)
    if made is not None:
        return made
    if picture.device.type == "cpu":
        return filtered(filtered(picture, across, 3), down, 2)
    channels, tall, wide = picture.shape[1], len(down) // 2, len(across) // 2
    padded = F.pad(picture, (wide, wide, tall, tall), mode="replicate")
    row, column = (
        _kernel(tuple(taps), side, channels, str(picture.device)).to(picture.dtype)
        for side, taps in ((3, across), (2, down))
    )
    return F.conv2d(F.conv2d(padded, row, groups=channels), column, groups=channels)


@lru_cache(maxsize=64)
def _kernel(taps: tuple[float, ...], side: int, channels: int, device: str) -> Tensor:
    """Taps along side 2 or 3, ``[channels, 1, n, 1]`` or ``[channels, 1, 1, n]``, kept on a device: copying them each
    time would wait for it."""
    with torch.inference_mode(False):  # else a first call from inference would spoil it for training
        along = (1, 1, 1, -1) if side == 3 else (1, 1, -1, 1)
        return torch.tensor(taps).view(along).repeat(channels, 1, 1, 1).to(device)


def filtered(picture: Tensor, taps: Sequence[float], side: int) -> Tensor:
    """``picture`` ``[N, C, H, W]`` filtered along side 2 (down) or 3 (across) by an odd number of taps.

    Borders repeat. Tap by tap: on CPUs up to five times as fast as a grouped convolution.
    """
    radius, length = len(taps) // 2, picture.shape[side]
    padded = F.pad(picture, (radius, radius, 0, 0) if side == 3 else (0, 0, radius, radius), mode="replicate")
    total = padded.narrow(side, radius, length) * taps[radius]
    for n, weight in enumerate(taps):
        if n != radius and weight:
            total = total.add_(padded.narrow(side, n, length), alpha=weight)
    return total
