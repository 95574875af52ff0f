"""What a queue keeps on disk, so that it can be resumed, watched, reordered and stopped from other processes.

::

    QUEUE/                 in the user's state folder; named after the output folder
    ├── queue.json         sources, output, options, and the list of files; written by the running queue
    ├── results.jsonl      one line for each file that was begun or has ended; appended, never rewritten
    ├── status.json        progress of this moment
    ├── wishes.json        order, files to leave out, and a stop, as asked for by other processes
    ├── vidsr-report.json, vidsr-report.csv   where results lie next to their sources
    └── lock               held while the queue runs
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from vidsr.errors import JobError, OutputError
from vidsr.jobs.state import job_folders
from vidsr.jobs.state.lock import JobLock
from vidsr.storage import os_errors, write_atomically

SCHEMA = 1
QUEUE_NAME, RESULTS_NAME, STATUS_NAME, WISHES_NAME = "queue.json", "results.jsonl", "status.json", "wishes.json"

#: Why a file was skipped that was taken out of the queue.
LEFT_OUT = "left out on request; vidsr jobs queue take brings it back"

FileState = Literal["waiting", "growing", "running", "done", "skipped", "refused", "failed"]

#: Errors that say that a file cannot be done as it is; others mean that its work failed.
REFUSALS = frozenset({"InputError", "OutputError", "OptionsError", "JobError"})


def queues_folder() -> Path:
    """Where queues are kept: next to the register of jobs."""
    return job_folders.register_folder().with_name("queues")


def queue_id(sources: Sequence[Path], output: Path | None) -> str:
    """Eight hexadecimal digits that name the queue of an output folder; without one, that of the sources' folders."""
    places = [output] if output is not None else sorted({source.absolute().parent for source in sources})
    text = b"\0".join(os.fsencode(place.absolute()) for place in places)
    return hashlib.blake2b(b"%d\0" % (output is not None) + text, digest_size=4).hexdigest()


