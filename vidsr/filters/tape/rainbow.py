"""Rainbows of composite video: fine luma that was taken for colour, cancelled between frames of opposite phase."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vidsr.filters.before.descriptor import FilterDescriptor
from vidsr.filters.before.filter import with_planes
from vidsr.filters.detect.inspection import Inspection
from vidsr.filters.tape.dotcrawl import DEFAULT, CrosstalkFilter, parse_system
from vidsr.frames import Frame

if TYPE_CHECKING:
    from vidsr.filters.detect.tape_findings import System
    from vidsr.filters.tape.subcarrier import CompositeFrame


class Rainbow(CrosstalkFilter):
    """The residue of luma in colour."""

    name = "rainbow"

    def cleaned(self, before: CompositeFrame, now: CompositeFrame, after: CompositeFrame) -> Frame:
        """See :class:`~vidsr.filters.tape.dotcrawl.CrosstalkFilter`."""
        from vidsr.filters.tape import subcarrier

        frame = now.frame
        if frame.format.family != "yuv":
            return frame
        found = subcarrier.in_colour(before, now, after, subcarrier.stillness(before, after))
        planes = list(frame.planes)
        for number, residue in enumerate(found, 1):
            planes[number] = subcarrier.without(planes[number], residue, frame)
        return with_planes(frame, planes)


def _find(found: Inspection) -> System | None:
    return found.tape.rainbows


FILTER: FilterDescriptor[Any] = FilterDescriptor(
    name="rainbow",
    help="takes rainbows on fine detail out of what stands still",
    syntax="ntsc|pal",
    parse=parse_system,
    make=lambda system: Rainbow(system or DEFAULT),
    find=_find,
    absent="no rainbows were found; give the colour system, for example rainbow=pal",
    recommended=lambda found: found.tape.rainbows is not None,
    families=("yuv",),
)
