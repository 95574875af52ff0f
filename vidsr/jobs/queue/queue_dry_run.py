"""``--dry-run`` of a queue: what would be done with each file, found by the code that does it, with nothing written."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from vidsr.errors import Interrupted, VidsrError
from vidsr.jobs.choosing.settle import weights_of
from vidsr.jobs.disk_space import CERTAINTY
from vidsr.jobs.engines.engine import check_devices
from vidsr.jobs.option_command import command_line
from vidsr.jobs.preview.dry_run import SAMPLING, DryRun, dry_run, fate_line
from vidsr.jobs.queue import planning
from vidsr.jobs.queue.file_list import FileList
from vidsr.jobs.queue.file_process import look
from vidsr.jobs.queue.parts import foreseen_parts
from vidsr.jobs.queue.queue_estimate import QueueEstimate
from vidsr.jobs.queue.records import LEFT_OUT, Ended, FileState, Ledger, QueuedFile, Wishes, queue_id, queues_folder
from vidsr.jobs.queue.report import FileOutcome
from vidsr.jobs.queue.sources import below
from vidsr.jobs.state.events import Event, Progress, silent
from vidsr.options.command_options import SamplingOptions
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.keywords import EnhanceKeywords, chosen_options


@dataclass(frozen=True, slots=True, kw_only=True)
class FileForecast:
    """What a queue would do with one file.

    Attributes:
        name: the file's place below its folder; of a part of a video, the name of its result.
        source: its path.
        state: "waiting": it would be enhanced. The others are as in :class:`~vidsr.FileOutcome`.
        reason: why, for every state but "waiting".
        result: path of the result, "" if there would be none.
        notes: how the result's name was chosen.
        run: what its job would do; None for every state but "waiting".
    """

    name: str
    source: str
    state: FileState
    reason: str = ""
    result: str = ""
    notes: tuple[str, ...] = ()
    run: DryRun | None = None

    @classmethod
    def of(cls, outcome: FileOutcome, run: DryRun | None = None) -> FileForecast:
        """The forecast for a file whose outcome is known, or that its job would do."""
        result = outcome.result if run is None else str(run.output)
        return cls(
            name=outcome.name,
            source=outcome.source,
            state=outcome.state,
            reason=outcome.reason,
            result=result,
            notes=outcome.notes,
            run=run,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        values: dict[str, Any] = {n: getattr(self, n) for n in ("name", "source", "state", "reason", "result")}
        return values | {"notes": list(self.notes), "run": None if self.run is None else self.run.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDryRun:
    """What :func:`vidsr.enhance_many` would do.

    Attributes:
        output: the folder of the results; None where each lies next to its source.
        files: every file, in the order in which they were found.
        notes: remarks about the sources as a whole.
        free_bytes: free space on the disk of the results.
        command: the command that does it.
    """

    output: Path | None
    files: tuple[FileForecast, ...]
    notes: tuple[str, ...]
    free_bytes: int
    command: str

    @property
    def runs(self) -> tuple[tuple[str, DryRun], ...]:
        """(name, run) of each file that would be enhanced."""
        return tuple((file.name, file.run) for file in self.files if file.run is not None)

    @property
    def total(self) -> QueueEstimate:
        """The estimates of all videos, and their sums."""
        return QueueEstimate(
            files=tuple((name, run.estimate) for name, run in self.runs if run.estimate is not None),
            refused=tuple((f.name, f.reason) for f in self.files if f.state == "refused"),
            pictures=sum(run.estimate is None for _, run in self.runs),
        )

    @property
    def counts(self) -> dict[str, int]:
        """How many files are in each state that occurs."""
        return dict(Counter(file.state for file in self.files))

    @property
    def fits(self) -> bool:
        """Whether the disk has room for it, as far as estimates can say."""
        return self.total.disk_bytes <= self.free_bytes * CERTAINTY

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        sums = {name: getattr(self.total, name) for name in ("frames", "seconds", "result_bytes", "disk_bytes")}
        return {
            "kind": "queue",
            "output": None if self.output is None else str(self.output),
            "counts": self.counts,
            **sums,
            "pictures": self.total.pictures,
            "free_bytes": self.free_bytes,
            "fits": self.fits,
            "notes": list(self.notes),
            "command": self.command,
            "files": [file.to_json() for file in self.files],
        }


def dry_run_many(
    sources: Sequence[Path | str],
    output: Path | str | None = None,
    *,
    spans: Path | str | None = None,
    options: EnhanceOptions | None = None,
    sampling: SamplingOptions = SAMPLING,
    progress: Progress = silent,
    within: Sequence[Path] = (),
    **keywords: Unpack[EnhanceKeywords],
) -> QueueDryRun:
    """Everything that :func:`vidsr.enhance_many` would do with the same arguments; nothing is written.

    Each video is read through once for its frames' times, and a few of its frames are enhanced.

    Args:
        sources, output, spans, options, within, keywords: as for :func:`vidsr.enhance_many`.
        sampling: for each video; its budget is that of all videos together.
        progress: called with an :class:`~vidsr.Event` for each step, and a "file" event for each file.

    Raises:
        VidsrError: whatever would stop the whole queue. What stops a single file stands in ``files``.
    """
    chosen = chosen_options(options, keywords)
    paths = [Path(source) for source in sources]
    target = None if output is None else Path(output).absolute()
    check_devices(chosen)
    notes: tuple[str, ...] = ()
    if spans is not None:
        files = list(_parts(paths, target, Path(spans), chosen, sampling, progress))
        place = target or paths[0].absolute().parent
    else:
        planning.check_sources(paths, target, chosen)
        if target is None and len(paths) == 1 and paths[0].is_dir():
            target = planning.default_folder(paths[0], chosen, weights_of(chosen).scale)
        outlook = _QueueOutlook(paths, target, chosen, within)
        notes = outlook.look(progress)
        files = outlook.forecasts(sampling, progress)
        place = target or paths[0].absolute()
    there = next(folder for folder in (place, *place.parents) if folder.is_dir())
    more = () if spans is None else ("--spans", str(spans))
    return QueueDryRun(
        output=target,
        files=tuple(files),
        notes=notes,
        free_bytes=shutil.disk_usage(there).free,
        command=command_line(paths, output, chosen, *more),
    )


def _parts(
    sources: Sequence[Path],
    output: Path | None,
    table: Path,
    options: EnhanceOptions,
    sampling: SamplingOptions,
    progress: Progress,
) -> Iterator[FileForecast]:
    """The forecast for every part that a table names."""
    parts = foreseen_parts(sources, output, table, options)
    share = _share(sampling, len(parts))
    for number, (file, chosen, decision) in enumerate(parts, 1):
        yield _forecast(file, chosen, decision, share, progress)
        progress(Event(kind="file", text=file.name, files=number, total_files=len(parts)))


def _share(sampling: SamplingOptions, count: int) -> SamplingOptions:
    return replace(sampling, budget_seconds=max(1.0, sampling.budget_seconds / max(1, count)))


def _forecast(
    file: QueuedFile,
    options: EnhanceOptions,
    decision: planning.Decision,
    sampling: SamplingOptions,
    progress: Progress,
) -> FileForecast:
    """What would be done with a file that has its result's name."""
    notes = (file.note,) if file.note else ()
    ended = decision.ended
    if ended is None:
        if decision.overwrite:
            options = replace(options, output=replace(options.output, overwrite=True))
        try:
            run = dry_run(file.source, file.result, options, sampling=sampling, progress=progress, new_folder=True)
        except Interrupted:
            raise
        except VidsrError as error:
            ended = planning.not_done(file, type(error).__name__, str(error))
        else:
            waiting = FileOutcome(name=file.name, source=file.source, state="waiting", notes=notes)
            return FileForecast.of(waiting, run)
    return FileForecast.of(FileOutcome.of(file, ended, notes))


