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
    from vidsr.filters.film.speck_measures import RegionValues
    from vidsr.filters.film.specks import Regions, SeenAround

DEFAULT_THRESHOLD = 18.0
#: The neighbours agree with each other if they differ by less than this share of what this frame is beyond them.
_AGREE = 0.6
#: Pixels belong to a fault from this share of the threshold on; somewhere it must exceed this one.
_LOW, _PEAK = 0.5, 0.75
#: Pixels around a fault in which it has soft edges.
_RIM_PX = 2
#: Least difference that counts as such an edge: in 8-bit code values, and as a multiple of the picture's usual one.
_EDGE, _EDGE_OF_GRAIN = 1.5, 1.5


class Dust:
    """Takes out what only one frame has: dust, hairs, sparkle, single-frame scratches.

    A pixel is suspicious where the frames before and after, carried onto this one, agree with each other and this one
    lies beyond both (Storey's detector, SMPTE J. 94, 1985, along the motion). Connected regions of such pixels are
    judged as a whole (:mod:`vidsr.filters.film.speck_measures`), with the frames two away as witnesses; specks get the
    mean of both neighbours, soft edges included.

    Its confidence in a repair is 1 less the share of what this frame is beyond by which the neighbours disagree.

    Args:
        threshold: how far beyond, in 8-bit code values.
    """

    name = "dust"
    lookaround = (2, 2)

    def __init__(self, threshold: float = DEFAULT_THRESHOLD) -> None:
        self.threshold = threshold
        self.least_confidence = 0.0

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        from vidsr.filters.before.motion import Planes

        return windowed(map(Planes, frames), 2, 2, self._clean)

    def _clean(self, window: Sequence[Planes], at: int) -> Frame:
        import torch

        with torch.inference_mode():
            return self._repaired(window, at)

    def _repaired(self, window: Sequence[Planes], at: int) -> Frame:
        from vidsr.filters.before.motion import carried, followed

        if at == 0 or at + 1 == len(window):
            return window[at].frame
        before, after = (carried(window[at], window[at + n], followed(window, at, n)) for n in (-1, 1))
        seen = _neighbours(window, at, before[0], after[0])
        specks = self._specks(seen)
        if specks is None or not specks.count:
            return window[at].frame
        return _without(window[at], specks, seen, before, after)

    def _specks(self, seen: SeenAround) -> Regions | None:
        from vidsr.filters.film.speck_network import are_specks

        suspects = self._suspects(seen)
        return None if suspects is None else suspects[0].of(are_specks(suspects[1], self.threshold))

    def _suspects(self, seen: SeenAround) -> tuple[Regions, RegionValues] | None:
        """The regions that may be specks, and their measures; None if there are none."""
        from vidsr.filters.film.speck_measures import measures, stand_out
        from vidsr.filters.film.specks import regions_of

        limit, agree = self.threshold / 255, min(_AGREE, 1 - self.least_confidence)
        near, found = _faults(seen.own, seen.before, seen.after, _LOW * limit, agree)
        if not found:
            return None
        regions = regions_of(near, seen, _LOW * limit, agree, _PEAK * limit)
        regions = regions.of(stand_out(regions, seen))
        return (regions, measures(regions, near, seen)) if regions.count else None


def _neighbours(window: Sequence[Planes], at: int, before: Tensor, after: Tensor) -> SeenAround:
    """The lumas around ``window[at]``; the frames two away only if there are such frames."""
    from vidsr.filters.before.motion import followed
    from vidsr.filters.film.specks import SeenAround

    far = [
        (followed(window, at, step), followed(window, at + step, step), window[at + 2 * step][0])
        for step in (-1, 1)
        if 0 <= at + 2 * step < len(window)
    ]
    flows = [(followed(window, at, step), followed(window, at + step, -step)) for step in (-1, 1)]
    return SeenAround(own=window[at][0], before=before, after=after, flows=flows, far=far)


def _without(now: Planes, specks: Regions, seen: SeenAround, before: list[Tensor], after: list[Tensor]) -> Frame:
    """The frame with the mean of its neighbours, plane by plane, in place of the specks."""
    import torch

    from vidsr.filters.before.motion import plane_of
    from vidsr.filters.film.specks import cover
    from vidsr.filters.resample import area_down

    usual = float((seen.own - (seen.before + seen.after) / 2).abs()[..., ::3, ::3].median())
    mask = cover(specks, seen, _RIM_PX, max(_EDGE / 255, _EDGE_OF_GRAIN * usual))
    planes = []
    for number in range(len(now.frame.planes)):
        own = now[number]
        share = mask if mask.shape == own.shape else area_down(mask, (own.shape[-2], own.shape[-1]))
        mean = (before[number] + after[number]) / 2
        planes.append(plane_of(torch.lerp(own, mean, share), now.frame))
    return with_planes(now.frame, planes)


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
