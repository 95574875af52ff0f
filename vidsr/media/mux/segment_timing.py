"""Timestamps of encoded packets: from a segment's own counting to the source's true pts, with dts to match."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vidsr.media.index import VideoIndex


@dataclass(frozen=True, slots=True)
class PacketTime:
    """pts, dts and duration of one packet, in units of the source's video time base."""

    pts: int
    dts: int
    duration: int


def retime(segments: Sequence[Sequence[int]], index: VideoIndex) -> Iterator[PacketTime]:
    """The true times of all packets, in the order they lie in the segments.

    ``segments`` holds for each segment the pts of its packets, in file (decoding) order, on any timeline that
    sorts as the frames are shown. dts follow from the pts sequence delayed by the deepest reordering of any
    segment, so that they are strictly increasing across joins and never later than the pts.
    """
    depth = max((k - rank for segment in segments for k, rank in enumerate(_ranks(segment))), default=0)
    pts = index.pts
    step = index.durations[0]
    first = 0
    for segment in segments:
        for k, rank in enumerate(_ranks(segment)):
            number, order = first + rank, first + k
            dts = pts[order - depth] if order >= depth else pts[0] - (depth - order) * step
            yield PacketTime(pts[number], dts, index.durations[number])
        first += len(segment)


def _ranks(segment: Sequence[int]) -> list[int]:
    """The place of each packet in display order."""
    place = {pts: rank for rank, pts in enumerate(sorted(segment))}
    return [place[pts] for pts in segment]
