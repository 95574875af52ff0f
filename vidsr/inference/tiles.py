"""Cutting frames that do not fit into overlapping tiles, and joining the results without seams.

The architecture decides how much neighbours overlap: three quarters of ``Architecture.overlap_px`` are context that is
discarded, one quarter is blended.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

MIN_TILE_PX = 32


def tile_starts(length: int, tile: int, overlap: int) -> list[int]:
    """First pixels of tiles of ``tile`` px that cover ``length`` px, spread evenly, sharing ≥ ``overlap`` px.

    All tiles have the same size, so that a compiled or captured network meets one shape; a ``length`` of at
    most ``tile`` is one tile.
    """
    if length <= tile:
        return [0]
    count = -(-(length - overlap) // (tile - overlap))
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def run_tiled(run: Callable[[Tensor], Tensor], x: Tensor, tile: int, scale: int, overlap: int) -> Tensor:
    """``run`` over tiles of ``x`` ``[N, C, h, w]``, feathered together: ``[N, C', h·scale, w·scale]`` float32.

    ``tile`` is a side in source pixels, at least ``2 · overlap`` (a smaller overlap is used where it is not).
    """
    height, width = x.shape[-2:]
    overlap = min(overlap, tile // 2)
    out: Tensor | None = None
    rows, columns = tile_starts(height, tile, overlap), tile_starts(width, tile, overlap)
    th, tw = min(tile, height), min(tile, width)
    total = torch.zeros((height * scale, width * scale), device=x.device)
    for top in rows:
        for left in columns:
            part = run(x[..., top : top + th, left : left + tw]).float()
            down = _ramp(th, overlap, scale, (top > 0, top + th < height), str(x.device))
            across = _ramp(tw, overlap, scale, (left > 0, left + tw < width), str(x.device))
            weight = down.unsqueeze(1) * across
            if out is None:
                out = part.new_zeros((*part.shape[:2], height * scale, width * scale))
            where = (slice(top * scale, (top + th) * scale), slice(left * scale, (left + tw) * scale))
            out[(..., *where)] += part * weight
            total[where] += weight
    assert out is not None
    return out.div_(total)


@lru_cache(maxsize=32)
def _ramp(size: int, overlap: int, scale: int, inside: tuple[bool, bool], device: str) -> Tensor:
    """Weights along one side of a tile, kept on the device; ``inside``: its (start, end) is not on the frame's edge.

    0 over the outer 3/8 of the overlap, a straight rise over a quarter, then 1.

    The error that a tile's edge causes fades with distance, so most of the overlap is context that is
    discarded. A side on the frame's own edge keeps weight 1.
    """
    position = (torch.arange(size * scale, dtype=torch.float32) + 0.5) / scale
    outer, rise = overlap * 3 / 8, overlap / 4
    weight = torch.ones(size * scale)
    if inside[0]:
        weight = torch.minimum(weight, ((position - outer) / rise).clamp(0, 1))
    if inside[1]:
        weight = torch.minimum(weight, ((size - position - outer) / rise).clamp(0, 1))
    return weight.to(device)
