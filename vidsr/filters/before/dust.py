"""Dust: what only one frame has replaced by its neighbours in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vidsr.filters.before.descriptor import FilterDescriptor, parse_positive, write_number
from vidsr.filters.before.filter import windowed, with_planes
from vidsr.frames import Frame

DEFAULT_THRESHOLD = 18.0
#: The neighbours agree with each other if they differ by less than this share of what this frame is beyond them.
_AGREE = 0.6


class Dust:
    """Takes out what only one frame has: dust, hairs, sparkle, single-frame scratches.

    A pixel is a fault where the frames before and after, carried onto this one, agree with each other and this one
    lies beyond both; it then gets their mean (Storey's detector, SMPTE J. 94, 1985, along the motion).

    Args:
        threshold: how far beyond, in 8-bit code values.
    """

    name = "dust"
    lookaround = (1, 1)

    def __init__(self, threshold: float = DEFAULT_THRESHOLD) -> None:
        self.threshold = threshold

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        return windowed(frames, 1, 1, self._clean)

    def _clean(self, window: Sequence[Frame], at: int) -> Frame:
        import torch

        with torch.inference_mode():
            return self._repaired(window, at)

    def _repaired(self, window: Sequence[Frame], at: int) -> Frame:
        import torch
        from torch.nn import functional as F

        from vidsr.filters.before.motion import carried, plane_of, unit
        from vidsr.filters.flow import gaussian

        frame = window[at]
        if at == 0 or at + 1 == len(window):
            return frame
        before, after = carried(frame, window[at - 1]), carried(frame, window[at + 1])
        limit = self.threshold / 255
        own = unit(frame)
        agree = (before[0] - after[0]).abs()
        beyond = torch.minimum((own - before[0]).abs(), (own - after[0]).abs())
        same_side = (own - before[0]) * (own - after[0]) > 0
        fault = ((beyond > limit) & same_side & (agree < _AGREE * beyond)).float()
        # A fault has a soft rim that is no longer beyond the limit.
        mask = gaussian(F.max_pool2d(fault, 5, 1, 2), 0.8).clamp(0, 1)
        if not bool(fault.any()):
            return frame
        planes = []
        for number, plane in enumerate(frame.planes):
            size = (plane.shape[0], plane.shape[1])
            share = mask if mask.shape[-2:] == size else F.interpolate(mask, size=size, mode="area")
            mean = (before[number] + after[number]) / 2
            planes.append(plane_of(torch.lerp(unit(frame, number), mean, share), frame))
        return with_planes(frame, planes)


FILTER: FilterDescriptor[float] = FilterDescriptor(
    name="dust",
    help="replaces what appears in one frame only by its motion-compensated neighbours",
    syntax="CODES",
    parse=parse_positive,
    write=write_number,
    make=lambda threshold: Dust(threshold or DEFAULT_THRESHOLD),
)
