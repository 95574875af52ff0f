"""Finds lines of small text by their strokes, in pictures without a network.

A line of text is a band of strokes: thin ridges, lighter or darker than the ground on both sides, of nearly equal
contrast on nearly even ground, dense along the line and much rarer right above and below it. Grass, leaves and hair
have as many strokes, but their contrast and ground vary, and they go on above and below; fences and window frames are
taller than a line is. Strokes of even width and contrast as the mark of text are from Epshtein, Ofek, Wexler,
"Detecting Text in Natural Scenes with Stroke Width Transform", CVPR 2010; here box filters replace the rays.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.filters.flow import luma

#: Heights of small letters (x-height), in source pixels, that are looked for.
HEIGHTS_PX = (6, 8, 11, 15)
#: A band is this many heights long.
_LENGTH = 4
#: A stroke stands out by at least this much of full scale, on both sides within this many pixels.
_CONTRAST = 0.1
_REACH_PX = 3
#: Strokes per height along a line, at least; in each half of the band this share of that.
_STROKES, _HALF = 0.9, 0.6
#: Spread of the ground and of the contrast, as shares of the contrast, at most.
_GROUND, _EVEN = 0.35, 0.45
#: Strokes right above and below the band, as a share of those in it, at most.
_OUTSIDE = 0.4
#: And in its first and last rows, at least.
_FILLED = 0.4
#: Share of the places around one that must look like text too.
_TOGETHER = 0.5
#: What continues a line needs this share of the strokes only, and may be by as much less even; it is followed in so
#: many steps of half a band. Half a line that is found would move with the ground behind it.
_ALSO, _ROUNDS = 0.6, 4
#: Letters have this many rows in succession at least, in each of which there are this share of the strokes of the
#: fullest row near by. What is smaller is legible neither in the source nor in any result.
_LEAST_ROWS, _FULL = 6, 0.5


def small_text(rgb: Tensor) -> Tensor:
    """Where small text is in ``rgb`` ``[1, 3, h, w]`` (0 to 1): ``[1, 1, h, w]``, 1 on lines of text, else 0."""
    grey = luma(rgb.float().clamp(0, 1))
    crest, contrast, ground = _strokes(torch.cat((grey, 1 - grey)))
    moments = torch.cat((crest, crest * contrast, crest * contrast**2, crest * ground, crest * ground**2), 1)
    found = torch.zeros_like(grey)
    for height in HEIGHTS_PX:
        if grey.shape[-2] >= 2 * height and grey.shape[-1] >= _LENGTH * height:
            for shade in range(2):
                _add_lines(found, moments[shade : shade + 1], height)
    return found


def _strokes(shade: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Ridges lighter than both sides, ``[N, 1, h, w]`` each: 1 on their crests, their contrast, and their ground."""
    reach, width = _REACH_PX, shade.shape[-1]
    padded = F.pad(shade, (reach, reach, 0, 0), mode="replicate")
    lowest = -F.max_pool2d(-padded, (1, reach), 1)  # of each pixel and those to its right
    ground = torch.maximum(lowest[..., :width], lowest[..., reach + 1 : reach + 1 + width])
    contrast = (shade - ground).clamp(min=0)
    left, right = padded[..., reach - 1 : reach - 1 + width], padded[..., reach + 1 : reach + 1 + width]
    crest = ((shade >= left) & (shade > right) & (contrast >= _CONTRAST)).to(shade.dtype)
    return crest, contrast, ground


