"""What was found of the faults of video tape."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from vidsr.filters.detect.fault_places import FaultPlace
from vidsr.filters.tape.halos import Ringing

System = Literal["ntsc", "pal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TapeFindings:
    """Faults of video tape in the frames looked at.

    Attributes:
        dropouts: times, in seconds, of the frames that hold dropouts; empty if there are only a few.
        searched: how many frames were searched for them.
        head_switching: rows of the displaced band at the bottom; 0 if there is none.
        chroma_delay: how far colour lies to the right of luma, in luma pixels; 0 if that is not clear.
        colour_band: bandwidth of colour that smears it along the lines, MHz for 720 samples a line at 13.5 MHz; 0 if
            that is not clear.
        ringing: the frequencies that halos beside edges show to be raised; None if there are none for certain.
        wobble: the stretches in which lines are displaced one by one, with the RMS of that in px.
        dot_crawl, rainbows: the colour system whose residue luma, or colour, holds; None if there is none.
    """

    dropouts: tuple[Fraction, ...] = ()
    searched: int = 0
    head_switching: int = 0
    chroma_delay: float = 0.0
    colour_band: float = 0.0
    ringing: Ringing | None = None
    wobble: tuple[FaultPlace, ...] = ()
    dot_crawl: System | None = None
    rainbows: System | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "dropouts": [round(float(at), 3) for at in self.dropouts],
            "searched": self.searched,
            "head_switching": self.head_switching,
            "chroma_delay": round(self.chroma_delay, 2),
            "colour_band": self.colour_band,
            "wobble": [place.to_json() for place in self.wobble],
            "dot_crawl": self.dot_crawl,
            "rainbows": self.rainbows,
            "ringing": None if self.ringing is None else dataclasses.asdict(self.ringing),
        }
