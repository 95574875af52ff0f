"""A made-up filter, written as a new filter of vidsr would be: its class and its descriptor in one file."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vidsr.filters.before.descriptor import FilterDescriptor, StillForm, parse_share, write_number
from vidsr.filters.before.filter import quantised, with_planes
from vidsr.frames import Frame


class Negative:
    """Turns the lightness round, up to ``share`` (0 to 1)."""

    name = "negative"
    lookaround = (0, 0)

    def __init__(self, share: float = 1.0) -> None:
        self.share = share

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            luma = frame.planes[0].astype(np.float32)
            turned = luma + self.share * (frame.format.max_code - 2 * luma)
            yield with_planes(frame, [quantised(turned, frame), *frame.planes[1:]])


FILTER: FilterDescriptor[float] = FilterDescriptor(
    name="negative",
    help="turns the lightness round",
    syntax="0..1",
    parse=parse_share,
    write=write_number,
    make=lambda share: Negative(share or 1.0),
    recommended=lambda found: found.grey,
    still=StillForm(
        apply=lambda picture, share, _: picture + (share or 1.0) * (1 - 2 * picture), recommended=lambda seen: seen.grey
    ),
)
