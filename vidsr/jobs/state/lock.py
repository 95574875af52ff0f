"""One process per job: a lock that the operating system takes back when its owner dies, however it dies."""

from __future__ import annotations

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

if os.name == "nt":  # pragma: no cover - the other half runs on Windows only
    import msvcrt

    def _take(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]

else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class JobLock:
    """Holds a job folder for one process; a context manager.

    The file stays when the lock is released or its owner dies: only the lock on it counts, so there is no
    stale lock to clean up. On network storage it holds between machines where the file system passes locks
    on (NFS version 4 and later, Lustre, CephFS).

    Raises:
        JobError: another process holds the folder; the message says which.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK_NAME
        self._file: IO[str] | None = None

    def __enter__(self) -> JobLock:
        # A glance by is_locked holds the lock for a moment, so one refusal is not yet an answer.
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(0.05)
            with os_errors("opening", self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                file = self.path.open("a+", encoding="utf-8")
            if _try(file) and self._is_current(file):
                with os_errors("writing", self.path):
                    file.truncate(0)
                    said = {"pid": os.getpid(), "host": socket.gethostname(), "time": time.time_ns()}
                    file.write(json.dumps(said))
                    file.flush()
                    os.fsync(file.fileno())  # on network storage other machines see it from here on
                self._file = file
                return self
            file.close()
        owner = lock_owner(self.path.parent)
        by = f" (process {owner[0]} on {owner[1]})" if owner else ""
        raise JobError(
            f"{self.path.parent} is being worked on by another vidsr{by}; "
            f"watch it with: vidsr jobs watch {self.path.parent}"
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _is_current(self, file: IO[str]) -> bool:
        """False if another process removed the folder between our opening the file and our locking it."""
        try:
            return os.path.samestat(os.fstat(file.fileno()), self.path.stat())
        except FileNotFoundError:
            return False


def _try(file: IO[str]) -> bool:
    try:
        _take(file.fileno())
    except OSError:
        return False
    return True


def lock_owner(folder: Path) -> tuple[int, str] | None:
    """(process id, host name) of whoever last took the lock of ``folder``, or None if that is unknown."""
    try:
        said = json.loads((folder / LOCK_NAME).read_text(encoding="utf-8"))
        return int(said["pid"]), str(said["host"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def lock_mark(folder: Path) -> str:
    """What the present or last owner of the lock wrote into it, different each time; empty if there is nothing."""
    try:
        return (folder / LOCK_NAME).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def is_locked(folder: Path) -> bool:
    """Whether a living process holds the lock of ``folder`` now."""
    try:
        with (folder / LOCK_NAME).open("r+", encoding="utf-8") as file:
            return not _try(file)
    except OSError:
        return False
