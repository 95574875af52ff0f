"""What a running job writes for people and programs: its log and its current status."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from vidsr.errors import JobError, OutputError
from vidsr.jobs.state.job_folders import JOB_LOG_NAME, STATUS_NAME
from vidsr.storage import write_atomically

STATUS_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Progress of the process that is, or last was, at work. ``in_work`` is segment number → frames encoded."""

    stage: str
    frames: int = 0
    total_frames: int = 0
    fps: float | None = None
    seconds_left: float | None = None
    in_work: dict[str, int] = field(default_factory=dict)
    pid: int = 0
    time: float = 0.0


def read_status(folder: Path) -> Status | None:
    """The status last written into a job folder, or None."""
    try:
        return Status(**json.loads((folder / STATUS_NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


class Journal:
    """Writes log lines at once and the status about once a second. Trouble with either never stops the work."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last = 0.0

    def log(self, text: str) -> None:
        """Append one line with the time."""
        line = f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {' '.join(text.splitlines())}\n"
        try:
            with (self._folder / JOB_LOG_NAME).open("a", encoding="utf-8", errors="surrogateescape") as file:
                file.write(line)
        except OSError:
            return

    def status(self, status: Status, *, now: bool = False) -> None:
        """Write the status, if it is time or ``now`` is set."""
        if not now and time.monotonic() - self._last < STATUS_EVERY_SECONDS:
            return
        self._last = time.monotonic()
        data = asdict(status) | {"pid": os.getpid(), "time": time.time()}
        try:
            write_atomically(self._folder / STATUS_NAME, json.dumps(data).encode(), durable=False)
        except (JobError, OutputError):
            return
