"""One process per folder: a lock that the operating system releases when its owner dies, however it dies."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import IO

from vidsr.errors import JobError
from vidsr.storage import os_errors

LOCK_NAME = "lock"
ATTEMPTS = 10
_PAUSE_SECONDS = 0.05
#: Windows locks bytes, and nobody else may read them: one far past the owner's name.
_LOCKED_BYTE = 1 << 30

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

    def _take(descriptor: int, *, shared: bool = False) -> None:
        # There are no shared locks: two processes that look at the same moment may meet, hence the attempts.
        at = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        finally:
            os.lseek(descriptor, at, os.SEEK_SET)

    _LOOKS = 3
    #: Whether an open file cannot be deleted, so that an emptied folder keeps its lock until that is released.
    OPEN_FILES_STAY = True
else:

    def _take(descriptor: int, *, shared: bool = False) -> None:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)

    _LOOKS = 1
    OPEN_FILES_STAY = False


class JobLock:
    """Holds a folder for one process; a context manager.

    The file stays when the lock is released or its owner dies: only the lock on it counts, so there is no
    stale lock to clean up. On network storage it holds between machines where the file system passes locks
    on (NFS version 4 and later, Lustre, CephFS).

    Raises:
        JobError: another process holds the folder; the message says which.
    """

    def __init__(self, folder: Path, see: str = "") -> None:
        """``see`` is the command that shows who is at work; that of jobs if not given."""
        self.path = folder / LOCK_NAME
        self._see = see or f"vidsr jobs watch {folder}"
        self._file: IO[str] | None = None

    def __enter__(self) -> JobLock:
        # is_locked holds the lock for a moment, so one refusal is not an answer yet.
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE_SECONDS)
            with os_errors("opening", self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                file = self.path.open("a+", encoding="utf-8")
            if _try(file) and self._is_current(file):
                with os_errors("writing", self.path):
                    file.truncate(0)
                    owner_mark = {"pid": os.getpid(), "host": socket.gethostname(), "time": time.time_ns()}
                    file.write(json.dumps(owner_mark))
                    file.flush()
                    os.fsync(file.fileno())  # on network storage other machines see it from here on
                self._file = file
                return self
            file.close()
        owner = lock_owner(self.path.parent)
        by = f" (process {owner[0]} on {owner[1]})" if owner else ""
        raise JobError(f"{self.path.parent} is being worked on by another vidsr{by}; watch it with: {self._see}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            if OPEN_FILES_STAY:
                self._leave_empty()

    def _leave_empty(self) -> None:
        """Remove a folder in which nothing but the lock is left. It fails harmlessly where another process has that
        open by now."""
        with contextlib.suppress(OSError):
            if [entry.name for entry in self.path.parent.iterdir()] == [LOCK_NAME]:
                self.path.unlink()
                self.path.parent.rmdir()

    def _is_current(self, file: IO[str]) -> bool:
        """False if another process removed the folder between our opening the file and our locking it."""
        try:
            return os.path.samestat(os.fstat(file.fileno()), self.path.stat())
        except FileNotFoundError:
            return False


def _try(file: IO[str], *, shared: bool = False) -> bool:
    try:
        _take(file.fileno(), shared=shared)
    except OSError:
        return False
    return True


def lock_owner(folder: Path) -> tuple[int, str] | None:
    """(process id, host name) of whoever last took the lock of ``folder``, or None if that is unknown."""
    try:
        mark = json.loads((folder / LOCK_NAME).read_text(encoding="utf-8"))
        return int(mark["pid"]), str(mark["host"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def lock_mark(folder: Path) -> str:
    """What the current or last owner of the lock wrote into it, different each time; empty if there is nothing."""
    try:
        return (folder / LOCK_NAME).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def is_locked(folder: Path) -> bool:
    """Whether a living process holds the lock of ``folder`` now."""
    try:
        with (folder / LOCK_NAME).open("r+", encoding="utf-8") as file:
            return not any(_looks_free(file, look) for look in range(_LOOKS))
    except OSError:
        return False


def _looks_free(file: IO[str], look: int) -> bool:
    if look:
        time.sleep(_PAUSE_SECONDS)
    return _try(file, shared=True)
