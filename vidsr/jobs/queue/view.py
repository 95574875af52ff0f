"""A queue as other processes see it: its files and progress; and their requests: another order, fewer files, a stop."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from vidsr.errors import JobError
from vidsr.jobs.queue.records import (
    LEFT_OUT,
    FileState,
    Ledger,
    QueuedFile,
    QueueRecord,
    QueueStatus,
    Wishes,
    wishing,
)
from vidsr.jobs.state.lock import JobLock, is_locked, lock_mark

Where = Literal["first", "last", "up", "down"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileView:
    """A file of a queue at one moment. ``frames`` of ``total_frames`` are done; ``left_out`` says that it was taken out
    of the queue on request."""

    id: str
    name: str
    source: str
    result: str
    state: FileState
    reason: str
    frames: int
    total_frames: int
    left_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """A queue at one moment. ``state`` is "running", "stopped" (files wait) or "ended"; ``files`` lists those in
    progress first, then those that wait in their order, then the others."""

    id: str
    folder: str
    state: Literal["running", "stopping", "stopped", "ended"]
    sources: tuple[str, ...]
    output: str | None
    watch: bool
    frames: int
    total_frames: int
    fps: float | None
    seconds_left: float | None
    files: tuple[FileView, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many files are in each state that occurs."""
        return dict(Counter(file.state for file in self.files))

    @property
    def percent(self) -> float:
        """Share of the frames of the last run that are done, 0 to 100."""
        return 100.0 * self.frames / self.total_frames if self.total_frames else 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"counts": self.counts}

    def file(self, reference: str) -> FileView:
        """The file meant by its id, the beginning of it, its name or its path.

        Raises:
            JobError: there is no such file, or more than one.
        """
        found = [f for f in self.files if reference in (f.id, f.name, f.source)]
        found = found or [f for f in self.files if f.id.startswith(reference)]
        if len(found) == 1:
            return found[0]
        if found:
            raise JobError(f"{reference} means more than one file: {', '.join(f.id for f in found)}")
        raise JobError(f"the queue {self.id} has no file {reference}; see: vidsr jobs queue show {self.id}")


def look_at_queue(folder: Path) -> QueueView:
    """Describe a queue, without disturbing it.

    Raises:
        JobError: its record is damaged.
    """
    record, status, wishes = QueueRecord.load(folder), QueueStatus.load(folder) or QueueStatus(), Wishes.load(folder)
    running = is_locked(folder)
    ended = Ledger(folder, writable=False).ended
    in_work = status.in_work if running else {}

    def view(file: QueuedFile) -> FileView:
        state, reason, total = file.state, file.trouble, file.frames
        frames = 0
        last = ended.get(file.source)
        if file.id in in_work:
            state, (frames, total) = "running", in_work[file.id]
        elif reason == LEFT_OUT and file.id not in wishes.left_out:
            state, reason = "waiting", ""
        elif state in ("waiting", "running"):
            # The record is written when files are found and at the end; the ledger knows what ended since.
            state = "waiting"
            if last is not None and last.stamp == file.stamp and last.result in (file.result, ""):
                state, reason = last.state, last.reason
        left_out = file.id in wishes.left_out and state in ("waiting", "skipped", "growing")
        return FileView(
            id=file.id,
            name=file.name,
            source=file.source,
            result=file.result,
            state="skipped" if left_out else state,
            reason="left out on request" if left_out else reason,
            frames=total if state == "done" else frames,
            total_frames=total,
            left_out=left_out,
        )

    files = [view(file) for file in record.files]
    order = {id: number for number, id in enumerate(wishes.order)}
    first = {"running": 0, "waiting": 1, "growing": 1}
    files.sort(key=lambda f: (first.get(f.state, 2), order.get(f.id, len(order)) if f.state == "waiting" else 0))
    stopping = running and bool(wishes.stop) and wishes.run == lock_mark(folder)
    waits = any(f.state in ("waiting", "running", "growing") for f in files)
    return QueueView(
        id=record.id,
        folder=str(folder),
        state="stopping" if stopping else "running" if running else "stopped" if waits else "ended",
        sources=record.sources,
        output=record.output,
        watch=record.watch,
        frames=status.frames,
        total_frames=status.total_frames,
        fps=status.fps if running else None,
        seconds_left=status.seconds_left if running else None,
        files=tuple(files),
    )


def move(folder: Path, reference: str, where: Where) -> QueueView:
    """Move a waiting file: before all others, behind them, or one place up or down.

    Raises:
        JobError: there is no such file, or it does not wait.
    """
    with wishing(folder):
        view = look_at_queue(folder)
        file = view.file(reference)
        if file.state != "waiting":
            raise JobError(f"{file.name} is {file.state}; only files that wait can be moved")
        order = [f.id for f in view.files if f.state == "waiting"]
        at = order.index(file.id)
        order.remove(file.id)
        place = {"first": 0, "last": len(order), "up": max(0, at - 1), "down": at + 1}[where]
        order.insert(place, file.id)
        replace(Wishes.load(folder), order=tuple(order)).save(folder)
    return look_at_queue(folder)


def leave_out(folder: Path, reference: str) -> QueueView:
    """Take a file out of the queue; one in progress is dropped, what is finished of it stays.

    Raises:
        JobError: there is no such file, or it has ended.
    """
    with wishing(folder):
        file = look_at_queue(folder).file(reference)
        if file.state not in ("waiting", "running", "growing"):
            raise JobError(f"{file.name} is {file.state}; there is nothing to leave out")
        wishes = Wishes.load(folder)
        replace(wishes, left_out=(*wishes.left_out, file.id)).save(folder)
    return look_at_queue(folder)


def take_back(folder: Path, reference: str) -> QueueView:
    """Put a file that was left out back; the next run of the queue takes it.

    Raises:
        JobError: there is no such file, or it was not left out.
    """
    with wishing(folder):
        file, wishes = look_at_queue(folder).file(reference), Wishes.load(folder)
        if file.id not in wishes.left_out:
            raise JobError(f"{file.name} was not left out")
        left = tuple(id for id in wishes.left_out if id != file.id)
        replace(wishes, left_out=left).save(folder)
    return look_at_queue(folder)


def stop(folder: Path, *, now: bool) -> QueueView:
    """Ask a running queue to stop after the segments in progress, or at once.

    Raises:
        JobError: it is not running.
    """
    with wishing(folder):
        if not is_locked(folder):
            raise JobError(f"the queue {folder.name} is not running")
        wanted: Literal["soft", "now"] = "now" if now else "soft"
        replace(Wishes.load(folder), stop=wanted, run=lock_mark(folder)).save(folder)
    return look_at_queue(folder)


def remove(folder: Path) -> None:
    """Forget a queue: its list and its records. Results, and jobs that are half done, stay.

    Raises:
        JobError: it is running.
    """
    with JobLock(folder):
        shutil.rmtree(folder)
