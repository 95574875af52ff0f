"""Where ``enhance --invention`` writes its map."""

from __future__ import annotations

from pathlib import Path


def invention_file(result: Path, kind: str) -> Path:
    """The map of a result next to it: ``clip.x4.mkv.invention.json``; ``kind`` is "json", "png" or "mkv"."""
    return result.with_name(f"{result.name}.invention.{kind}")
