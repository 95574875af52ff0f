"""Strengths of the faults of old film; 0 switches a fault off.

Sources: SMPTE RP 105 (jump is vertical, at the frame rate; weave is horizontal and much slower) for the shape of the
gate's motion; Wilhelm and Brower, "The Permanence and Care of Color Photographs", 1993, for dyes that lose density
each at its own rate. The strengths of the gauges are this project's own, chosen around published tolerances of 0.1 to
0.5 % of the picture's width.
"""

from __future__ import annotations

from dataclasses import dataclass

from vidsr.options.schema import Options, opt


@dataclass(frozen=True, slots=True, kw_only=True)
class OldFilmOptions(Options):
    """Faults of a film print and of its transfer."""

    rate: float = opt(24.0, "Frames a second, which sets how slow the slow faults are.", between=(1, 240))
    weave: float = opt(0.0, "Slow sideways motion in the gate: RMS, % of the picture's width.", between=(0, 5))
    jump: float = opt(0.0, "Vertical motion from frame to frame: RMS, % of the picture's width.", between=(0, 5))
    scratches: int = opt(0, "Scratches along the film.", between=(0, 50))
    scratch_depth: tuple[float, float] = opt(
        (0.35, 0.9), "How much of the picture a scratch covers at its middle.", between=(0, 1), metavar="LOW,HIGH"
    )
    scratch_width: tuple[float, float] = opt(
        (1.0, 3.0), "Widths of the scratches, px.", between=(0.5, 20), metavar="LOW,HIGH"
    )
    scratch_frames: int = opt(24, "Fewest frames that a scratch lasts.", between=(1, None))
    dirt: float = opt(0.0, "Specks per 128×128 pixels of each frame.", between=(0, 100))
    dirt_radius: tuple[float, float] = opt(
        (0.5, 3.0), "Radii of the specks, px.", between=(0.3, 30), metavar="LOW,HIGH"
    )
    hairs: float = opt(0.0, "Hairs per 128×128 pixels of each frame.", between=(0, 20))
    splices: int = opt(0, "Splices: a flash of glue along the edge, and a jump that dies away.", between=(0, 100))
    exposure: float = opt(0.0, "Unsteady exposure of whole frames: RMS of the gain.", between=(0, 0.5))
    breathing: float = opt(0.0, "Brightness that breathes differently across the picture: RMS.", between=(0, 0.5))
    vignette: float = opt(0.0, "Mean darkening of the corners, which breathes by half of itself.", between=(0, 0.9))
    fade: tuple[float, float, float] = opt(
        (0.0, 0.0, 0.0), "Shares of density that the cyan, magenta and yellow dyes have lost.", between=(0, 0.95)
    )


#: Motion in the gate, per cent of the picture's width, of well-kept transports of each gauge.
GAUGES: dict[str, OldFilmOptions] = {
    "35mm": OldFilmOptions(weave=0.06, jump=0.04),
    "16mm": OldFilmOptions(weave=0.12, jump=0.1),
    "8mm": OldFilmOptions(weave=0.25, jump=0.2),
}
