"""Rainbows of composite video: fine luma taken for colour, cancelled between frames of different phase."""

from __future__ import annotations

from collections.abc import Sequence
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
    """The residue of luma in colour; where the picture moves, only if the frame shows the subcarrier."""

    name = "rainbow"

    def cleaned(self, around: Sequence[CompositeFrame]) -> Frame:
        """See :class:`~vidsr.filters.tape.dotcrawl.CrosstalkFilter`."""
        from vidsr.filters.tape import carrier, rainbow_motion, subcarrier

        before, now, after = around[0], around[len(around) // 2], around[-1]
        frame = now.frame
        if frame.format.family != "yuv":
            return frame
        still = subcarrier.colour_stillness(before, now, after, subcarrier.stillness(before, after))
        found = subcarrier.in_colour(before, now, after, still)
        moving: Sequence[subcarrier.Residue] = ()
        if carrier.clearness(before, now, after, self.system) >= carrier.CLEAR:
            moving = rainbow_motion.residues(around, still, found)
        planes = list(frame.planes)
        for number, residue in enumerate(found, 1):
            planes[number] = subcarrier.without(planes[number], frame, residue, *moving[number - 1 : number])
        return with_planes(frame, planes)


def _find(found: Inspection) -> System | None:
    return found.tape.rainbows


FILTER: FilterDescriptor[Any] = FilterDescriptor(
    name="rainbow",
    help="takes rainbows off fine detail, where it moves along the motion",
    syntax="ntsc|pal",
    parse=parse_system,
    make=lambda system: Rainbow(system or DEFAULT),
    find=_find,
    absent="no rainbows were found; give the colour system, for example rainbow=pal",
    recommended=lambda found: found.tape.rainbows is not None,
    families=("yuv",),
)
