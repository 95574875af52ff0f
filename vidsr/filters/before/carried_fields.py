"""The moments of single fields as whole frames, their missing lines carried along the motion from the fields around.

Each moment is first made whole by :func:`~vidsr.filters.before.field_interpolation.bob`. The moments before and after,
whose fields hold the missing lines, are carried onto it along the motion between the three. What a missing sample
becomes is a sum of candidates (both neighbours in place and carried, the carried ones corrected by what they lack of
the field's own lines, interpolation within the field), weighted by a small network that sees how well the neighbours
fit the lines that are known. Where nothing changes the fields are woven as they are.

Where things move by an odd number of lines between two fields the neighbours hold nothing new, for their lines then
fall on lines that are known; the network is given how far that is so, and where nothing is new it is not asked.

The network, its training and what it gains are in docs/decisions/072-fields-along-the-motion.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.filters.before.field_interpolation import bob
from vidsr.filters.before.filter import with_planes
from vidsr.filters.before.motion import plane_of, unit
from vidsr.filters.flow import halved, pyramid, pyramid_flow, resize_flow, warp
from vidsr.frames import Frame, Plane
from vidsr.native import carried_kernels

_WEIGHTS = Path(__file__).with_name("carried_fields.safetensors")
#: Shorter sides than this have no motion to be measured.
_SMALLEST_PX = 8
#: Shorter sides than this have their motion measured at full size only.
_LARGE_PX = 240
#: Fits at half the size, and at full size after them.
_HALF_STEPS, _FULL_STEPS = 3, 1
#: Of the code values: changes up to this are rounding.
_ROUNDING = 0.5
#: Full scale in units of the network's features, and the largest that it sees.
_GAIN, _LARGEST = 16.0, 4.0
_LEAK = 0.1
#: Phases from -1/8 on by 1/20 leave the choice to the network; below, neighbours hold nothing new: the lines are moved
#: towards interpolation within the field by this share.
_FRESH, _WITHIN = 20.0, 0.7

#: A frame by its number; None beyond the ends.
FrameAt = Callable[[int], Frame | None]


class WholeMoment:
    """A moment made whole from its own frame's neighbours, and what motion is measured with."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.planes = [unit(frame, number) for number in range(len(frame.planes))]
        self.pyramid = pyramid(self.planes[0])
        self.half = pyramid(halved(self.planes[0])) if min(self.planes[0].shape[-2:]) >= _LARGE_PX else ()


class Moments:
    """The moments of the fields of a video, as whole frames.

    Args:
        order: "tff" or "bff".
    """

    def __init__(self, order: str) -> None:
        self._order = order
        self._made: dict[int, WholeMoment] = {}

    def whole(self, number: int, frame_at: FrameAt, *, first: bool) -> Frame:
        """The moment of one field of frame ``number``: of its first field or its second in the field order.

        ``frame_at`` must give the frames up to :data:`REACH` before and after ``number``, as far as there are any.
        Numbers may only grow from call to call.
        """
        at = 2 * number + (not first)
        for old in [made for made in self._made if made < at - 1]:
            del self._made[old]
        now = self._moment(at, frame_at)
        assert now is not None, "the frame itself is always there"
        before, after = self._moment(at - 1, frame_at), self._moment(at + 1, frame_at)
        around = before or after, after or before
        if min(now.planes[0].shape[-2:]) < _SMALLEST_PX or around[0] is None or around[1] is None:
            return now.frame
        kept = 0 if (self._order == "tff") == first else 1
        return with_planes(now.frame, _planes(now, around[0], around[1], 1 - kept))

    def _moment(self, at: int, frame_at: FrameAt) -> WholeMoment | None:
        if at not in self._made:
            number, second = divmod(at, 2)
            frame = frame_at(number)
            if frame is None:
                return None
            before, after = frame_at(number - 1) or frame, frame_at(number + 1) or frame
            self._made[at] = WholeMoment(bob(before, frame, after, first=not second, order=self._order))
        return self._made[at]


def _planes(now: WholeMoment, before: WholeMoment, after: WholeMoment, parity: int) -> list[Plane]:
    with torch.inference_mode():
        flows = [motion(now, other) for other in (before, after)]
        planes = []
        for number, plane in enumerate(now.planes):
            size = (plane.shape[-2], plane.shape[-1])
            others = [before.planes[number], after.planes[number]]
            sized = [flow if flow.shape[-2:] == size else resize_flow(flow, size) for flow in flows]
            moved = [warp(other, flow) for other, flow in zip(others, sized, strict=True)]
            still = _ROUNDING / now.frame.format.max_code
            phases = [phase(flow, parity) for flow in sized]
            lines = missing_lines([plane, *others, *moved], phases, parity=parity, still=still)
            made = now.frame.planes[number].copy()
            made[parity::2] = plane_of(lines, now.frame)
            planes.append(made)
        return planes


