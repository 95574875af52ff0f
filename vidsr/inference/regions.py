"""Compute only what changed, for streams in which most of each picture equals the one before.

A result depends on the source only within the network's reach (``Architecture.reach_px``): where no pixel within it
changed, the last result still holds. This is exact, up to the order of sums, where the reach is the whole receptive
field, and an approximation, for users who ask for it, where the field is larger, as in an RRDBNet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.inference.backends.backend import Model
from vidsr.inference.batches import InferenceStats
from vidsr.models.known_architectures import architecture_of

#: Side in source pixels of the blocks that are compared.
BLOCK_PX = 16
#: The share of a frame, margins included, from which it is computed whole.
_WORTH_IT = 0.8


@dataclass(frozen=True, slots=True)
class Box:
    """Rows ``top`` to ``bottom`` and columns ``left`` to ``right``, half-open."""

    top: int
    left: int
    bottom: int
    right: int

    def grown(self, by: int, height: int, width: int) -> Box:
        """With a margin, as far as a frame of ``height`` x ``width`` has one."""
        return Box(
            max(0, self.top - by), max(0, self.left - by), min(height, self.bottom + by), min(width, self.right + by)
        )

    def joined(self, other: Box) -> Box:
        """The smallest box around both."""
        return Box(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )

    def meets(self, other: Box) -> bool:
        """Whether they share a pixel."""
        rows = self.top < other.bottom and other.top < self.bottom
        return rows and self.left < other.right and other.left < self.right

    @property
    def area(self) -> int:
        """Pixels."""
        return (self.bottom - self.top) * (self.right - self.left)

    def of(self, picture: Tensor, scale: int = 1) -> Tensor:
        """This part of ``[N, C, H, W]``, which is ``scale`` times as large."""
        rows = slice(self.top * scale, self.bottom * scale)
        return picture[..., rows, self.left * scale : self.right * scale]


class ChangedRegions:
    """``run`` over ``[N, 3, h, w]``, picture by picture, where they differ from the last result's source.

    ``threshold`` is the mean absolute difference, in 8-bit code values, up to which a block counts as unchanged. A
    block is compared with what its result was computed from, so that small changes cannot accumulate. ``tile`` cuts
    what is computed to pieces of one size, for devices that prepare for each size.
    """

    def __init__(
        self, run: Callable[[Tensor], Tensor], model: Model, stats: InferenceStats, threshold: float, tile: int | None
    ) -> None:
        self._run = run
        self._stats = stats
        self._scale = model.scale
        self._reach = architecture_of(model.network).reach_px(model.network)
        self._threshold = threshold
        self._tile = None if tile is None else max(tile, 4 * self._reach)
        self._source: Tensor | None = None
        self._out: Tensor | None = None

    def __call__(self, rgb: Tensor) -> Tensor:
        """``[N, 3, h·scale, w·scale]``; raises what ``run`` raises, and then keeps the last result."""
        results = [self._one(picture) for picture in torch.split(rgb, 1)]
        return results[0] if len(results) == 1 else torch.cat(results)

    def _one(self, now: Tensor) -> Tensor:
        if self._source is None or self._out is None or self._source.shape != now.shape:
            return self._whole(now)
        height, width = now.shape[-2:]
        pieces = [piece for box in self._changed(now, self._source) for piece in self._pieces(box, height, width)]
        given = [piece.grown(self._reach, height, width) for piece in pieces]
        share = sum(box.area for box in given) / (height * width)
        if share >= _WORTH_IT:
            return self._whole(now)
        source, out = self._source, self._out
        if pieces:
            source, out = source.clone(), out.clone()
        for piece, around in zip(pieces, given, strict=True):
            made = self._run(around.of(now).contiguous())
            place = Box(
                piece.top - around.top, piece.left - around.left, piece.bottom - around.top, piece.right - around.left
            )
            piece.of(out, self._scale).copy_(place.of(made, self._scale))
            piece.of(source).copy_(piece.of(now))
        self._stats.unchanged_frames += 1 - share
        return self._kept(source, out)

    def _whole(self, now: Tensor) -> Tensor:
        return self._kept(now, self._run(now).clone())  # a CUDA graph writes all its results to one place

    def _kept(self, source: Tensor, out: Tensor) -> Tensor:
        """Remember a result, unless it overflowed: then the next picture is computed whole."""
        finite = bool(torch.isfinite(out.sum()))
        self._source, self._out = (source, out) if finite else (None, None)
        return out

    def _changed(self, now: Tensor, before: Tensor) -> list[Box]:
        """Boxes, apart from each other, around all that can differ in the result."""
        gap = (now - before).abs().mean(1, keepdim=True)
        means = F.avg_pool2d(gap, BLOCK_PX, ceil_mode=True, count_include_pad=False)
        spread = -(-self._reach // BLOCK_PX)
        changed = (means * 255 > self._threshold).float()
        changed = F.max_pool2d(changed, (2 * spread + 1, 1), 1, (spread, 0))
        changed = F.max_pool2d(changed, (1, 2 * spread + 1), 1, (0, spread))
        height, width = now.shape[-2:]
        boxes = [
            Box(b.top * BLOCK_PX, b.left * BLOCK_PX, min(b.bottom * BLOCK_PX, height), min(b.right * BLOCK_PX, width))
            for b in islands(changed[0, 0].bool().cpu().numpy())
        ]
        return apart(boxes, self._reach)

    def _pieces(self, box: Box, height: int, width: int) -> Iterator[Box]:
        """The box itself, or squares of one size, margins included, that cover it."""
        if self._tile is None or self._tile >= min(height, width):
            yield box
            return
        step = self._tile - 2 * self._reach
        for top in range(box.top, box.bottom, step):
            for left in range(box.left, box.right, step):
                first_row = min(max(top, self._reach), height - self._reach - step)
                first_column = min(max(left, self._reach), width - self._reach - step)
                yield _to_the_edge(
                    Box(first_row, first_column, first_row + step, first_column + step), self._reach, height, width
                )


def _to_the_edge(piece: Box, reach: int, height: int, width: int) -> Box:
    """A piece whose margin ends at the frame's edge takes that margin in: nothing beyond it is missing."""
    return Box(
        0 if piece.top == reach else piece.top,
        0 if piece.left == reach else piece.left,
        height if piece.bottom == height - reach else piece.bottom,
        width if piece.right == width - reach else piece.right,
    )


def islands(blocks: npt.NDArray[np.bool_]) -> list[Box]:
    """Bounding boxes of the connected parts of a grid, in the grid's own units."""
    left_over = {(int(row), int(column)) for row, column in np.argwhere(blocks)}
    found = []
    while left_over:
        front = [left_over.pop()]
        box = Box(front[0][0], front[0][1], front[0][0] + 1, front[0][1] + 1)
        while front:
            row, column = front.pop()
            box = box.joined(Box(row, column, row + 1, column + 1))
            near = {(row + dy, column + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left_over
            left_over -= near
            front += near
        found.append(box)
    return sorted(found, key=lambda b: (b.top, b.left))


def apart(boxes: list[Box], margin: int) -> list[Box]:
    """The boxes, those joined whose margins would be computed twice."""
    done: list[Box] = []
    for box in boxes:
        merged = box
        while True:
            near = Box(merged.top - margin, merged.left - margin, merged.bottom + margin, merged.right + margin)
            touching = [other for other in done if near.meets(other)]
            if not touching:
                break
            done = [other for other in done if other not in touching]
            for other in touching:
                merged = merged.joined(other)
        done.append(merged)
    return done
