"""How much disk a job will need, and whether it is there."""

from __future__ import annotations

import shutil
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


def check_disk(folder: Path, settings: EncoderSettings, manifest: Manifest) -> tuple[str, bool]:
    """The estimate in words, and whether it is a reason to worry.

    Until the result has its name, segments and joined file lie side by side, so that what counts is the segments
    still missing plus the whole result.

    Raises:
        DiskFullError: not even a quarter of the estimate fits.
    """
    missing = manifest.frames - manifest.frames_done()
    result = estimate_bytes(settings, manifest.frames, manifest)
    need = result + estimate_bytes(settings, missing, manifest)
    with os_errors("looking at the disk of", folder):
        free = shutil.disk_usage(folder).free
    text = (
        f"disk: about {human_bytes(need)} needed until the end, {human_bytes(result)} for the result; "
        f"{human_bytes(free)} free"
    )
    if need > free * CERTAINTY:
        raise DiskFullError(f"{folder.parent}: too little space. {text}. Free some, or choose another --output")
    return text, need > free
