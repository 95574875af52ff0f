"""What was found in a clip, and the thresholds from which a fault is worth a filter."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from vidsr.filters.detect.cadence import Cadence
from vidsr.filters.detect.fault_places import FaultPlace, FaultPlaces
from vidsr.filters.detect.film_scratches import ScratchedSpan
from vidsr.filters.detect.gate_motion import Tremble
from vidsr.filters.detect.lost_frames import LostFrames
from vidsr.filters.detect.tape_findings import TapeFindings
from vidsr.filters.film.dye_loss import Fading

#: Thresholds, in 8-bit code values or ratios, from which a fault is worth a filter.
NOISY, VERY_NOISY = 4.0, 8.0
FLICKERING = 0.7
BLOCKY = 0.6
BANDED = 1.9  # height of the steps between bands; 8 bits leave steps of 1 in any gradient
GREY = 2.0
REPEATING = 0.08
SCRATCHED = 0.25  # share of the frames looked at that have a scratch
BREATHING = 0.012  # share of the brightness by which light wavers differently over the picture
UNSTEADY = 0.15  # px, by which film in a gate moves from frame to frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """Findings. Strengths are in 8-bit code values; ``true_width`` and ``true_height`` in pixels.

    ``scan`` is "progressive", "interlaced", "telecined", "mixed" or "unclear"; ``field_order`` "tff", "bff" or None.
    ``unclear_at`` is the time, in seconds from the start, of a frame to look at if the scan is unclear; None if nothing
    moves.
    ``crop`` is (left, top, width, height). ``cuts`` are frame numbers; they are all of the clip's if ``complete``.
    ``cadence`` is the rhythm of film in a transfer of another rate, if there is one.
    ``lost`` are the places at which a capture lost frames, in the stretches looked at.
    ``scratched`` is the share of the frames looked at that have scratches along the film, and ``scratches_at`` where.
    ``weave`` is by how much the picture trembles as film in a gate does, px, and ``weave_at`` the scenes that do.
    ``breathing`` is the share of the brightness by which light wavers differently over the picture, ``breathing_at``
    where it does.
    ``banding`` is the height of the steps between bands of coarse quantising, 0 if there are few or none.
    ``fading`` is what the dyes of a colour film have lost, and the scenes that show it; None if it is not faded.
    ``tape`` are the faults of video tape, in the stretches looked at.
    ``places`` says where combing, flicker, noise, compression blocks and bands were measured.
    ``neighbours`` says in words what ``--multiframe auto`` would do.
    ``recommended`` maps option names to values as on the command line.
    """

    frames: int
    sampled: int
    complete: bool
    width: int
    height: int
    scan: str
    field_order: str | None
    pattern: str | None
    flagged: str | None
    duplicate_ratio: float
    crop: tuple[int, int, int, int]
    sar: Fraction
    grey: bool
    noise: float
    flicker: float
    blocking: float
    true_width: int
    true_height: int
    cuts: tuple[int, ...]
    cadence: Cadence | None = None
    unclear_at: Fraction | None = None
    lost: tuple[LostFrames, ...] = ()
    scratched: float = 0.0
    scratches_at: tuple[ScratchedSpan, ...] = ()
    weave: float = 0.0
    breathing: float = 0.0
    breathing_at: tuple[FaultPlace, ...] = ()
    weave_at: tuple[Tremble, ...] = ()
    banding: float = 0.0
    fading: Fading | None = None
    tape: TapeFindings = field(default_factory=TapeFindings)
    places: FaultPlaces = field(default_factory=FaultPlaces)
    neighbours: str = ""
    recommended: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        data = dataclasses.asdict(self)
        data["crop"] = dict(zip(("left", "top", "width", "height"), self.crop, strict=True))
        data["sar"] = f"{self.sar.numerator}:{self.sar.denominator}"
        data["cuts"] = list(self.cuts)
        data["cadence"] = None if self.cadence is None else self.cadence.to_json()
        data["lost"] = {
            "frames": sum(place.count for place in self.lost),
            "places": [place.to_json() for place in self.lost],
        }
        data["scratches_at"] = [span.to_json() for span in self.scratches_at]
        data["weave_at"] = [scene.to_json() for scene in self.weave_at]
        data["places"] = self.places.to_json()
        data["breathing_at"] = [place.to_json() for place in self.breathing_at]
        data["fading"] = None if self.fading is None else self.fading.to_json()
        data["tape"] = self.tape.to_json()
        data["unclear_at"] = None if self.unclear_at is None else round(float(self.unclear_at), 3)
        for name in ("duplicate_ratio", "noise", "flicker", "blocking", "scratched", "weave", "breathing", "banding"):
            data[name] = round(data[name], 3)
        return data

    @property
    def has_bars(self) -> bool:
        """Whether a crop would take anything away."""
        return self.crop != (0, 0, self.width, self.height)
