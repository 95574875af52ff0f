"""Dust: what only one frame has replaced by its neighbours in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vidsr.filters.before.descriptor import FilterDescriptor, parse_positive, write_number
from vidsr.filters.before.filter import windowed, with_planes
from vidsr.frames import Frame
from vidsr.native import motion_kernels

if TYPE_CHECKING:
    from torch import Tensor

    from vidsr.filters.before.motion import Planes

DEFAULT_THRESHOLD = 18.0
#: The neighbours agree with each other if they differ by less than this share of what this frame is beyond them.
_AGREE = 0.6
#: Pixels around a fault that are replaced with it.
_RIM_PX = 2
#: Pixels around a fault in which the frame must fit its neighbours, and the most by which it may miss them, as a share
#: of what the fault is beyond them.
_AROUND_PX, _FITS = 8, 0.25
#: Somewhere in a fault the frame must lie outside of all that the neighbours show within 1 px, by this share of the
#: threshold.
_OUTSIDE = 1 / 3
#: Most that counts as grain, in 8-bit code values.
_MOST_GRAIN = 5.0


class Dust:
    """Takes out what only one frame has: dust, hairs, sparkle, single-frame scratches.

    A pixel is a fault where the frames before and after, carried onto this one, agree with each other and this one
    lies beyond both; it then gets their mean (Storey's detector, SMPTE J. 94, 1985, along the motion). Around it, the
    frame must fit its neighbours; and it must lie outside of what they show within 1 px, so that an error of the motion
    by a pixel is not taken for dust (as in the rank order detector: Nadenau and Mitra, "Blotch and scratch detection in
    image sequences based on rank ordered differences", 1997).

    Its confidence in a repair is 1 less the share of what this frame is beyond by which the neighbours disagree.

    Args:
        threshold: how far beyond, in 8-bit code values.
    """

    name = "dust"
    lookaround = (1, 1)

    def __init__(self, threshold: float = DEFAULT_THRESHOLD) -> None:
        self.threshold = threshold
        self.least_confidence = 0.0

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        from vidsr.filters.before.motion import Planes

        return windowed(map(Planes, frames), 1, 1, self._clean)

    def _clean(self, window: Sequence[Planes], at: int) -> Frame:
        import torch

        with torch.inference_mode():
            return self._repaired(window, at)

    def _repaired(self, window: Sequence[Planes], at: int) -> Frame:
        import torch

        from vidsr.filters.before.motion import carried, plane_of
        from vidsr.filters.flow import gaussian
        from vidsr.filters.resample import area_down

        now = window[at]
        frame = now.frame
        if at == 0 or at + 1 == len(window):
            return frame
        before, after = carried(now, window[at - 1]), carried(now, window[at + 1])
        fault, found = _faults(
            now[0], before[0], after[0], self.threshold / 255, min(_AGREE, 1 - self.least_confidence)
        )
        if not found:
            return frame
        fault = _isolated(fault, now[0], before[0], after[0])
        fault = _outside(fault, now[0], before[0], after[0], _OUTSIDE * self.threshold / 255)
        # A fault has a soft rim that is no longer beyond the limit.
        mask = gaussian(fault, 0.8).clamp(0, 1)
        planes = []
        for number in range(len(frame.planes)):
            own = now[number]
            share = mask if mask.shape == own.shape else area_down(mask, (own.shape[-2], own.shape[-1]))
            mean = (before[number] + after[number]) / 2
            planes.append(plane_of(torch.lerp(own, mean, share), frame))
        return with_planes(frame, planes)


def _isolated(fault: Tensor, own: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """``fault`` without what lies where the motion was not followed: around dust, the frame fits both neighbours.

    Quick limbs are beyond both neighbours too, but so is what is next to them.
    """
    import torch
    from torch.nn import functional as F

    from vidsr.filters.resample import separable

    taps = [1 / (2 * _AROUND_PX + 1)] * (2 * _AROUND_PX + 1)

    def near(values: Tensor, share: Tensor) -> Tensor:
        both = F.pad(torch.cat((values * share, share), 1), (_AROUND_PX,) * 4)
        means = separable(both, taps, taps)[..., _AROUND_PX:-_AROUND_PX, _AROUND_PX:-_AROUND_PX]
        return means[:, :1] / means[:, 1:].clamp_min(1e-6)

    apart = (own - before).abs().maximum((own - after).abs())
    # Grain is not misfit, so the usual difference of the picture is taken off, unless all of it moves.
    grain = apart[..., ::3, ::3].median().clamp(max=_MOST_GRAIN / 255)
    misfit = near(apart, 1 - fault) - grain
    strength = near((own - (before + after) / 2).abs(), fault)
    return fault * (misfit < _FITS * strength)


def _outside(fault: Tensor, own: Tensor, before: Tensor, after: Tensor, limit: float) -> Tensor:
    """``fault`` within :data:`_RIM_PX` of pixels that are brighter or darker, by more than ``limit``, than all that the
    neighbours show within 1 px."""
    highest = _highest(before.maximum(after), 1)
    lowest = -_highest(-before.minimum(after), 1)
    outside = (own - highest).maximum(lowest - own) > limit
    return fault * _highest(outside.float(), _RIM_PX)


def _highest(picture: Tensor, around: int) -> Tensor:
    """The highest value of ``[N, C, h, w]`` within ``around`` pixels each way.

    Across, then down, by whole pictures: on CPUs a tenth of the time of ``max_pool2d``.
    """
    from torch.nn import functional as F

    padded = F.pad(picture, (around,) * 4, mode="replicate")
    for side in (3, 2):
        length = picture.shape[side]
        highest = padded.narrow(side, 0, length)
        for n in range(1, 2 * around + 1):
            highest = highest.maximum(padded.narrow(side, n, length))
        padded = highest
    return padded


def _faults(own: Tensor, before: Tensor, after: Tensor, limit: float, least: float) -> tuple[Tensor, int]:
    """1 within :data:`_RIM_PX` of a fault, else 0, ``[1, 1, h, w]``; and how many pixels are faults.

    The neighbours may differ by less than the share ``least`` of what this frame is beyond them.
    """
    made = motion_kernels.faults(own, before, after, limit=limit, agree=least, around=_RIM_PX)
    if made is not None:
        return made
    agree = (before - after).abs()
    past, future = own - before, own - after
    beyond = past.abs().minimum(future.abs())
    fault = (beyond > limit) & (past * future > 0) & (agree < least * beyond)
    return _highest(fault.float(), _RIM_PX), int(fault.sum())


FILTER: FilterDescriptor[float] = FilterDescriptor(
    name="dust",
    help="replaces what appears in one frame only by its motion-compensated neighbours",
    syntax="CODES",
    parse=parse_positive,
    write=write_number,
    make=lambda threshold: Dust(threshold or DEFAULT_THRESHOLD),
)