def _add_lines(found: Tensor, moments: Tensor, height: int) -> None:
    """Set ``found`` ``[1, 1, h, w]`` to 1 on lines of letters of this height, ascenders and descenders included.

    ``moments`` ``[1, 5, h, w]`` are crests, and their contrast, its square, ground and its square.
    """
    rows, length, quarter = height // 2 * 2 + 1, _LENGTH * height // 2 * 2 + 1, height * _LENGTH // 4
    crest = moments[:, :1]
    dense = _mean(crest, rows, length)
    half = _mean(crest, rows, 2 * quarter // 2 * 2 + 1)
    thinner = torch.minimum(_moved(half, quarter, 3), _moved(half, -quarter, 3))
    row = _mean(crest, 3, length)
    inside = torch.minimum(_moved(row, rows // 2 - 1, 2), _moved(row, 1 - rows // 2, 2))
    outside = torch.maximum(_moved(row, rows // 2 + 2, 2), _moved(row, -(rows // 2 + 2), 2))
    bands = (
        (dense * height >= _STROKES)
        & (thinner * height >= _STROKES * _HALF)
        & (inside >= _FILLED * dense)
        & (outside <= _OUTSIDE * dense)
    )
    place = bands[0, 0].any(1).nonzero()
    if not len(place):
        return
    # What remains takes longer, and concerns few rows.
    top, bottom = int(place[0]), int(place[-1]) + 1
    first, last = max(0, top - rows), min(bands.shape[-2], bottom + rows)
    band = _mean(moments[..., first:last, :], rows, length)[..., top - first : bottom - first, :]
    contrast, contrast2, ground, ground2 = torch.split(band[:, 1:] / band[:, :1].clamp(min=1e-6), 1, 1)
    is_text = (
        bands[..., top:bottom, :]
        & (ground2 - ground**2 <= (_GROUND * contrast) ** 2)
        & (contrast2 - contrast**2 <= (_EVEN * contrast) ** 2)
    ).to(crest.dtype)
    centres = (_mean(is_text, 3, rows) >= _TOGETHER).to(crest.dtype)
    if bool(centres.any()):
        centres *= _tall_enough(crest[..., first:last, :], rows, length)[..., top - first : bottom - first, :]
    if bool(centres.any()):
        rest = slice(top, bottom)
        near = (
            (dense[..., rest, :] * height >= _ALSO * _STROKES)
            & (inside[..., rest, :] >= _FILLED * dense[..., rest, :])
            & (outside[..., rest, :] * _ALSO <= _OUTSIDE * dense[..., rest, :])
            & (ground2 - ground**2 <= (_GROUND / _ALSO * contrast) ** 2)
            & (contrast2 - contrast**2 <= (_EVEN / _ALSO * contrast) ** 2)
        ).to(crest.dtype)
        centres = _continued(centres, near, length)
        reach = rows - rows // 4  # ascenders and descenders
        centres = F.pad(centres, (0, 0, top, bands.shape[-2] - bottom))
        tall = F.max_pool2d(centres, (2 * reach + 1, 1), 1, (reach, 0))
        torch.maximum(found, F.max_pool2d(tall, (1, length), 1, (0, length // 2)), out=found)


def _continued(centres: Tensor, near: Tensor, length: int) -> Tensor:
    """``centres`` along their rows, as far as places in ``near`` go on, and no further than twice ``length``."""
    for _ in range(_ROUNDS):
        centres = torch.maximum(centres, near * F.max_pool2d(centres, (1, length), 1, (0, length // 2)))
    return centres


def _tall_enough(crest: Tensor, rows: int, length: int) -> Tensor:
    """1 in rows that belong to letters of at least :data:`_LEAST_ROWS`, in lines of ``rows``; else 0."""
    row = _mean(crest, 1, length)
    full = F.max_pool2d(row, (rows, 1), 1, (rows // 2, 0))
    empty = ((row < _FULL * full) | (row == 0)).to(crest.dtype)
    margin = _LEAST_ROWS - 1
    runs = 1 - F.max_pool2d(F.pad(empty, (0, 0, margin, margin), value=1.0), (_LEAST_ROWS, 1), 1)
    return F.max_pool2d(runs, (_LEAST_ROWS, 1), 1)


def _mean(values: Tensor, rows: int, columns: int) -> Tensor:
    """The mean of ``[N, C, h, w]`` over a window of odd sides around each place; outside of the picture all is 0."""
    return _sums(_sums(values, rows, 2), columns, 3) / (rows * columns)


def _sums(values: Tensor, length: int, side: int) -> Tensor:
    """Running sums along a side: of a window of so many values around each."""
    count, half = values.shape[side], length // 2
    pad = (half + 1, half) if side == 3 else (0, 0, half + 1, half)
    total = F.pad(values, pad).cumsum(side)
    return total.narrow(side, length, count) - total.narrow(side, 0, count)


def _moved(values: Tensor, by: int, side: int) -> Tensor:
    """At each place the value so many pixels further along a side; the borders repeat."""
    place = (torch.arange(values.shape[side], device=values.device) + by).clamp(0, values.shape[side] - 1)
    return values.index_select(side, place)
