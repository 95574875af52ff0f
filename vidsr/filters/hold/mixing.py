"""Mixes a faithful network's result into places of another one's, computing it only there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidsr.errors import CheckpointError
from vidsr.filters.resample import area_down, cubic_up
from vidsr.models import zoo

#: Places are computed in whole cells of at least this many source pixels a side, with one more cell around them.
_CELL_PX = 16
#: Cells longer than this many pixels are the whole picture.
_LONGEST_CELL_PX = 64
#: The network sees pictures of at most so many pixels a side, larger ones in blocks that share so many: it takes 2.7 kB
#: a pixel, which were 5.6 GB for a whole frame of 1920x1080.
_BLOCK_PX, _SHARED_PX = 320, 72


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open ranges of rows and columns in pixels."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.bottom - self.top, self.right - self.left

    def of(self, picture: Tensor) -> Tensor:
        """This part of ``[N, C, H, W]``, not copied."""
        return picture[..., self.top : self.bottom, self.left : self.right]

    def grown(self, rows: int, columns: int, size: tuple[int, int]) -> Window:
        """With so many more rows and columns on each side, within a picture of ``size``."""
        return Window(
            max(0, self.top - rows),
            min(size[0], self.bottom + rows),
            max(0, self.left - columns),
            min(size[1], self.right + columns),
        )

    def scaled(self, low: tuple[int, int], high: tuple[int, int]) -> Window:
        """The same place of a picture of size ``high`` where this is one of size ``low``; edges must fall on pixels."""
        return Window(
            self.top * high[0] // low[0],
            self.bottom * high[0] // low[0],
            self.left * high[1] // low[1],
            self.right * high[1] // low[1],
        )

    def within(self, outer: Window) -> Window:
        """The same place, counted from the corner of ``outer``."""
        return Window(self.top - outer.top, self.bottom - outer.top, self.left - outer.left, self.right - outer.left)

    def meets(self, other: Window) -> bool:
        """Whether the two share a pixel."""
        return (
            self.top < other.bottom and other.top < self.bottom and self.left < other.right and other.left < self.right
        )


class Faithful:
    """The faithful network, plain PyTorch in fp32. Memory is bounded, but for the result itself.

    Raises:
        ModelError: its weights are missing.
        CheckpointError: they are not the ones that vidsr ships; a job refers to them by name alone.
    """

    def __init__(self, device: torch.device) -> None:
        model = zoo.load_model(zoo.FAITHFUL_MODEL)
        if model.sha256 != zoo.ZOO[zoo.FAITHFUL_MODEL].sha256:
            raise CheckpointError(f"{model.path}: these are not the weights of {zoo.FAITHFUL_MODEL}; remove the file")
        self._network: nn.Module = model.network.to(device)

    def __call__(self, picture: Tensor, size: tuple[int, int]) -> Tensor:
        """``picture`` ``[1, 3, h, w]`` enlarged to ``size`` (rows, columns), not clamped."""
        out = self._in_blocks(picture)
        rows, columns = out.shape[-2:]
        # One direction after the other: a result may be wider than the network makes it and less high.
        if size[0] < rows or size[1] < columns:
            out = area_down(out, (min(size[0], rows), min(size[1], columns)))
        return out if tuple(out.shape[-2:]) == size else cubic_up(out, size)

    def _in_blocks(self, picture: Tensor) -> Tensor:
        """``picture`` as the network enlarges it; where it is large, of blocks that overlap and fade into each other.

        The grid of the network's attention lies differently in each block, so that two of them differ a little.
        """
        whole = Window(0, picture.shape[-2], 0, picture.shape[-1])
        if max(whole.size) <= _BLOCK_PX:
            return self._enlarged(picture)
        made: Tensor | None = None
        for top, bottom, down in _pieces(whole.bottom):
            for left, right, across in _pieces(whole.right):
                part = Window(top, bottom, left, right)
                out = self._enlarged(part.of(picture))
                scale = out.shape[-1] // (right - left)
                weight = down.repeat_interleave(scale)[:, None] * across.repeat_interleave(scale)
                if made is None:
                    made = out.new_zeros((*out.shape[:2], whole.bottom * scale, whole.right * scale))
                place = part.scaled((1, 1), (scale, scale))
                place.of(made).add_(out * weight.to(out))
        assert made is not None
        return made

    def _enlarged(self, picture: Tensor) -> Tensor:
        out: Tensor = self._network(picture)
        return out


def _pieces(length: int) -> Iterator[tuple[int, int, Tensor]]:
    """(first, end, weight of each pixel) of pieces of at most :data:`_BLOCK_PX` that cover ``length`` pixels.

    Neighbours share :data:`_SHARED_PX`; the outer thirds have no weight, which goes over from one to the other in the
    middle third, so that weights add up to 1.
    """
    step, third = _BLOCK_PX - _SHARED_PX, _SHARED_PX // 3
    rise = (torch.arange(third) + 0.5) / third
    for first in range(0, max(1, length - _SHARED_PX), step):
        end = min(length, first + _BLOCK_PX)
        weight = torch.ones(end - first)
        if first:
            weight[:third], weight[third : 2 * third] = 0, rise
        if end < length:
            weight[-third:], weight[-2 * third : -third] = 0, rise.flip(0)
        yield first, end, weight


def mixed(source: Tensor, out: Tensor, mask: Tensor, faithful: Faithful, *, neutral: bool = False) -> Tensor:
    """``out`` with as much of the faithful result as ``mask`` says; where that is 0 it stays what it is, bit for bit.

    Args:
        source: ``[1, 3, h, w]``, RGB in 0..1.
        out: ``[1, 3, H, W]``, not clamped.
        mask: ``[1, 1, h, w]``, 0 to 1.
        neutral: the three channels of the faithful result are made equal.
    """
    low, high = (source.shape[-2], source.shape[-1]), (out.shape[-2], out.shape[-1])
    cell = tuple(_cell(small, large) for small, large in zip(low, high, strict=True))
    made = out.clone()
    for inner in windows(mask, (cell[0], cell[1])):
        outer = inner.grown(cell[0], cell[1], low)
        large = outer.scaled(low, high)
        cut, place = inner.scaled(low, high).within(large), inner.scaled(low, high)
        supported = cut.of(faithful(outer.of(source), large.size))
        if neutral:
            supported = supported.mean(1, keepdim=True).expand(-1, 3, -1, -1)
        share = cut.of(F.interpolate(outer.of(mask), size=large.size, mode="bilinear", align_corners=False))
        place.of(made).copy_(torch.where(share > 0, torch.lerp(place.of(out), supported, share), place.of(out)))
    return made


def _cell(low: int, high: int) -> int:
    """The side of a cell in source pixels: its edges fall on whole pixels of source and result alike."""
    step = low // math.gcd(low, high)
    side = step * -(-_CELL_PX // step)
    return side if side <= _LONGEST_CELL_PX else low


def windows(mask: Tensor, cell: tuple[int, int]) -> list[Window]:
    """Separate windows of whole cells around everything where ``mask`` ``[1, 1, h, w]`` is above 0."""
    rows, columns = mask.shape[-2:]
    around = F.max_pool2d(mask, 3, 1, 1)  # enlarging spreads the mask by half a pixel
    cells = F.max_pool2d(F.pad(around, (0, -columns % cell[1], 0, -rows % cell[0])), cell)
    windows = [
        Window(
            one.top * cell[0],
            min(rows, one.bottom * cell[0]),
            one.left * cell[1],
            min(columns, one.right * cell[1]),
        )
        for one in _groups({(row, column) for row, column in torch.nonzero(cells[0, 0] > 0).tolist()})
    ]
    return _merged(windows)


def _groups(cells: set[tuple[int, int]]) -> Iterator[Window]:
    """The window of each group of (row, column) that touch, also by a corner."""
    left = set(cells)
    while left:
        group, edge = set[tuple[int, int]](), [min(left)]
        while edge:
            row, column = edge.pop()
            if (row, column) in left:
                left.discard((row, column))
                group.add((row, column))
                edge += [(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
        rows, columns = [row for row, _ in group], [column for _, column in group]
        yield Window(min(rows), max(rows) + 1, min(columns), max(columns) + 1)


def _merged(windows: Sequence[Window]) -> list[Window]:
    """Windows that overlap as one, in order from the top."""
    kept: list[Window] = []
    for one in windows:
        new = one
        while (other := next((k for k in kept if k.meets(new)), None)) is not None:
            kept.remove(other)
            new = Window(
                min(new.top, other.top),
                max(new.bottom, other.bottom),
                min(new.left, other.left),
                max(new.right, other.right),
            )
        kept.append(new)
    return sorted(kept, key=lambda window: (window.top, window.left))
