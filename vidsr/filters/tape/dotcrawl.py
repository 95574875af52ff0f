"""Dot crawl of composite video: colour that was taken for luma, cancelled between frames of opposite phase."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from vidsr.filters.before.descriptor import FilterDescriptor
from vidsr.filters.before.filter import windowed, with_planes
from vidsr.filters.detect.inspection import Inspection
from vidsr.frames import Frame

if TYPE_CHECKING:
    from vidsr.filters.detect.tape_findings import System
    from vidsr.filters.tape.subcarrier import CompositeFrame

#: The colour system where none is given.
DEFAULT: System = "ntsc"


class CrosstalkFilter:
    """Takes out what alternates with the subcarrier, where the picture stands still.

    What is not found by :mod:`vidsr.filters.tape.subcarrier` stays bit for bit; so do the first and the last frames.

    Args:
        system: "ntsc" or "pal".
    """

    name: str

    def __init__(self, system: System) -> None:
        self.system = system
        distance = frames_apart(system)
        self.lookaround = (distance, distance)

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        return opposed(frames, self.lookaround[0], self.cleaned)

    def cleaned(self, around: Sequence[CompositeFrame]) -> Frame:
        """The middle frame without the residue; the first and the last have the subcarrier upside down."""
        raise NotImplementedError


class DotCrawl(CrosstalkFilter):
    """The residue of colour in luma."""

    name = "dotcrawl"

    def cleaned(self, around: Sequence[CompositeFrame]) -> Frame:
        """See :class:`CrosstalkFilter`."""
        from vidsr.filters.tape import subcarrier

        before, now, after = around[0], around[len(around) // 2], around[-1]
        still = subcarrier.stillness(before, after)
        residue = subcarrier.in_luma(before, now, after, still, self.system)
        luma = subcarrier.without(now.frame.planes[0], now.frame, residue)
        return with_planes(now.frame, (luma, *now.frame.planes[1:]))


def frames_apart(system: System) -> int:
    """Frames after which the subcarrier is upside down."""
    return 1 if system == "ntsc" else 2


def opposed(
    frames: Iterator[Frame], distance: int, clean: Callable[[Sequence[CompositeFrame]], Frame]
) -> Iterator[Frame]:
    """Call ``clean`` for each frame of luma and colour with ``distance`` before and after it; others stay."""
    import torch

    from vidsr.filters.tape.subcarrier import CompositeFrame

    def cleaned(window: Sequence[CompositeFrame], at: int) -> Frame:
        now = window[at]
        if at < distance or at + distance >= len(window) or now.frame.format.family == "rgb":
            return now.frame
        with torch.inference_mode():
            return clean([window[n] for n in range(at - distance, at + distance + 1)])

    return windowed(map(CompositeFrame, frames), distance, distance, cleaned)


def parse_system(text: str) -> Any:
    """ "ntsc" or "pal".

    Raises:
        ValueError: the text is neither.
    """
    if text not in ("ntsc", "pal"):
        raise ValueError("give the colour system of the recording, ntsc or pal")
    return text


def _find(found: Inspection) -> System | None:
    return found.tape.dot_crawl


FILTER: FilterDescriptor[Any] = FilterDescriptor(
    name="dotcrawl",
    help="takes dots that crawl along edges of colour out of what stands still",
    syntax="ntsc|pal",
    parse=parse_system,
    make=lambda system: DotCrawl(system or DEFAULT),
    find=_find,
    absent="no dot crawl was found; give the colour system, for example dotcrawl=pal",
    recommended=lambda found: found.tape.dot_crawl is not None,
    families=("yuv", "gray"),
)
