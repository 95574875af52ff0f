"""The search for dot crawl and rainbows of composite video in stretches of a source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vidsr.filters.detect.tape_findings import System
from vidsr.filters.tape.dotcrawl import frames_apart
from vidsr.frames import Frame

#: Frames of which less than this share stands still say nothing; fewest others that are judged.
_STILL, _FRAMES = 0.1, 3
#: Share of what stands still in which something must be wrong in three of four frames: crosstalk is in all of them,
#: pulldown and codecs make what looks like it in some.
_SHARE, _OF_FRAMES = 0.02, 25
#: Columns with which 720 samples a line at 13.5 MHz can hold the subcarrier of 3.58 or 4.43 MHz.
_COLUMNS: dict[System, int] = {"ntsc": 382, "pal": 473}
#: By how many times it must exceed what the other system would explain: shares, and the subcarrier's clearness.
_CLEARLY, _CLEARER = 3.0, 2.0


class CompositeSearch:
    """Takes single frames with those around them."""

    def __init__(self) -> None:
        self._dots: dict[System, list[float]] = {"ntsc": [], "pal": []}
        self._rainbows: dict[System, list[float]] = {"ntsc": [], "pal": []}
        self._clearness: dict[System, list[float]] = {"ntsc": [], "pal": []}

    def add(self, frames: Sequence[Frame], at: int) -> None:
        """Look at frame ``at`` of consecutive ``frames``; nothing is looked at without those around
        it, in RGB, and in pictures too narrow for a subcarrier."""
        if at < 2 or at + 2 >= len(frames) or frames[at].format.family == "rgb":
            return
        import torch

        from vidsr.filters.tape import carrier, subcarrier

        around = [subcarrier.CompositeFrame(frame) for frame in frames[at - 2 : at + 3]]
        with torch.inference_mode():
            for system, columns in _COLUMNS.items():
                if frames[at].width < columns:
                    continue
                distance = frames_apart(system)
                three = around[2 - distance], around[2], around[2 + distance]
                still = subcarrier.stillness(three[0], three[2])
                area = float(still.mean())
                if area >= _STILL:
                    self._dots[system].append(subcarrier.in_luma(*three, still, system).share / area)
                if frames[at].format.family == "yuv":
                    self._clearness[system].append(carrier.clearness(*three, system))
                    if area >= _STILL:
                        found = subcarrier.in_colour(*three, subcarrier.colour_stillness(*three, still))
                        self._rainbows[system].append(max(residue.share for residue in found) / area)

    def dot_crawl(self) -> System | None:
        """The system whose residue luma holds."""
        return _system(self._dots, _SHARE, _CLEARLY)

    def rainbows(self) -> System | None:
        """The system whose subcarrier the product of colour and fine luma shows.

        Test charts show both, as what repeats in them repeats the line; then it is the one whose residue colour holds.
        """
        from vidsr.filters.tape import carrier

        seen = _system(self._clearness, carrier.CLEAR, _CLEARER)
        if seen is not None:
            return seen
        held = _system(self._rainbows, _SHARE, _CLEARLY)
        return held if held is not None and _usual(self._clearness[held]) >= carrier.CLEAR else None


def _system(found: dict[System, list[float]], least: float, times: float) -> System | None:
    ntsc, pal = map(_usual, found.values())
    if max(ntsc, pal) < least or max(ntsc, pal) < times * min(ntsc, pal):
        return None
    return "ntsc" if ntsc > pal else "pal"


def _usual(shares: Sequence[float]) -> float:
    return float(np.percentile(shares, _OF_FRAMES)) if len(shares) >= _FRAMES else 0.0