def find_queue(reference: str) -> Path:
    """The folder of the queue meant by its id, the beginning of it, or its output folder.

    Raises:
        JobError: there is no such queue, or more than one.
    """
    place = queues_folder()
    own = queue_id((), Path(reference)) if reference else ""
    if own and (place / own / QUEUE_NAME).is_file():
        return place / own
    matches = [folder for folder in known_queues() if folder.name.startswith(reference)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise JobError(f"{reference} means more than one queue: {', '.join(m.name for m in matches)}")
    raise JobError(f"there is no queue {reference}; see: vidsr jobs queue list")


def known_queues() -> list[Path]:
    """The folders of all queues, the newest first."""
    place = queues_folder()
    found = [folder for folder in place.iterdir() if (folder / QUEUE_NAME).is_file()] if place.is_dir() else []
    return sorted(found, key=lambda folder: -(folder / QUEUE_NAME).stat().st_mtime)


def entry_name(source: str, part: str) -> str:
    """What a list of work knows an entry by: the path of its source, and which ``part`` of it, "" for all."""
    return f"{source} {part}" if part else source


def file_id(source: str) -> str:
    """Eight hexadecimal digits that name a file of a queue."""
    return hashlib.blake2b(os.fsencode(source), digest_size=4).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedFile:
    """One file of a queue, as far as it is known before its work.

    ``name`` is its place below the source folder; ``source`` and ``result`` are absolute paths, the latter "" until it
    is known. ``frames`` and ``size`` (width, height of the source in pixels) are what the file promises.
    ``trouble`` says why it will not be done; ``state`` is then "skipped", "refused" or "growing". ``part`` names the
    part of the source that is meant, as on the command line; "" for all of it.
    """

    name: str
    source: str
    part: str = ""
    kind: Literal["video", "picture"] = "video"
    result: str = ""
    stamp: tuple[int, int] = (0, 0)
    frames: int = 0
    size: tuple[int, int] = (0, 0)
    note: str = ""
    state: FileState = "waiting"
    trouble: str = ""

    @property
    def id(self) -> str:
        """See :func:`file_id`."""
        return file_id(self.entry)

    @property
    def entry(self) -> str:
        """See :func:`entry_name`."""
        return entry_name(self.source, self.part)

    @property
    def pixels(self) -> int:
        """Pixels of all frames, by which time is estimated."""
        return max(1, self.frames) * max(1, self.size[0] * self.size[1])

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> QueuedFile:
        """The inverse of ``dataclasses.asdict``."""
        return cls(**data | {"stamp": tuple(data["stamp"]), "size": tuple(data["size"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a file ended. ``state`` is "done", "skipped", "refused" or "failed", the last three with a ``reason``.

    ``result_stamp`` is size and time of change (ns) of the finished result, by which a later run knows it again;
    ``key`` names the options it was made with. ``before`` says that an earlier run made it.
    """

    source: str
    state: FileState
    reason: str = ""
    result: str = ""
    stamp: tuple[int, int] = (0, 0)
    result_stamp: tuple[int, int] = (0, 0)
    key: str = ""
    frames: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    before: bool = False
    part: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A file whose work was begun: ``before`` is the stamp of what lay under the result's name then, None if nothing
    did, so that a result that appeared since is known to be whole and ours."""

    source: str
    result: str
    stamp: tuple[int, int]
    key: str
    before: tuple[int, int] | None = None
    part: str = ""


@dataclass(slots=True, kw_only=True)
class QueueRecord:
    """What ``queue.json`` holds. ``options`` are those of ``EnhanceOptions.to_json``."""

    id: str
    sources: tuple[str, ...]
    output: str | None
    options: dict[str, Any]
    watch: bool
    created: float
    files: list[QueuedFile] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Write it, atomically.

        Raises:
            JobError, DiskFullError: it cannot be written.
        """
        data = {"schema": SCHEMA, **asdict(self)}
        write_atomically(folder / QUEUE_NAME, json.dumps(data).encode())

    @classmethod
    def load(cls, folder: Path) -> QueueRecord:
        """Read it.

        Raises:
            JobError: it is missing, damaged, or of another version of vidsr.
        """
        path = folder / QUEUE_NAME
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if data.pop("schema") != SCHEMA:
                raise ValueError("another schema")
            files = [QueuedFile.from_json(file) for file in data.pop("files")]
            return cls(**data | {"sources": tuple(data["sources"]), "files": files})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise JobError(f"{path} cannot be read ({error}); remove it with: vidsr jobs queue remove") from error


class Ledger:
    """``results.jsonl``: what was begun and how it ended, and which options each key stands for.

    Entries are known by :func:`entry_name`. The last line may be torn by a crash; it is dropped then, and nothing is
    ever appended to it. One that is not ``writable`` leaves the file as it is: what is recorded lasts as long as it.
    """

    def __init__(self, folder: Path, *, writable: bool = True) -> None:
        self._path = folder / RESULTS_NAME
        self._writable = writable
        self.ended: dict[str, Ended] = {}
        self.begun: dict[str, Begun] = {}
        self.options: dict[str, dict[str, Any]] = {}
        data = self._path.read_bytes() if self._path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        for line in whole.splitlines():
            self._take(line)
        if writable and whole != data:
            write_atomically(self._path, whole)

    def _take(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            kind = entry.pop("entry")
            if kind == "options":
                self.options[entry["key"]] = entry["options"]
            elif kind == "begun":
                before = entry.pop("before")
                begun = Begun(**_tuples(entry, "stamp"), before=None if before is None else tuple(before))
                self.begun[entry_name(begun.source, begun.part)] = begun
            elif kind == "ended":
                self._end(Ended(**_tuples(entry, "stamp", "result_stamp", "notes")))
        except (ValueError, KeyError, TypeError, AttributeError):
            return  # a line that a failing disk damaged: its file is examined again

    def _end(self, ended: Ended) -> None:
        name = entry_name(ended.source, ended.part)
        self.ended[name] = ended
        self.begun.pop(name, None)

    def name(self, key: str, options: dict[str, Any]) -> None:
        """Record which options a key stands for."""
        if key not in self.options:
            self.options[key] = options
            self._append({"entry": "options", "key": key, "options": options})

    def begin(self, begun: Begun) -> None:
        """Record that a file is begun."""
        self.begun[entry_name(begun.source, begun.part)] = begun
        self._append({"entry": "begun", **asdict(begun)})

    def end(self, ended: Ended) -> None:
        """Record how a file ended."""
        self._end(ended)
        self._append({"entry": "ended", **asdict(ended)})

    def results(self) -> dict[str, Ended]:
        """The finished results, by their path."""
        return {ended.result: ended for ended in self.ended.values() if ended.state == "done"}

    def _append(self, entry: dict[str, Any]) -> None:
        if not self._writable:
            return
        with os_errors("writing", self._path), self._path.open("ab") as file:
            file.write(json.dumps(entry).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _tuples(entry: dict[str, Any], *names: str) -> dict[str, Any]:
    return entry | {name: tuple(entry[name]) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What other processes ask of a queue: ``order`` of waiting files (ids, the first first), ``left_out`` files (ids),
    and ``stop``: "soft" after the segments in progress, "now", or "" for none. ``run`` is the lock mark of the run to
    stop, so that a later one keeps running."""

    order: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    stop: Literal["", "soft", "now"] = ""
    run: str = ""

    @classmethod
    def load(cls, folder: Path) -> Wishes:
        """The current requests; none if they cannot be read."""
        try:
            data = json.loads((folder / WISHES_NAME).read_text(encoding="utf-8"))
            return cls(**_tuples(data, "order", "left_out"))
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def save(self, folder: Path) -> None:
        """Write them, atomically. Hold :func:`wishing` from before the load to after the save."""
        write_atomically(folder / WISHES_NAME, json.dumps(asdict(self)).encode())


def wishing(folder: Path) -> JobLock:
    """The lock of those who change a queue's wishes."""
    return JobLock(folder / "wishes")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStatus:
    """Progress of the process that is, or last was, at work. ``in_work`` is file id → (frames done, frames)."""

    stage: str = ""
    frames: int = 0
    total_frames: int = 0
    fps: float | None = None
    seconds_left: float | None = None
    in_work: dict[str, tuple[int, int]] = field(default_factory=dict)
    pid: int = 0
    time: float = 0.0

    @classmethod
    def load(cls, folder: Path) -> QueueStatus | None:
        """The status last written, or None."""
        try:
            return cls(**json.loads((folder / STATUS_NAME).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def save(self, folder: Path) -> None:
        """Write it; a failure never stops the work."""
        data = asdict(self) | {"pid": os.getpid(), "time": time.time()}
        try:
            write_atomically(folder / STATUS_NAME, json.dumps(data).encode(), durable=False)
        except (JobError, OutputError):
            return
