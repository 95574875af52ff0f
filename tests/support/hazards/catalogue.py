"""All hazards, by name: small clips that each carry one hazard of real video files; the rows of docs/hazards.md."""

from __future__ import annotations

from tests.support.hazards.damage import DAMAGE
from tests.support.hazards.hazard import Hazard
from tests.support.hazards.pictures import ALPHA, PICTURES
from tests.support.hazards.streams import STREAMS
from tests.support.hazards.timing import TIMING

HAZARDS: tuple[Hazard, ...] = (*TIMING, *STREAMS, *PICTURES, *ALPHA, *DAMAGE)
#: A few of each kind, for the fast tests.
QUICK = (
    "plain", "vfr-mp4", "negative", "raw-h264", "joined-ts", "size-change", "rich-mkv", "rich-mp4", "timecode", "sar",
    "mirrored", "odd-420", "hdr10", "rgb-png", "alpha-vp9", "gray", "wmv", "cut-mkv", "text",
    "languages", "odd-tags", "two-programs", "nut-sound", "one-pixel",
)  # fmt: skip


def by_name(name: str) -> Hazard:
    """The hazard of that name."""
    return next(h for h in HAZARDS if name in (h.name, h.name.removeprefix("lossless-")))