class _UnsavedList(FileList):
    """The list of a queue's files, kept nowhere."""

    def save(self) -> None:
        """Nothing is written."""


class _QueueOutlook:
    """The files of a queue, found, looked at and named as the queue itself would."""

    def __init__(
        self, sources: list[Path], output: Path | None, options: EnhanceOptions, within: Sequence[Path]
    ) -> None:
        folder = queues_folder() / queue_id(sources, output)
        self._weights = weights_of(options)
        self._options, self._output = options, output
        self._key, bound = planning.result_key(options, self._weights.sha256)
        self._ledger = Ledger(folder, writable=False)
        self._ledger.name(self._key, bound)
        self._files = _UnsavedList(folder, sources, output, options, self._ledger, within)
        self._left_out = Wishes.load(folder).left_out

    def look(self, progress: Progress) -> tuple[str, ...]:
        """Find the files, look at each, and give their results names; remarks about the sources.

        Raises:
            InputError: a source does not exist, or there is nothing.
            JobError: results made with other options are in the way.
        """
        notes = self._files.discover()
        for file in self._files.all():
            if file.id in self._left_out:
                self._end(Ended(source=file.source, state="skipped", reason=LEFT_OUT, stamp=file.stamp), file)
        unseen = self._files.unseen()
        for number, file in enumerate(unseen, 1):
            try:
                seen = look(Path(file.source), self._options, picture=file.kind == "picture")
            except VidsrError as error:
                self._end(planning.not_done(file, type(error).__name__, str(error)), file)
            else:
                self._files.looked(file, seen["frames"], tuple(seen["size"]), seen["suffix"])
            progress(Event(kind="stage", text=f"looking at files, {number} of {len(unseen)}"))
        place = planning.beside(self._options, self._weights.scale) if self._output is None else below(self._output)
        for file in self._files.name_new(place, self._key):
            if file.state == "refused":
                self._end(Ended(source=file.source, state="refused", reason=file.trouble, stamp=file.stamp), file)
        return notes

    def forecasts(self, sampling: SamplingOptions, progress: Progress) -> list[FileForecast]:
        """What would be done with each file, in the order found."""
        todo = {file.source: file for file in self._files.waiting()}
        share = _share(sampling, sum(file.kind == "video" for file in todo.values()))
        found = []
        for outcome in self._files.outcomes():
            file = todo.get(outcome.source)
            if file is None:
                found.append(FileForecast.of(outcome))
                continue
            decision = planning.decide(file, self._ledger, self._key, overwrite=self._options.output.overwrite)
            found.append(_forecast(file, self._options, decision, share, progress))
            done = sum(forecast.source in todo for forecast in found)
            progress(Event(kind="file", text=file.name, files=done, total_files=len(todo)))
        return found

    def _end(self, ended: Ended, file: QueuedFile) -> None:
        self._files.end(file, ended)


