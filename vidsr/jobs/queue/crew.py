"""The processes that do the files of a queue, one for each device, and which process gets which file."""

from __future__ import annotations

import dataclasses
import math
import queue
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vidsr.errors import JobError
from vidsr.jobs.engines.engine import Slot, choose_slots
from vidsr.jobs.engines.json_process import JsonProcess, describe_exit
from vidsr.jobs.engines.subprocess_env import child_environment, python_module
from vidsr.jobs.messages import Failed
from vidsr.jobs.queue.records import QueuedFile
from vidsr.options.enhance_options import EnhanceOptions

LOG_NAME = "workers.log"
#: A file with at least this many segments for each process is shared out segment by segment.
_SEGMENTS_EACH = 2
#: How often the process of one file may die before the file counts as failed.
CRASHES_PER_FILE = 2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the first process finds out: digest of the weights, scale of the model, GPUs of this machine, and how many
    segments a cluster makes at a time."""

    model_sha256: str
    scale: int
    gpus: int
    capacity: int


class FileWorker:
    """One process, started when it is first needed; ``file`` is what it has in progress, ``wide`` if on all devices."""

    def __init__(self, number: int, slot: Slot | None) -> None:
        self.number = number
        self.slot = slot
        self.file: QueuedFile | None = None
        self.looking = False
        self.wide = False
        self.process: JsonProcess | None = None
        self.start = 0

    def settle(self) -> QueuedFile | None:
        """Take away the file that is no longer in progress, and return it."""
        file, self.file, self.looking, self.wide = self.file, None, False, False
        return file

    def options(self, options: EnhanceOptions) -> EnhanceOptions:
        """The options of a job on this process's device alone."""
        if self.slot is None:
            return options
        jobs = dataclasses.replace(options.jobs, devices=None, workers=None, threads=self.slot.threads)
        if options.jobs.engine == "ray":
            return dataclasses.replace(options, jobs=dataclasses.replace(jobs, workers=1))
        model = dataclasses.replace(options.model, device=self.slot.device)
        return dataclasses.replace(options, jobs=jobs, model=model)


class Crew:
    """All processes of a queue. A context manager: at its end they are gone."""

    def __init__(self, options: EnhanceOptions, folder: Path) -> None:
        self._inbox: queue.SimpleQueue[tuple[FileWorker, int, dict[str, Any] | None]] = queue.SimpleQueue()
        self._started = 0
        self._options = options
        self._log = folder / LOG_NAME
        self.workers = [FileWorker(0, None)]

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *exc: object) -> None:
        for worker in self.workers:
            if worker.process is not None:
                worker.process.end()

    def open(self) -> Facts:
        """Start the first process, and plan the others by what it finds.

        Raises:
            VidsrError: no file can be done: the model or a device is not there.
        """
        first = self.workers[0]
        self._start(first)
        _, _, message = self._inbox.get()
        if message is None:
            assert first.process is not None
            raise JobError(f"the process of the queue {describe_exit(first.process.end(kill=False))}; see {self._log}")
        if message["say"] == "broken":
            raise Failed(number=-1, kind=message["kind"], message=message["message"]).error()
        facts = Facts(**{name: message[name] for name in ("model_sha256", "scale", "gpus", "capacity")})
        slots = self._slots(facts)
        if len(slots) > 1:
            self.workers = [first, *(FileWorker(number, None) for number in range(1, len(slots)))]
            for worker, slot in zip(self.workers, slots, strict=True):
                worker.slot = slot
        return facts

    def _slots(self, facts: Facts) -> list[Slot]:
        if self._options.jobs.engine == "ray":
            return [Slot(device="ray", threads=self._options.jobs.threads)] * max(1, facts.capacity)
        return choose_slots(self._options, facts.gpus)

    def hear(self, timeout: float) -> tuple[FileWorker, dict[str, Any] | None] | None:
        """The next message of any process, None of one that is gone; nothing if none comes in time."""
        try:
            worker, number, message = self._inbox.get(timeout=timeout)
        except queue.Empty:
            return None
        return (worker, message) if number == worker.start else None  # else from a process that was dropped

    def idle(self) -> Iterator[FileWorker]:
        """The processes without a file."""
        return (worker for worker in self.workers if worker.file is None)

    def busy(self) -> list[FileWorker]:
        """The processes with a file."""
        return [worker for worker in self.workers if worker.file is not None]

    def is_wide(self, file: QueuedFile, waiting: int) -> bool:
        """Whether a file is shared out to all devices segment by segment: it is long, or the last one."""
        if len(self.workers) == 1 or file.kind == "picture":
            return False
        segments = math.ceil(file.frames / self._options.jobs.segment_frames)
        return segments >= _SEGMENTS_EACH * len(self.workers) or (waiting == 1 and segments > 1)

    def choose(self, waiting: Sequence[QueuedFile]) -> tuple[FileWorker, QueuedFile, bool] | None:
        """The process for the next of the ``waiting`` files, and whether on all devices; None if it must wait.

        Files begin in order. A long one waits until all devices are free; while it is in progress, the others wait.
        """
        busy = self.busy()
        if not waiting or len(busy) == len(self.workers) or any(worker.wide for worker in busy):
            return None
        wide = self.is_wide(waiting[0], len(waiting))
        if wide and busy:
            return None
        return next(self.idle()), waiting[0], wide

    def look(self, worker: FileWorker, file: QueuedFile) -> None:
        """Have a file examined."""
        self._send(worker, file, {"do": "look", "options": self._options.to_json()})
        worker.looking = True

    def enhance(self, worker: FileWorker, file: QueuedFile, *, wide: bool, overwrite: bool) -> None:
        """Have a file enhanced."""
        options = self._options if wide else worker.options(self._options)
        if overwrite:
            options = dataclasses.replace(options, output=dataclasses.replace(options.output, overwrite=True))
        self._send(worker, file, {"do": "enhance", "output": file.result, "options": options.to_json()})
        worker.wide = wide

    def _send(self, worker: FileWorker, file: QueuedFile, order: dict[str, Any]) -> None:
        if worker.process is None:
            self._start(worker)
        assert worker.process is not None
        worker.file, worker.looking, worker.wide = file, False, False
        worker.process.send(order | {"id": file.id, "source": file.source, "kind": file.kind})

    def stop(self, *, now: bool) -> None:
        """Ask every process to stop."""
        for worker in self.workers:
            if worker.process is not None:
                worker.process.send({"do": "stop", "now": now})

    def ended(self, worker: FileWorker) -> str:
        """Take note that a process is gone; how it ended. The next order starts another."""
        assert worker.process is not None
        how = describe_exit(worker.process.end(kill=False))
        worker.process = None
        return f"its process {how}; see {self._log}"

    def drop(self, worker: FileWorker) -> None:
        """End a process at once, whatever it has in progress; its further messages are ignored."""
        assert worker.process is not None
        process, worker.process, worker.start = worker.process, None, 0
        process.end()

    def _start(self, worker: FileWorker) -> None:
        threads = None if worker.slot is None else worker.slot.threads
        environment = child_environment() | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})
        self._started += 1
        number = worker.start = self._started
        worker.process = JsonProcess(
            python_module("vidsr.jobs.queue.file_process"),
            environment,
            self._log,
            lambda message: self._inbox.put((worker, number, message)),
        )
        worker.process.send({"do": "start", "options": self._options.to_json()})
