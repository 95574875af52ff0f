"""Whether a file is still being written: by its size and modification time, and by which processes have it open."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from vidsr.media.source_files import stamp

#: Bits of the flags of open(2) for the access mode: reading, writing or both.
_ACCESS_MODE = 0o3


def open_for_writing(paths: Iterable[Path]) -> set[Path]:
    """Those of ``paths`` that some process has open for writing.

    Linux only, and only processes of this user (of all users for root): elsewhere the answer is empty.
    """
    wanted: dict[tuple[int, int], Path] = {}
    for path in paths:
        with contextlib.suppress(OSError):
            status = path.stat()
            wanted[status.st_dev, status.st_ino] = path
    found: set[Path] = set()
    if not wanted:
        return found
    for process in _entries("/proc"):
        if process.isdigit():
            found |= {wanted[key] for key in _written_by(process) if key in wanted}
    return found


def _written_by(process: str) -> set[tuple[int, int]]:
    """(device, inode) of every file that a process has open for writing, as far as this one may know."""
    found = set()
    for number in _entries(f"/proc/{process}/fd"):
        with contextlib.suppress(OSError, ValueError):
            status = os.stat(f"/proc/{process}/fd/{number}")  # noqa: PTH116
            info = Path(f"/proc/{process}/fdinfo/{number}").read_text(encoding="ascii")
            flags = next(line.split()[1] for line in info.splitlines() if line.startswith("flags:"))
            if int(flags, 8) & _ACCESS_MODE:
                found.add((status.st_dev, status.st_ino))
    return found


def _entries(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are all that is needed
    except OSError:
        return []


class Settling:
    """Separates files that have stopped growing from those that still do.

    A file has settled when its size and its modification time have not changed for ``seconds`` and no process has it
    open for writing. Of a file seen for the first time, the time of its last change counts, so that an old file is
    taken at once; a time in the future counts as "now".
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._seconds = seconds
        self._clock = clock
        self._seen: dict[Path, tuple[tuple[int, int], float]] = {}

    def settled(self, paths: Iterable[Path]) -> set[Path]:
        """Those of ``paths`` that have settled by now."""
        calm = {path for path in paths if self._is_calm(path)}
        return calm - open_for_writing(calm)

    def _is_calm(self, path: Path) -> bool:
        try:
            now = stamp(path)
        except OSError:
            return False
        moment = self._clock()
        seen = self._seen.get(path)
        if seen is None:
            changed = now[1] / 1e9
            seen = now, changed if changed <= moment else moment
        elif seen[0] != now:
            seen = now, moment
        self._seen[path] = seen
        return moment - seen[1] >= self._seconds
