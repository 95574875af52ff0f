"""Codec, container and name of a preservation master."""

from __future__ import annotations

from pathlib import Path

MASTER_CODEC, MASTER_SUFFIX = "ffv1", ".mkv"


def master_of(output: Path) -> Path:
    """The preservation master of an access copy: ``film.x4.mp4`` has ``film.x4.master.mkv``."""
    return output.with_name(f"{output.stem}.master{MASTER_SUFFIX}")
