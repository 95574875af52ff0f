"""Chroma planes up to luma size and back, each pair an exact inverse, on any device.

Upsampling is linear between the true positions of the samples (ITU-T H.273, 8.7: chroma sample location). For
each position there is a short filter that undoes it exactly: for co-sited samples the low-pass of the LeGall 5/3
wavelet, whose synthesis *is* linear interpolation (Le Gall and Tabatabai, 1988), and for samples midway
(-1, 3, 3, -1)/4, its even-length sibling. With them an untouched plane comes back unchanged. They boost
the highest frequencies, which suits planes that are interpolated again, but not new pictures: those are reduced
with plain smoothing filters (``exact=False``).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

#: Where chroma samples sit along one axis, relative to the two luma samples that they cover.
Position = Literal["first", "middle", "last"]


def positions(chroma_location: str) -> tuple[Position, Position]:
    """(horizontal, vertical) position of chroma samples for one of FFmpeg's chroma location names."""
    horizontal: Position = "first" if chroma_location in ("left", "topleft", "bottomleft") else "middle"
    if chroma_location in ("topleft", "top"):
        return horizontal, "first"
    return horizontal, "last" if chroma_location in ("bottomleft", "bottom") else "middle"


def upsample(plane: Tensor, size: tuple[int, int], location: str) -> Tensor:
    """Enlarge ``[..., h, w]`` float chroma to luma size (rows, columns), linearly, edges repeated.

    Factors are powers of two, as ceil(size / factor) = (h, w) implies.
    """
    horizontal, vertical = positions(location)
    plane = _upsample_axis(plane.transpose(-1, -2), size[0], vertical).transpose(-1, -2)
    return _upsample_axis(plane, size[1], horizontal)


def downsample(plane: Tensor, log2: tuple[int, int], location: str, *, exact: bool) -> Tensor:
    """Reduce ``[..., H, W]`` float chroma by 2**log2 (vertical, horizontal), sizes rounded up.

    ``exact`` undoes :func:`upsample` to rounding; otherwise the filter is a smooth one, right for new pictures.
    """
    horizontal, vertical = positions(location)
    for _ in range(log2[1]):
        plane = _halve(plane, horizontal, exact)
    plane = plane.transpose(-1, -2)
    for _ in range(log2[0]):
        plane = _halve(plane, vertical, exact)
    return plane.transpose(-1, -2)


def _upsample_axis(x: Tensor, size: int, position: Position) -> Tensor:
    """Enlarge the last axis to ``size`` in steps of two; each step's size is the next halving, rounded up."""
    sizes = [size]
    while sizes[-1] > x.shape[-1]:
        sizes.append(-(-sizes[-1] // 2))
    if sizes[-1] != x.shape[-1]:
        raise ValueError(f"{x.shape[-1]} chroma samples cannot cover {size} luma samples")
    for step in reversed(sizes[:-1]):
        x = _double(x, position)[..., :step]
    return x


def _double(x: Tensor, position: Position) -> Tensor:
    before = torch.cat((x[..., :1], x[..., :-1]), -1)
    after = torch.cat((x[..., 1:], x[..., -1:]), -1)
    if position == "first":
        even, odd = x, (x + after) / 2
    elif position == "last":
        even, odd = (before + x) / 2, x
    else:
        even, odd = (3 * x + before) / 4, (3 * x + after) / 4
    return torch.stack((even, odd), -1).flatten(-2)


def _halve(x: Tensor, position: Position, exact: bool) -> Tensor:
    if x.shape[-1] % 2:
        x = torch.cat((x, _missing_sample(x, position if exact else "first")), -1)
    even, odd = x[..., 0::2], x[..., 1::2]
    if position == "middle":
        if not exact:
            return (even + odd) / 2
        # x[-1] repeats x[0] and x[2n] repeats x[2n-1], as _double does at the edges.
        left = torch.cat((even[..., :1], odd[..., :-1]), -1)
        right = torch.cat((even[..., 1:], odd[..., -1:]), -1)
        return (3 * (even + odd) - left - right) / 4
    if position == "last":
        return _halve(x.flip(-1), "first", exact).flip(-1)
    if not exact:
        return even / 2 + (odd + torch.cat((odd[..., :1], odd[..., :-1]), -1)) / 4
    # Lifting form of LeGall 5/3: `detail` is zero wherever odd samples were interpolated.
    next_even = torch.cat((even[..., 1:], even[..., -1:]), -1)
    detail = odd - (even + next_even) / 2
    previous_detail = torch.cat((detail[..., :1], detail[..., :-1]), -1)
    return even + (previous_detail + detail) / 4


def _missing_sample(x: Tensor, position: Position) -> Tensor:
    """The sample after an odd number of them, as :func:`_double` would have made it."""
    last = x[..., -1:]
    if x.shape[-1] < 3 or position == "first":
        return last
    if position == "last":
        return 2 * last - x[..., -2:-1]
    first_left = x[..., :1] if x.shape[-1] == 3 else x[..., -4:-3]
    neighbour = (3 * (x[..., -3:-2] + x[..., -2:-1]) - first_left - last) / 4
    return (4 * last - neighbour) / 3
