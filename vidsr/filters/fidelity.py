"""Fidelity: the result, scaled down again, is the source. Back-projection (Irani and Peleg 1991), twice.

What the network changed at the source's own resolution (contrast, texture it took for noise, invented structure) is
measured as the source minus the result averaged down, and added back, enlarged. That is right where the source is
right. A source that was damaged (compression, noise) should not be followed all the way: "auto" measures how far.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vidsr.filters.flow import luma
from vidsr.filters.noise import dct_basis
from vidsr.filters.resample import area_down, cubic_up
from vidsr.frames import Frame

ROUNDS = 2
#: Ratio of fine to middling DCT power up to which a source is not followed at all, and from which it is followed all
#: the way; see docs/restoration.md for where these come from.
DAMAGED = 0.007
INTACT = 0.02
#: Noise (8-bit code values) at which "auto" has fallen to one half.
HALF_AT_NOISE = 5.0


class Fidelity:
    """Pulls the result towards the source at the source's own resolution.

    Args:
        amount: 0 (off) to 1 (exact), or None: measured for each frame by :func:`trust`.
    """

    warmup = 0

    def __init__(self, amount: float | None = None) -> None:
        self.amount = amount

    def __call__(self, source: Tensor, out: Tensor, frames: Sequence[Frame]) -> Tensor:
        low, size = (source.shape[-2], source.shape[-1]), (out.shape[-2], out.shape[-1])
        if size[0] <= low[0] or size[1] <= low[1]:
            return out  # nothing is finer than the source here
        amount = trust(source) if self.amount is None else source.new_full((source.shape[0],), self.amount)
        amount = amount.view(-1, 1, 1, 1)
        for _ in range(ROUNDS):
            out = out + cubic_up((source - area_down(out, low)) * amount, size)
        return out

    def reset(self) -> None:
        """Nothing is kept between frames."""


def trust(source: Tensor) -> Tensor:
    """How far each of ``[N, 3, h, w]`` can be taken at its word: 0 to 1, ``[N]``.

    Lossy codecs spend their bits on coarse structure: what they leave of the finest eighth of the 8×8 DCT, against
    the middle, falls by an order of magnitude long before blocks show. Noise does the opposite; it shows as an even
    floor under all blocks.
    """
    n, _, height, width = source.shape
    rows, columns = height // 8, width // 8
    if rows < 4 or columns < 4:
        return source.new_ones(n)
    blocks = luma(source)[:, 0, : rows * 8, : columns * 8] * 255
    blocks = blocks.unfold(1, 8, 8).unfold(2, 8, 8).reshape(n, rows * columns, 8, 8)
    basis = dct_basis(source)
    power = (basis @ blocks @ basis.T) ** 2
    order = torch.arange(8, device=source.device)
    order = order[:, None] + order[None]
    middle = power[..., (order >= 2) & (order < 5)].mean(-1)
    fine = power[..., order > 10].mean(-1)
    busy = middle >= middle.median(1, keepdim=True).values
    ratio = torch.where(busy, fine / (middle + 0.25), torch.nan).nanmedian(1).values
    intact = ((ratio - DAMAGED) / (INTACT - DAMAGED)).clamp(0, 1)
    floor = power[..., order >= 10].mean(-1).sqrt().sort(1).values
    lowest, low = (floor[:, int(share * (floor.shape[1] - 1))] for share in (0.02, 0.2))
    even = ((1.6 - low / (lowest + 0.05)) / 0.3).clamp(0, 1)
    return intact / (1 + (even * lowest / HALF_AT_NOISE) ** 2)
