"""``enhance_many``: a queue of files, processed one after the other or concurrently, resumable as a whole."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from vidsr.errors import DiskFullError, Interrupted
from vidsr.jobs.messages import Failed
from vidsr.jobs.queue import planning
from vidsr.jobs.queue.crew import CRASHES_PER_FILE, Crew, FileWorker
from vidsr.jobs.queue.file_list import CALM_SECONDS, FileList
from vidsr.jobs.queue.parts import enhance_parts
from vidsr.jobs.queue.records import (
    LEFT_OUT,
    Begun,
    Ended,
    Ledger,
    QueuedFile,
    Wishes,
    queue_id,
    queues_folder,
)
from vidsr.jobs.queue.report import QueueResult, write_report
from vidsr.jobs.queue.sources import below
from vidsr.jobs.queue.totals import Totals
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.events import Event, Progress, of_job, silent
from vidsr.jobs.state.lock import JobLock, lock_mark
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.keywords import EnhanceKeywords, chosen_options
from vidsr.storage import os_errors

_POLL_SECONDS = 0.1
_SCAN_SECONDS = 1.0


def enhance_many(
    sources: Sequence[Path | str],
    output: Path | str | None = None,
    *,
    spans: Path | str | None = None,
    options: EnhanceOptions | None = None,
    progress: Progress = silent,
    stop: Stop | threading.Event | None = None,
    within: Sequence[Path] = (),
    **keywords: Unpack[EnhanceKeywords],
) -> QueueResult:
    """Enhance many videos and pictures: files, folders with all that is in them, and numbered pictures, mixed.

    >>> result = enhance_many(["tapes"], "out", scale=2)  # doctest: +SKIP
    >>> [file.reason for file in result.files if file.state == "failed"]  # doctest: +SKIP

    A file that fails does not stop the others: the result says for each file how it ended, and
    ``vidsr-report.json`` and ``.csv`` in ``output`` say the same. The same call after an interruption of any kind
    continues where it stopped: finished results are recognised, half-done ones resumed. With several devices, short
    files run concurrently and long ones are split among the devices.

    Args:
        sources: files, folders, patterns such as ``frames/%06d.png``. The contents of a single folder keep their places
            below it; of several, each folder's contents lie in a folder of its name.
        output: the folder for the results, made if it is not there. By default each result lies next to its source,
            and a folder's results in a folder next to it.
        spans: a CSV table of parts of the only source, each of which becomes a result of its own: columns ``from``,
            ``to`` and ``name``, as ``vidsr enhance --spans`` takes it. Parts are done one after the other.
        options: for all files, in one object. Give either this or keywords. With ``watch``, the call takes what arrives
            in the folders until ``stop`` is set; with ``join``, recordings in several files become one result each.
        progress: called with an :class:`~vidsr.Event` for everything that happens, in the calling thread.
        stop: ends the work, as for :func:`vidsr.enhance`.
        within: folders, links resolved, outside which links to files are not followed. By default all are.
        keywords: single options by name.

    Returns:
        How every file ended. A file that fails raises nothing; ``result.ok`` says whether any did.

    Raises:
        OptionsError, InputError, OutputError, ModelError: nothing can be done at all.
        JobError: the queue is at work in another process, or its results were made with other options.
        VidsrError: with ``spans``, also an invalid row of the table, with its line.
        DiskFullError: no space is left.
        Interrupted: it was stopped before all was done.
    """
    chosen = chosen_options(options, keywords)
    paths = [Path(source) for source in sources]
    target = None if output is None else Path(output).absolute()
    if spans is not None:
        return enhance_parts(paths, target, Path(spans), chosen, progress, Stop.of(stop))
    planning.check_sources(paths, target, chosen)
    if target is None and len(paths) == 1 and paths[0].is_dir():
        target = planning.default_folder(paths[0], chosen, _scale(chosen))
    folder = queues_folder() / queue_id(paths, target)
    with JobLock(folder, f"vidsr jobs queue show {folder.name}"):
        run = _Run(folder, paths, target, chosen, of_job(folder.name, progress), Stop.of(stop), within)
        try:
            return run.to_end()
        finally:
            run.forget_if_empty()


def _scale(options: EnhanceOptions) -> int:
    """The model's scale, without loading it where it is known by its name."""
    from vidsr.jobs.choosing.settle import weights_of
    from vidsr.models.zoo import find

    entry = find(options.model.model)
    return entry.scale if entry is not None and entry.scale else weights_of(options).scale


