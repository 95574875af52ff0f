"""What a running job reports: one event object, and the callable that receives it.

The command line draws a bar from it, ``--progress json`` prints it, the web app forwards it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

EventKind = Literal["note", "warning", "job", "segment", "frame", "stage", "file", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened.

    ``note`` and ``warning`` carry ``text``. ``job`` opens the work and ``done`` ends it. ``stage`` names what is
    being done other than frames ("index", "assemble", "verify"). ``frame`` counts finished frames: ``frames`` of
    ``total_frames``, of which ``resumed_frames`` were done by an earlier run and say nothing about speed; ``fps``
    is the speed of the last minute and ``seconds_left`` what follows from it; its ``segment`` is the one that made
    progress. ``segment`` names a finished segment and carries the same. Of a queue, ``frame`` counts the frames of all
    files; ``file`` says how one of them ended, and ``files`` of ``total_files`` have.
    """

    kind: EventKind
    text: str = ""
    frames: int = 0
    total_frames: int = 0
    resumed_frames: int = 0
    segment: int | None = None
    job: str = ""
    fps: float | None = None
    seconds_left: float | None = None
    files: int = 0
    total_files: int = 0

    def to_json(self) -> dict[str, Any]:
        """The event as plain JSON values, without what does not apply to its kind."""
        data: dict[str, Any] = {"event": self.kind, "job": self.job}
        if self.text:
            data["text"] = self.text
        if self.segment is not None:
            data["segment"] = self.segment
        if self.total_frames:
            data |= {"frames": self.frames, "total_frames": self.total_frames}
        if self.total_files:
            data |= {"files": self.files, "total_files": self.total_files}
        if self.kind in ("frame", "segment"):
            data["resumed_frames"] = self.resumed_frames
            data["fps"] = None if self.fps is None else round(self.fps, 3)
            data["seconds_left"] = None if self.seconds_left is None else round(self.seconds_left, 1)
        return data


Progress = Callable[[Event], None]


def silent(event: Event) -> None:
    """A :data:`Progress` that drops everything."""


def of_job(job: str, progress: Progress) -> Progress:
    """``progress`` with the job's id in every event."""
    return lambda event: progress(replace(event, job=job))


class SpeedMeter:
    """Frames per second over the last minute of this run, from the total done so far.

    ``assumed`` is the speed to report until there is something to measure, None if there is nothing to go by. The
    measurement begins with the first frame: until then workers start, load models and warm up.
    """

    WINDOW_SECONDS = 60.0

    def __init__(self, done: int, assumed: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._assumed = assumed
        self._idle = True
        self._marks: deque[tuple[float, int]] = deque([(clock(), done)])

    def update(self, done: int) -> None:
        """Report how many frames are done now. A falling number (work lost with a worker) restarts the measurement."""
        now = self._clock()
        if done < self._marks[-1][1]:
            self._marks.clear()
        if self._idle and self._marks and done > self._marks[-1][1]:
            self._marks.clear()
            self._idle = False
        if not self._marks or done > self._marks[-1][1]:
            self._marks.append((now, done))
        while len(self._marks) > 2 and now - self._marks[1][0] >= self.WINDOW_SECONDS:
            self._marks.popleft()

    def fps(self) -> float | None:
        """Frames per second, or None while nothing is known."""
        (first, before), (last, after) = self._marks[0], self._marks[-1]
        if after == before or last <= first:
            return self._assumed
        return (after - before) / (last - first)

    def seconds_left(self, frames_left: int) -> float | None:
        """Seconds for so many frames at this speed, or None while nothing is known."""
        fps = self.fps()
        return frames_left / fps if fps else None
