"""One progress over all files of a queue, in frames; time is estimated by pixels, since files differ in size."""

from __future__ import annotations

import time
from pathlib import Path

from vidsr.jobs.queue.records import QueuedFile, QueueStatus
from vidsr.jobs.state.events import Event, Progress, SpeedMeter

_STATUS_SECONDS = 1.0
#: One unit of the meter that estimates time.
_PIXELS = 100_000


class Totals:
    """Counts frames of the files to do, reports them as events, and writes the queue's status."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder = folder
        self._progress = progress
        self._files: dict[str, QueuedFile] = {}
        self._frames: dict[str, tuple[int, int]] = {}  # file id → (done, all)
        self._resumed: dict[str, int] = {}
        self._in_work: set[str] = set()
        self._speed = SpeedMeter(0)
        self._pace = SpeedMeter(0)
        self._next = 0.0

    def expect(self, file: QueuedFile) -> None:
        """A file is to be done."""
        self._files[file.id] = file
        self._frames.setdefault(file.id, (0, max(1, file.frames)))

    def begin(self, file: QueuedFile) -> None:
        """A file is in progress."""
        self.expect(file)
        self._in_work.add(file.id)
        self._show(now=True)

    def advance(self, file: QueuedFile, frames: int, total: int, resumed: int) -> None:
        """A file in progress has made progress; its job knows its frames better than its header did."""
        self._frames[file.id] = frames, max(1, total)
        self._resumed[file.id] = resumed
        self._show()

    def stopped(self, file: QueuedFile) -> None:
        """A file is no longer in progress, and not finished."""
        self._in_work.discard(file.id)
        self._show(now=True)

    def end(self, file: QueuedFile) -> None:
        """A file ended, one way or another: nothing of it is left to do."""
        self._in_work.discard(file.id)
        if file.id not in self._frames:
            return
        if file.state == "done":
            self._frames[file.id] = (self._frames[file.id][1],) * 2
        else:
            del self._frames[file.id]
            self._resumed.pop(file.id, None)
        self._show(now=True)

    def close(self) -> None:
        """The queue's run ends."""
        self._in_work.clear()
        self._show(now=True, stage="ended")

    def _show(self, *, now: bool = False, stage: str = "files") -> None:
        done = sum(frames for frames, _ in self._frames.values())
        total = sum(all_ for _, all_ in self._frames.values())
        resumed = sum(self._resumed.values())
        work_done, work = self._work(), self._work(whole=True)
        self._speed.update(done - resumed)
        self._pace.update(work_done)
        event = Event(
            kind="frame",
            frames=done,
            total_frames=total,
            resumed_frames=resumed,
            fps=self._speed.fps(),
            seconds_left=self._pace.seconds_left(work - work_done),
        )
        self._progress(event)
        if not now and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _STATUS_SECONDS
        QueueStatus(
            stage=stage,
            frames=done,
            total_frames=total,
            fps=event.fps,
            seconds_left=event.seconds_left,
            in_work={id: self._frames[id] for id in sorted(self._in_work)},
        ).save(self._folder)

    def _work(self, *, whole: bool = False) -> int:
        """Units of work done by this run, or of all that it has to do."""
        units = 0
        for id, (frames, total) in self._frames.items():
            width, height = self._files[id].size
            units += ((total if whole else frames) - self._resumed.get(id, 0)) * max(1, width * height) // _PIXELS
        return units