def described_queue(found: QueueDryRun) -> str:
    """The dry run of a queue in lines for people."""
    from vidsr.storage import human_bytes, human_seconds

    total = found.total
    lines = ["dry run: nothing is written", f"results  {found.output or 'next to their sources'}"]
    lines += [f"note     {note}" for note in found.notes]
    lines += list(file_lines(found))
    models = dict.fromkeys(f"{r.model} ({r.architecture}), on {r.device} in {r.precision}" for _, r in found.runs)
    lines += [f"model    {model}" for model in models]
    pictures = f" and {total.pictures} pictures, which are not estimated" if total.pictures else ""
    others = [f"{count} {state}" for state, count in found.counts.items() if state != "waiting"]
    return "\n".join(
        [
            *lines,
            f"would do {len(total.files)} videos, {total.frames} frames{pictures}"
            + (f"; others: {', '.join(others)}" if others else ""),
            f"time     about {human_seconds(total.seconds)}, one file after the other",
            f"disk     about {human_bytes(total.disk_bytes)} while it runs, {human_bytes(total.result_bytes)} for the "
            f"results; {human_bytes(found.free_bytes)} free" + ("" if found.fits else ": too little"),
            f"command  {found.command}",
        ]
    )


def file_lines(found: QueueDryRun) -> Iterator[str]:
    """One line for each file, and what its user should know of it below."""
    from vidsr.storage import human_bytes, human_seconds

    for file in found.files:
        run = file.run
        if run is None:
            yield f"{file.state:<8} {file.name}" + (f": {file.reason}" if file.reason else "")
            continue
        cost = "a picture"
        if run.estimate is not None:
            e = run.estimate
            cost = f"{e.frames} frames, about {human_seconds(e.seconds)}, {human_bytes(e.result_bytes)}"
        yield f"enhance  {file.name} → {file.result} ({cost})"
        details = [f"resumes: {run.resumes}"] if run.resumes else []
        details += ["replaces the existing file"] if run.replaces else []
        details += [] if run.filters in ("off", "") else [f"filters: {run.filters}"]
        details += [f"steps: {', '.join(run.steps)}"] if run.steps else []
        details += [fate_line(fate) for fate in run.streams if fate.action not in ("enhance", "copy")]
        yield from (f"           {line}" for line in dict.fromkeys([*details, *file.notes, *run.losses]))
