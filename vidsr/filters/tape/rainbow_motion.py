"""Rainbows where the picture moves: colour against its neighbours along the motion, which show other phases.

Rainbows stand in the phase of the subcarrier at their place in the frame. What moves is seen at other phases in the
frames around, so that their mean along the motion has little of them. It is used where luma has been followed, where
fine luma can be the cause, and where the neighbours do not contradict each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.filters.before.filter import with_planes
from vidsr.filters.before.motion import motion
from vidsr.filters.detect.combing import evidence
from vidsr.filters.flow import resize_flow, warp
from vidsr.filters.resample import separable
from vidsr.filters.tape.subcarrier import CompositeFrame, Residue, same

#: Weights of the neighbours on each side, from the nearest on; the frame itself has the rest.
_WEIGHTS = {1: (0.25,), 2: (0.2, 0.2)}
#: By the number of neighbours on each side, as motion over more frames is less sure: mean errors of coarse luma along
#: it, in 8-bit code values, up to which it was followed, and from which not; and the energy of the difference between
#: the outer neighbours' colour, in squared code values, that counts as none. From twice that on they contradict.
_FOLLOWED, _LOST, _APART = {1: 2.0, 2: 1.5}, {1: 6.0, 2: 4.0}, {1: 400.0, 2: 100.0}
#: Pixels of luma at the sides whose colour analogue blanking disturbs.
_EDGE_PX = 8
#: Energy of colour's changes that a rainbow may have, as a multiple of fine luma's around, and in squared code values
#: besides; it counts wholly up to there, and not at all from twice that on. Below the last there is nothing to mend.
_OF_FINE, _BESIDES, _FLOOR = 5.0, 1.0, 1.5
_DOWN, _ACROSS = [0.2] * 5, [1 / 9] * 9
#: 8-bit code values of noise that count as no combing; and how many times as much as the other one field of the next
#: frame must comb with this frame's.
_TOLERANCE, _ORDERED = 2.0, 1.3


def residues(around: Sequence[CompositeFrame], still: Tensor, found: Sequence[Residue]) -> list[Residue]:
    """What does not belong into the planes of colour of the middle frame beyond what was ``found``.

    ``still`` is that of :func:`~vidsr.filters.tape.subcarrier.colour_stillness`. The two fields of a combed frame are
    followed each by itself.
    """
    if not (still < 0.5).any():
        return []
    now = around[len(around) // 2]
    if not combed(now, around[len(around) // 2 + 1]):
        made = _along(around)
    else:
        made = [torch.zeros_like(now[number]) for number in (1, 2)]
        for parity in (0, 1):
            for whole, lines in zip(made, _along([_field(frame, parity) for frame in around]), strict=True):
                rows = whole[..., parity::2, :]
                rows[:] = lines[..., : rows.shape[-2], :]
    surely = [(1 - still) * (1 - residue.sure) for residue in found]
    return [Residue(values=wrong, sure=sure) for wrong, sure in zip(made, surely, strict=True)]


def combed(now: CompositeFrame, after: CompositeFrame) -> bool:
    """Whether the frame's fields were taken at different times, as far as this and the next frame show.

    Coarse luma is looked at: dots differ from line to line as combs do. Fine detail that pans combs as well, but with
    both fields of the next frame alike.
    """
    even = now.frame.height // 2 * 2
    first, second = (frame.coarse[0, 0, :even].numpy() for frame in (now, after))
    told = evidence(first, second, _TOLERANCE)
    combs = sorted((told.next_top, told.next_bottom))
    return told.combed > told.clean and combs[1] > _ORDERED * combs[0]


def _field(frame: CompositeFrame, parity: int) -> CompositeFrame:
    """Every second line of all planes. Of 4k + 2 lines the second field lacks a line of colour: one is repeated."""
    lines = [plane[parity::2] for plane in frame.frame.planes]
    height, width = lines[0].shape
    for number in (1, 2):
        missing = frame.frame.format.plane_shape(number, width, height)[0] - len(lines[number])
        lines[number] = np.pad(lines[number], ((0, missing), (0, 0)), mode="edge")
    return CompositeFrame(with_planes(frame.frame, lines))


def _along(around: Sequence[CompositeFrame]) -> list[Tensor]:
    """Both planes of colour less their weighted mean along the motion, as far as that holds."""
    middle = len(around) // 2
    now = around[middle]
    size = (now[1].shape[-2], now[1].shape[-1])
    good = torch.ones(1, 1, *size)
    sides: list[list[Tensor]] = []
    for other in (*around[:middle], *around[middle + 1 :]):
        flow = motion(now.units, other.units)
        error = warp(other.coarse, flow) - now.coarse
        small = resize_flow(flow, size)
        followed = same(F.adaptive_avg_pool2d(error, size).abs(), _LOST[middle], _FOLLOWED[middle])
        good = torch.minimum(good, followed * _inside(small, now.frame.width))
        sides.append([warp(other[number], small) - now[number] for number in (1, 2)])
    good = good * _plausible(now, sides)
    weights = [_WEIGHTS[middle][abs(n - middle) - 1] for n in range(len(around)) if n != middle]
    return [-good * sum(w * s[number] for w, s in zip(weights, sides, strict=True)) for number in (0, 1)]


def _inside(flow: Tensor, width: int) -> Tensor:
    """1 where ``flow`` does not lead out of the picture or to its disturbed sides, else 0."""
    rows, columns = flow.shape[-2:]
    x = torch.arange(columns) + flow[:, :1]
    y = torch.arange(rows)[:, None] + flow[:, 1:]
    edge = _EDGE_PX * columns / width
    return ((x >= edge) & (x <= columns - 1 - edge) & (y >= 0) & (y <= rows - 1)).float()


def _plausible(now: CompositeFrame, sides: Sequence[Sequence[Tensor]]) -> Tensor:
    """How far the changes of colour can be rainbows."""
    size = (now[1].shape[-2], now[1].shape[-1])
    largest = torch.stack([torch.stack([s * s for s in side]).amax(0) for side in zip(*sides, strict=True)])
    energy = torch.stack([separable(plane, _DOWN, _ACROSS) for plane in largest]).amax(0)
    fine = now[0] - now.coarse
    cause = F.adaptive_avg_pool2d(separable(fine * fine, [1 / 9] * 9, [1 / 17] * 17), size)
    caused = 2 - energy / (_OF_FINE * cause + _BESIDES)
    apart = [separable((a - b) ** 2, [1 / 3] * 3, [0.2] * 5) for a, b in zip(sides[0], sides[-1], strict=True)]
    agreed = 2 - torch.maximum(*apart) / _APART[len(sides) // 2]
    return caused.clamp(0, 1) * agreed.clamp(0, 1) * (energy / _FLOOR - 1).clamp(0, 1)