def motion(now: WholeMoment, other: WholeMoment) -> Tensor:
    """Where each pixel of ``now`` is in ``other``: large pictures from half the size on, then once at full size."""
    if not now.half:
        return pyramid_flow(now.pyramid, other.pyramid)
    size = (now.planes[0].shape[-2], now.planes[0].shape[-1])
    coarse = resize_flow(pyramid_flow(now.half, other.half, steps=_HALF_STEPS), size)
    return pyramid_flow(now.pyramid[:1], other.pyramid[:1], steps=_FULL_STEPS, begin=coarse)


def phase(flow: Tensor, parity: int) -> Tensor:
    """How far the missing lines lie on lines of the other field, not between them, once moved: 1/8 on, -1/8 between."""
    return torch.cos(math.pi * flow[:, 1:, parity::2]) / 8


def missing_lines(pictures: list[Tensor], phases: list[Tensor], *, parity: int, still: float) -> Tensor:
    """The missing lines of a moment, ``[1, 1, lines, W]`` float32, 0 to 1.

    Args:
        pictures: the moment made whole, those before and after it, these two carried onto it; ``[1, 1, H, W]``.
        phases: of the carried ones, ``[1, 1, lines, W]``: 1/8 where a missing line was carried from a line of the other
            field, -1/8 where it comes from between two of them, and so was itself made.
        parity: which lines are missing: 0 the even ones, 1 the odd ones.
        still: where neighbours differ from each other and from the moment's own lines by no more than this, the lines
            stay as they are.
    """
    weights = _weights()
    made = carried_kernels.missing_lines([*pictures, *phases], weights, parity=parity, still=still)
    if made is not None:
        return made
    base, seen = features(pictures, phases, parity)
    fresh = ((torch.maximum(*phases) + 1 / 8) * _FRESH).clamp(0, 1)
    sums = fresh * chosen(gates_of(seen, weights), seen) + (1 - fresh) * (_WITHIN * seen[:, 6:7])
    before, after = (lines_of(picture, parity, 0) for picture in pictures[1:3])
    change = torch.maximum(seen[:, 15:19].abs().amax(1, keepdim=True), (before - after).abs())
    return torch.where(change <= still, base, base + sums).clamp(0, 1)


def features(pictures: list[Tensor], phases: list[Tensor], parity: int) -> tuple[Tensor, Tensor]:
    """The lines of the moment made whole, ``[1, 1, lines, W]``, and what the candidates are chosen by.

    That is ``[1, 21, lines, W]``: seven candidates and four lines of the field less those lines, the neighbours'
    differences to the lines above and below, and the phases.
    """
    now, before, after, moved_before, moved_after = pictures
    base = lines_of(now, parity, 0)
    own = [lines_of(now, parity, offset) for offset in (-3, -1, 1, 3)]
    differences = [
        lines_of(other, parity, offset) - own[1 if offset < 0 else 2]
        for other in (moved_before, moved_after, before, after)
        for offset in (-1, 1)
    ]
    carried = [lines_of(other, parity, 0) for other in (moved_before, moved_after)]
    corrected = [c - (differences[2 * k] + differences[2 * k + 1]) * 0.5 for k, c in enumerate(carried)]
    within = (9 * (own[1] + own[2]) - (own[0] + own[3])) / 16
    candidates = [*carried, lines_of(before, parity, 0), lines_of(after, parity, 0), *corrected, within]
    return base, torch.cat([*(c - base for c in candidates), *(o - base for o in own), *differences, *phases], 1)


def chosen(gates: Tensor, seen: Tensor) -> Tensor:
    """What the candidates, weighted by ``gates`` ``[N, 8, lines, W]``, add to the lines, ``[N, 1, lines, W]``."""
    count = gates.shape[1] - 1
    return (gates[:, :count] * seen[:, :count]).sum(1, keepdim=True) + gates[:, count:] / _GAIN


def gates_of(seen: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    """Weights of the seven candidates, and what is added to their sum: ``[N, 8, lines, W]``."""
    scaled = seen * _GAIN
    values = torch.cat([scaled.clamp(-_LARGEST, _LARGEST), scaled.abs().clamp(max=_LARGEST)], 1)
    values = F.leaky_relu(_layer(values, weights["first"], weights["first_bias"]), _LEAK)
    window = weights["window"].view(-1, 1, 3, 3)
    values = F.conv2d(F.pad(values, (1, 1, 1, 1), mode="replicate"), window, groups=len(window))
    values = F.leaky_relu(_layer(values, weights["second"], weights["second_bias"]), _LEAK)
    return _layer(values, weights["gates"], weights["gates_bias"])


def _layer(values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.conv2d(values, weight.t()[:, :, None, None], bias)


def lines_of(picture: Tensor, parity: int, offset: int) -> Tensor:
    """The lines ``offset`` below those of ``parity``; beyond the edges the nearest of the same field."""
    last = picture.shape[-2] - 1
    rows = torch.arange(parity, last + 1, 2) + offset
    rows = torch.where(rows < 0, rows % 2, rows)
    return picture[:, :, torch.where(rows > last, last - (rows - last) % 2, rows)]


@lru_cache(maxsize=1)
def _weights() -> dict[str, Tensor]:
    from safetensors.torch import load_file

    with torch.inference_mode(False):
        return {name: tensor.contiguous() for name, tensor in load_file(_WEIGHTS).items()}