class _Run:
    """One run of a queue; the folder's lock is held."""

    def __init__(
        self,
        folder: Path,
        sources: list[Path],
        output: Path | None,
        options: EnhanceOptions,
        progress: Progress,
        stop: Stop,
        within: Sequence[Path],
    ) -> None:
        self._begun_at = time.monotonic()
        self._folder, self._output = folder, output
        self._options, self._progress, self._stop = options, progress, stop
        self._ledger = Ledger(folder)
        self._files = FileList(folder, sources, output, options, self._ledger, within)
        self._key = ""
        self._crashes: dict[str, int] = {}
        self._said: set[str] = set()
        self._announced: dict[str, Ended] = {}
        self._full: DiskFullError | None = None
        self._finished = False
        self._totals = Totals(folder, progress)
        self._place = below(output) if output is not None else planning.beside(options, 1)

    def to_end(self) -> QueueResult:
        """Do everything, then report."""
        with Crew(self._options, self._folder) as crew, self._stop.gently():
            self._discover()
            facts = crew.open()
            self._key, bound = planning.result_key(self._options, facts.model_sha256)
            self._ledger.name(self._key, bound)
            if self._output is None:
                self._place = planning.beside(self._options, facts.scale)
            self._serve(crew)
        return self._finish()

    def forget_if_empty(self) -> None:
        """Leave no queue behind of which no file was ever begun, because it could not be."""
        if not self._finished and not self._ledger.ended and not self._ledger.begun:
            shutil.rmtree(self._folder, ignore_errors=True)

    # working

    def _serve(self, crew: Crew) -> None:
        """Hand files out and take answers until nothing is left to do."""
        begun, scanned, asked = time.monotonic(), time.monotonic(), ""
        while True:
            asked = self._stop_if_wished(crew, asked)
            ending = bool(asked) or self._full is not None
            if not ending:
                self._hand_out(crew)
            if crew.busy():
                self._hear(crew)
            elif ending or (
                not self._options.jobs.watch
                and (
                    # What grows is given a little time to stop, then left to another run.
                    not self._files.growing() or time.monotonic() - begun > 2 * CALM_SECONDS
                )
            ):
                return
            else:
                self._stop.soft.wait(_POLL_SECONDS)
            if time.monotonic() - scanned >= min(_SCAN_SECONDS, self._options.jobs.settle):
                self._scan()
                scanned = time.monotonic()

    def _discover(self) -> None:
        """Find files."""
        self._say(self._files.discover())
        self._announce_ends()

    def _announce_ends(self) -> None:
        """Say which files will not be opened."""
        for file in self._files.all():
            ended = self._files.ended.get(file.source)
            if ended is not None and ended != self._announced.get(file.source):
                self._announce(file, ended)

    def _scan(self) -> None:
        if self._options.jobs.watch:
            self._discover()
        elif self._files.growing():
            self._files.settle()
            self._announce_ends()

    def _hand_out(self, crew: Crew) -> None:
        """Give work to idle processes: examining new files first, since all results need their names.

        Raises:
            JobError: results made with other options are in the way.
        """
        looked_at = {worker.file.source for worker in crew.busy() if worker.file is not None}
        unseen = self._files.unseen()
        for file in unseen:
            worker = next(crew.idle(), None)
            if worker is None:
                return
            if file.source not in looked_at:
                crew.look(worker, file)
        if unseen:
            return
        for file in self._files.name_new(self._place, self._key):
            self._named(file)
        waiting = self._files.waiting()
        while (chosen := crew.choose(waiting)) is not None:
            worker, file, wide = chosen
            waiting.remove(file)
            self._begin(crew, worker, file, wide=wide)

    def _named(self, file: QueuedFile) -> None:
        """A file has its result's name, or can have none: say so, and recognise what is done."""
        if file.state == "refused":
            self._end(file, Ended(source=file.source, state="refused", reason=file.trouble, stamp=file.stamp))
            return
        if file.note:
            self._say([f"{file.name}: {file.note}"])
        decision = planning.decide(file, self._ledger, self._key, overwrite=self._options.output.overwrite)
        if decision.ended is not None:
            self._end(file, decision.ended)
        else:
            self._totals.expect(file)

    def _begin(self, crew: Crew, worker: FileWorker, file: QueuedFile, *, wide: bool) -> None:
        decision = planning.decide(file, self._ledger, self._key, overwrite=self._options.output.overwrite)
        if decision.ended is not None:
            self._end(file, decision.ended)
            return
        if not decision.resume:
            before = planning.stamp_of(file.result)
            self._ledger.begin(
                Begun(source=file.source, result=file.result, stamp=file.stamp, key=self._key, before=before)
            )
        self._files.put(replace(file, state="running"))
        self._totals.begin(file)
        crew.enhance(worker, file, wide=wide, overwrite=decision.overwrite)

    def _stop_if_wished(self, crew: Crew, asked: str) -> str:
        """Pass a stop on to the processes; what was asked for so far: "", "soft" or "now"."""
        wishes = Wishes.load(self._folder)
        if wishes.stop and wishes.run == lock_mark(self._folder):
            self._stop.soft.set()
            if wishes.stop == "now":
                self._stop.hard.set()
        for id in wishes.left_out:
            self._leave_out(crew, id)
        wanted = "now" if self._stop.hard.is_set() else "soft" if self._stop.soft.is_set() else ""
        if wanted != asked and wanted:
            crew.stop(now=wanted == "now")
        return wanted

    def _leave_out(self, crew: Crew, id: str) -> None:
        for file in self._files.all():
            if file.id != id or file.source in self._files.ended:
                continue
            for worker in crew.busy():
                if worker.file is not None and worker.file.id == id:
                    worker.settle()
                    crew.drop(worker)
            self._end(file, Ended(source=file.source, state="skipped", reason=LEFT_OUT, stamp=file.stamp))

    # listening

    def _hear(self, crew: Crew) -> None:
        """Wait a moment for one message and act on it."""
        heard = crew.hear(_POLL_SECONDS)
        if heard is None:
            return
        worker, message = heard
        if message is None:
            self._crashed(crew, worker)
            return
        if message["say"] == "broken":
            raise Failed(number=-1, kind=message["kind"], message=message["message"]).error()
        if worker.file is None or message.get("id") != worker.file.id:
            return
        if message["say"] == "event":
            self._heard(worker.file, Event(**message["event"]))
            return
        looking, file = worker.looking, worker.settle()
        assert file is not None
        if message["say"] == "looked":
            self._files.looked(file, message["frames"], tuple(message["size"]), message["suffix"])
        elif message["say"] == "done":
            self._done(file, message["result"])
        elif message["say"] == "stopped":
            self._files.put(replace(file, state="waiting"))
            self._totals.stopped(file)
        else:
            self._failed(file, Failed(number=-1, kind=message["kind"], message=message["message"]), looking=looking)

    def _heard(self, file: QueuedFile, event: Event) -> None:
        if event.kind == "frame":
            self._totals.advance(file, event.frames, event.total_frames, event.resumed_frames)
        elif event.kind == "warning":
            self._progress(Event(kind="warning", text=f"{file.name}: {event.text}"))

    def _done(self, file: QueuedFile, result: dict[str, Any]) -> None:
        ended = planning.done(
            file, self._key, frames=result["frames"], seconds=result["seconds"], notes=tuple(result["notes"])
        )
        self._ledger.end(ended)
        self._end(file, ended)

    def _failed(self, file: QueuedFile, failed: Failed, *, looking: bool) -> None:
        if failed.kind == "DiskFullError":
            # Every other file would meet it too. What is begun stays, to be resumed.
            self._full = DiskFullError(f"{file.name}: {failed.message}")
            self._files.put(replace(file, state="waiting"))
            self._totals.stopped(file)
            return
        ended = planning.not_done(file, failed.kind, failed.message)
        if not looking:
            self._ledger.end(ended)
        self._end(file, ended)

    def _crashed(self, crew: Crew, worker: FileWorker) -> None:
        """A process is gone. Its file is tried once more: it may have been chance, or a lack of memory."""
        how = crew.ended(worker)
        looking, file = worker.looking, worker.settle()
        if file is None:
            return
        self._crashes[file.source] = self._crashes.get(file.source, 0) + 1
        if self._crashes[file.source] >= CRASHES_PER_FILE:
            message = f"{how} ({self._crashes[file.source]} times)"
            self._failed(file, Failed(number=-1, kind="DecodeError", message=message), looking=looking)
            return
        self._progress(Event(kind="warning", text=f"{file.name}: {how}; trying again"))
        self._files.put(replace(file, state="waiting"))
        if not looking:
            self._totals.stopped(file)

    def _end(self, file: QueuedFile, ended: Ended) -> None:
        """Take note of how a file ended in this run, and say so."""
        if ended.before and file.source not in self._ledger.ended:
            self._ledger.end(ended)
        file = self._files.end(file, ended)
        self._totals.end(file)
        self._announce(file, ended)

    def _announce(self, file: QueuedFile, ended: Ended) -> None:
        self._announced[file.source] = ended
        files, total = len(self._files.ended), len(self._files.all())
        if ended.state in ("refused", "failed"):
            text = f"{ended.state} {file.name}: {ended.reason}"
            self._progress(Event(kind="warning", text=text, files=files, total_files=total))
        self._progress(Event(kind="file", text=f"{ended.state} {file.name}", files=files, total_files=total))

    def _say(self, texts: Iterable[str]) -> None:
        for text in texts:
            if text not in self._said:
                self._said.add(text)
                self._progress(Event(kind="note", text=text))

    # ending

    def _finish(self) -> QueueResult:
        """Report, and raise what ended the work early.

        Raises:
            DiskFullError: no space is left.
            Interrupted: it was stopped before all was done.
        """
        self._finished = True
        outcomes = self._files.outcomes()
        for outcome in outcomes:
            if outcome.state == "growing":
                self._progress(Event(kind="warning", text=f"{outcome.name}: {outcome.reason}"))
        result = QueueResult(
            queue=self._folder.name,
            output=self._output,
            files=outcomes,
            seconds=time.monotonic() - self._begun_at,
        )
        place = self._output or self._folder
        with os_errors("making", place):
            place.mkdir(parents=True, exist_ok=True)
        result = replace(result, reports=write_report(result, place))
        self._files.save()
        self._totals.close()
        if self._full is not None:
            raise self._full
        left = sum(outcome.state == "waiting" for outcome in outcomes)
        if left and self._stop.soft.is_set():
            done = result.counts.get("done", 0)
            raise Interrupted(
                f"stopped; {done} of {len(outcomes)} files are done; to resume: vidsr jobs queue resume {result.queue}"
            )
        self._progress(Event(kind="done", files=len(outcomes), total_files=len(outcomes)))
        return result
