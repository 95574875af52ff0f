"""The files that a source consists of: one, the numbered pictures of a pattern, or the parts of a joined recording."""

from __future__ import annotations

from pathlib import Path

from vidsr.media import image_sequence, joined


def files_of(path: Path) -> list[Path]:
    """The files of a source, in order.

    Raises:
        InputError: a numbered picture or a part is missing.
    """
    if image_sequence.is_pattern(path):
        files = image_sequence.find(path)
        return [image_sequence.name_of(path, n) for n in range(files.first, files.first + files.count)]
    return joined.parts_of(path) if joined.is_joined(path) else [path]


def size_bytes(path: Path) -> int:
    """Bytes of all files of a source."""
    return sum(file.stat().st_size for file in files_of(path))


def stamp(path: Path) -> tuple[int, int]:
    """Size in bytes and time of the last change (ns) of all files of a source together.

    Raises:
        OSError: a file is gone.
        InputError: a numbered picture or a part is missing.
    """
    stats = [file.stat() for file in files_of(path)]
    return sum(s.st_size for s in stats), max(s.st_mtime_ns for s in stats)
