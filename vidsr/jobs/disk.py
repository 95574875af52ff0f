"""How much disk a job will need, and whether it is there."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from vidsr.errors import DiskFullError
from vidsr.jobs.files import human_bytes, os_errors
from vidsr.jobs.manifest import Manifest
from vidsr.media.encode import EncoderSettings

#: Bits per luma sample that each codec takes on live-action footage at vidsr's default quality, on the safe side
#: of what was measured; ProRes 422 is fixed by its specification, FFV1 keeps about half of what goes in.
BITS_PER_PIXEL = {"h264": 0.25, "hevc": 0.15, "av1": 0.12, "vp9": 0.15, "prores": 3.6, "ffv1": 8.0}

#: The estimate may be this many times too large, so that work is refused only below that share of it.
CERTAINTY = 4


def estimate_bytes(settings: EncoderSettings, frames: int, manifest: Manifest | None = None) -> int:
    """Bytes of ``frames`` encoded frames: by what the finished segments took, or by the table if there are none."""
    done = manifest.frames_done() if manifest is not None else 0
    if manifest is not None and done:
        return round(frames * sum(f.size for f in manifest.finished.values()) / done)
    depth = settings.format.frames.depth / 8 if settings.codec == "ffv1" else 1.0
    bits = settings.width * settings.height * BITS_PER_PIXEL.get(settings.codec, 0.3) * depth
    return round(frames * bits / 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What a job will still need of its disk, and what is free, in bytes."""

    folder: Path
    need: int
    result: int
    free: int

    @property
    def worrying(self) -> bool:
        """Whether the estimate does not fit."""
        return self.need > self.free

    def __str__(self) -> str:
        return (
            f"disk: about {human_bytes(self.need)} needed until the end, {human_bytes(self.result)} for the result; "
            f"{human_bytes(self.free)} free"
        )

    def check(self) -> None:
        """Refuse work that cannot fit.

        Raises:
            DiskFullError: not even a quarter of the estimate fits.
        """
        if self.need > self.free * CERTAINTY:
            raise DiskFullError(
                f"{self.folder.parent}: too little space. {self}. Free some, or choose another --output"
            )


def disk_outlook(folder: Path, settings: EncoderSettings, manifest: Manifest) -> Outlook:
    """The outlook of a job.

    Until the result has its name, segments and joined file lie side by side, so that what counts is the segments
    still missing plus the whole result.

    Raises:
        JobError: the disk cannot be looked at.
    """
    missing = manifest.frames - manifest.frames_done()
    result = estimate_bytes(settings, manifest.frames, manifest)
    with os_errors("looking at the disk of", folder):
        free = shutil.disk_usage(folder).free
    need = result + estimate_bytes(settings, missing, manifest)
    return Outlook(folder=folder, need=need, result=result, free=free)
