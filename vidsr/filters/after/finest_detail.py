"""The finest detail of a mixture of several frames, where it does not follow the motion.

Finest is what lies above twice the source's Nyquist frequency. Where the source bears it out, it follows the motion,
and a mixture shows it best. Where the single-frame network invents it anew in each frame, as in leaves and grass finer
than a source pixel, a mixture averages it away and looks smeared. Which of the two holds is measured without the truth,
by its correlation with that of the neighbouring frames, carried along the motion. In the latter case the mixture takes
more of the frame's own, and is brought to its power. See docs/decisions/120-detail-that-follows-the-motion.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vidsr.filters.flow import luma
from vidsr.filters.resample import area_down, cubic_up

#: Correlation as of :func:`steadiness` from which on a mixture stays as it is, and up to which it is restored in full.
STEADY = (0.5, 0.42)
#: How much of the finest detail is then the frame's own.
OWN = 0.6
#: The most that it is amplified by.
MOST = 3.0
#: Power below which there is none.
_NOTHING = 1e-6


def finest(picture: Tensor, source: tuple[int, int]) -> Tensor:
    """What of ``picture`` ``[N, C, H, W]`` lies above twice the Nyquist frequency of a source of this size (rows,
    columns); nothing where the picture is no more than twice as large."""
    size = (picture.shape[-2], picture.shape[-1])
    coarse = (min(size[0], 2 * source[0]), min(size[1], 2 * source[1]))
    return picture - cubic_up(area_down(picture, coarse), size)


def restored(
    mixed: Tensor, result: Tensor, carried: Sequence[tuple[Tensor, Tensor]], source: tuple[int, int]
) -> tuple[Tensor, float]:
    """A mixture ``[1, 3, H, W]`` with the finest detail that it should have, and how far it was restored, 0 to 1.

    It stays as it is, bit for bit, where finest detail follows the motion, and where there is none, as the result is no
    more than twice as large as the source.

    Args:
        mixed: the mixture.
        result: what the single-frame network drew of the frame, of the same shape.
        carried: as of :func:`steadiness`, and so is ``source``.
    """
    if result.shape[-2] <= 2 * source[0] and result.shape[-1] <= 2 * source[1]:
        return mixed, 0.0
    steady, unsteady = STEADY
    share = min(1.0, max(0.0, (steadiness(result, carried, source) - steady) / (unsteady - steady)))
    if not share:
        return mixed, 0.0
    own, kept = finest(result, source), finest(mixed, source)
    made = torch.lerp(kept, own, OWN)
    gain = min(MOST, max(1.0, ((_sum(own**2) + _NOTHING) / (_sum(made**2) + _NOTHING)) ** 0.5))
    return mixed + share * (gain * made - kept), share


def steadiness(result: Tensor, carried: Sequence[tuple[Tensor, Tensor]], source: tuple[int, int]) -> float:
    """Correlation of the finest detail of ``result`` with that of its neighbours, carried along the motion.

    Args:
        result: ``[1, 3, H, W]``.
        carried: of each neighbour how well it fits, ``[1, 1, H, W]``, 0 to 1, and the picture ``[1, 3, H, W]``.
        source: its size (rows, columns).

    Returns:
        The mean over the neighbours, -1 to 1; 0 without neighbours or finest detail.
    """
    own = finest(luma(result), source)
    total = 0.0
    for fit, picture in carried:
        other = finest(luma(picture), source)
        powers = _sum(fit * own**2) * _sum(fit * other**2)
        total += _sum(fit * own * other) / (powers**0.5 + _NOTHING)
    return total / max(1, len(carried))


def _sum(values: Tensor) -> float:
    """Their sum, by rows first, so that it is the same for any number of threads."""
    return float(values.sum(-1).cpu().to(torch.float64).sum())
