"""Several parts of one video, each an ordinary job with a result of its own, resumable as a whole.

Finished results are recognised as those of a queue: by a :class:`~vidsr.jobs.queue.records.Ledger`, here with one entry
for each part.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from vidsr.errors import DiskFullError, InputError, Interrupted, JobError, OptionsError, OutputError, VidsrError
from vidsr.jobs.choosing.settle import refuse_within, settle
from vidsr.jobs.enhance import enhance_source, kind_of
from vidsr.jobs.open_source import open_source
from vidsr.jobs.queue import planning
from vidsr.jobs.queue.parts_table import PartRow, read_parts
from vidsr.jobs.queue.records import Begun, Ended, Ledger, QueuedFile, queue_id, queues_folder
from vidsr.jobs.queue.report import FileOutcome, QueueResult, write_report
from vidsr.jobs.queue.totals import Totals
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.events import Event, Progress, of_job
from vidsr.jobs.state.lock import JobLock
from vidsr.media.encode.codec_choice import choose_codec
from vidsr.media.joined import first_of
from vidsr.media.mux.containers import CONTAINERS, choose_suffix
from vidsr.media.samples import expected_frames
from vidsr.media.source import StoredInfo
from vidsr.media.source_files import stamp
from vidsr.options.enhance_options import EnhanceOptions, default_output
from vidsr.options.span_options import write_time
from vidsr.storage import os_errors

#: A time this far past the end that a file claims may still be within it: players and headers round.
_PAST_SECONDS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _PartJob:
    """One row, with all that its job needs. ``place`` names its line for messages."""

    file: QueuedFile
    options: EnhanceOptions
    key: str
    place: str


def enhance_parts(
    sources: Sequence[Path], output: Path | None, table: Path, options: EnhanceOptions, progress: Progress, stop: Stop
) -> QueueResult:
    """Enhance every part that a table names; see :func:`vidsr.enhance_many`.

    Args:
        sources: the video, and nothing else.
        output: the folder for the results; None for the folder of the source.
        table: see :func:`vidsr.jobs.queue.parts_table.read_parts`.
        options: for all parts, without a part of their own.
        progress: called with the events of all parts, in frames of all of them.
        stop: ends the work.

    Raises:
        VidsrError: as :func:`vidsr.enhance_many`; what is wrong with the table is found before any work.
    """
    source = _only_source(sources, output, options)
    options = settle(source, None, options, "video").options
    rows = read_parts(table, exact_sound=options.span.exact_sound)
    folder = _state_folder(source, output)
    info = open_source(source, options)
    with JobLock(folder, "another run on the same parts"):
        ledger = Ledger(folder)
        try:
            parts = _planned(rows, table, source, output or source.parent, info, options, ledger)
            return _PartsRun(parts, ledger, folder, output, of_job(folder.name, progress), stop).to_end()
        finally:
            if not ledger.ended and not ledger.begun:
                shutil.rmtree(folder, ignore_errors=True)


def foreseen_parts(
    sources: Sequence[Path], output: Path | None, table: Path, options: EnhanceOptions
) -> list[tuple[QueuedFile, EnhanceOptions, planning.Decision]]:
    """Every part that a table names, the options of its job, and what would be done with it. Nothing is written.

    Raises:
        VidsrError: as :func:`enhance_parts`, before any work.
    """
    source = _only_source(sources, output, options)
    options = settle(source, None, options, "video").options
    rows = read_parts(table, exact_sound=options.span.exact_sound)
    ledger = Ledger(_state_folder(source, output), writable=False)
    info = open_source(source, options)
    parts = _planned(rows, table, source, output or source.parent, info, options, ledger)
    overwrite = options.output.overwrite
    return [(p.file, p.options, planning.decide(p.file, ledger, p.key, overwrite=overwrite)) for p in parts]


def _state_folder(source: Path, output: Path | None) -> Path:
    """Where the record of a source's parts is."""
    return queues_folder().with_name("parts") / queue_id([source], output)


def _only_source(sources: Sequence[Path], output: Path | None, options: EnhanceOptions) -> Path:
    """The source, as an absolute path.

    Raises:
        OptionsError: ``--spans`` contradicts the sources or other options.
        OutputError: the output is no folder.
    """
    if len(sources) != 1:
        raise OptionsError(f"--spans takes parts of one video, {len(sources)} sources are given")
    if not options.span.is_whole:
        raise OptionsError(f"--spans and {options.span} contradict each other: the table names the parts")
    if options.jobs.watch:
        raise OptionsError("--spans and --watch contradict each other: a single source is not watched")
    refuse_within(options)
    source = sources[0].absolute()
    if kind_of(source, None) != "video":
        raise OptionsError(f"--spans: {source} is not a video file, only videos have parts")
    if output is not None and (output.is_file() or (not output.exists() and output.suffix.lower() in CONTAINERS)):
        raise OutputError(f"{output} is a file; with --spans, name a folder for the results")
    return source


def _planned(
    rows: Sequence[PartRow],
    table: Path,
    source: Path,
    target: Path,
    info: StoredInfo,
    options: EnhanceOptions,
    ledger: Ledger,
) -> list[_PartJob]:
    """The parts with their results' paths, none of which will replace what is not its own.

    Raises:
        InputError: a part lies past the end of the source, or two parts or names are the same.
        OutputError, JobError: what lies under a result's name is in the way.
    """
    from vidsr.models.zoo import load_chosen

    model = load_chosen(options.model)
    suffix = choose_suffix(info, choose_codec(info, options.encode, "")[0].codec)
    source_stamp, size = stamp(source), (info.video.width, info.video.height)
    named: dict[str, int] = {}
    spans: dict[str, int] = {}
    parts = []
    for row in rows:
        place = f"{table}, line {row.line}"
        _check_end(row, info, f"{place}: {source.name}")
        name = row.name or default_output(first_of(source), options.size, model.scale, suffix, row.span).name
        if Path(name).suffix.lower() not in CONTAINERS:
            name += suffix
        # Windows and macOS do not distinguish capitals.
        other = named.setdefault(name.casefold(), row.line)
        if other != row.line:
            raise InputError(f"{place}: the result {name} is that of line {other}, too; give another name")
        other = spans.setdefault(str(row.span), row.line)
        if other != row.line:
            raise InputError(f"{place}: the same part as line {other}; name it once")
        chosen = replace(options, span=row.span)
        key, bound = planning.result_key(chosen, model.sha256)
        file = QueuedFile(
            name=name,
            source=str(source),
            part=str(row.span),
            result=str(target / name),
            stamp=source_stamp,
            frames=_frames(row, info),
            size=size,
        )
        part = _PartJob(file=file, options=chosen, key=key, place=place)
        _check_result(part, bound, ledger)
        parts.append(part)
    return parts


def _check_result(part: _PartJob, bound: dict[str, object], ledger: Ledger) -> None:
    """Refuse to touch what is not this part's own result.

    Raises:
        OutputError, JobError: something else has the result's name.
    """
    result, overwrite = Path(part.file.result), part.options.output.overwrite
    ledger.name(part.key, bound)
    if result.is_dir():
        raise OutputError(f"{part.place}: {result} is a folder; give another name")
    if result.exists() and result.samefile(part.file.source):
        raise OutputError(f"{part.place}: {result} is the source file; give another name")
    if overwrite:
        return
    try:
        planning.check_options([part.file], ledger, part.key, str(result.parent))
    except JobError as error:
        raise JobError(f"{part.place}: {result.name}: {error}") from error
    ended = planning.decide(part.file, ledger, part.key, overwrite=False).ended
    if ended is not None and ended.state == "refused":
        raise OutputError(f"{part.place}: {ended.reason}")


def _length(info: StoredInfo) -> Fraction | None:
    """Seconds that the source claims to last, None if it claims nothing."""
    return info.video.duration * info.video.time_base if info.video.duration else None


def _check_end(row: PartRow, info: StoredInfo, where: str) -> None:
    """Refuse a part past the end of the source, where its header says where that is."""
    span, count, length = row.span, info.video.declared_frames, _length(info)
    if span.frames is not None:
        if count and max(span.frames.first + 1, span.frames.stop or 0) > count:
            raise InputError(f"{where} has {count} frames, 0 to {count - 1}; {span} lies past its end")
    elif length is not None and max(span.begin, (span.finish or Fraction(0)) - _PAST_SECONDS) >= length:
        lasts = write_time(Fraction(round(1000 * length), 1000))
        raise InputError(f"{where} lasts {lasts}; {span} lies past its end")


def _frames(row: PartRow, info: StoredInfo) -> int:
    """About how many frames a part has, by which progress is shared out until its job knows better."""
    span, count, length = row.span, expected_frames(info) or 0, _length(info)
    if span.frames is not None:
        return (span.frames.stop or max(count, span.frames.first + 1)) - span.frames.first
    if not length:
        return count
    return max(1, round(count * (min(span.finish or length, length) - span.begin) / length))


class _PartsRun:
    """One run over all parts; the folder's lock is held."""

    def __init__(
        self, parts: list[_PartJob], ledger: Ledger, folder: Path, output: Path | None, progress: Progress, stop: Stop
    ) -> None:
        self._begun_at = time.monotonic()
        self._parts, self._ledger, self._folder, self._output = parts, ledger, folder, output
        self._progress, self._stop = progress, stop
        self._totals = Totals(folder, progress)
        self._ended: dict[str, Ended] = {}

    def to_end(self) -> QueueResult:
        """Do every part that is not done, then report.

        Raises:
            DiskFullError: no space is left.
            Interrupted: it was stopped before all was done.
        """
        todo = []
        for part in self._parts:
            before = planning.decide(part.file, self._ledger, part.key, overwrite=part.options.output.overwrite).ended
            if before is None:
                self._totals.expect(part.file)
                todo.append(part)
            else:
                self._end(part, before)
        full: DiskFullError | None = None
        try:
            for part in todo:
                if self._stop.soft.is_set():
                    break
                self._do(part)
        except Interrupted:
            pass  # what is half done is resumed by the next run
        except DiskFullError as error:
            full = error
        result = self._reported()
        if full is not None:
            raise full
        if len(self._ended) < len(self._parts):
            done = result.counts.get("done", 0)
            raise Interrupted(
                f"stopped; {done} of {len(self._parts)} parts are done; to resume, run the same command again"
            )
        self._progress(Event(kind="done", files=len(self._parts), total_files=len(self._parts)))
        return result

    def _do(self, part: _PartJob) -> None:
        """Do one part. How it fails is recorded and ends nothing else.

        Raises:
            DiskFullError, Interrupted: nothing else can be done either.
        """
        file, options = part.file, part.options
        decision = planning.decide(file, self._ledger, part.key, overwrite=options.output.overwrite)
        if decision.ended is not None:  # something has taken the name since
            self._end(part, decision.ended)
            return
        if not decision.resume:
            before = planning.stamp_of(file.result)
            self._ledger.begin(
                Begun(
                    source=file.source,
                    part=file.part,
                    result=file.result,
                    stamp=file.stamp,
                    key=part.key,
                    before=before,
                )
            )
        if decision.overwrite:
            options = replace(options, output=replace(options.output, overwrite=True))
        self._totals.begin(file)
        result = Path(file.result)
        try:
            with os_errors("making", result.parent):
                result.parent.mkdir(parents=True, exist_ok=True)
            made = enhance_source(
                Path(file.source), result, options, progress=lambda event: self._heard(file, event), stop=self._stop
            )
        except (DiskFullError, Interrupted):
            self._totals.stopped(file)
            raise
        except VidsrError as error:
            ended = planning.not_done(file, type(error).__name__, str(error))
        else:
            ended = planning.done(file, part.key, frames=made.frames, seconds=made.seconds, notes=made.notes)
        self._ledger.end(ended)
        self._end(part, ended)

    def _heard(self, file: QueuedFile, event: Event) -> None:
        if event.kind == "frame":
            self._totals.advance(file, event.frames, event.total_frames, event.resumed_frames)
        elif event.kind == "warning":
            self._progress(Event(kind="warning", text=f"{file.name}: {event.text}"))

    def _end(self, part: _PartJob, ended: Ended) -> None:
        """Take note of how a part ended, and say so."""
        file = part.file
        if ended.before and file.entry in self._ledger.begun:
            self._ledger.end(ended)
        self._ended[file.entry] = ended
        self._totals.end(replace(file, state=ended.state))
        files, total = len(self._ended), len(self._parts)
        if ended.state != "done":
            text = f"{ended.state} {file.name}: {ended.reason}"
            self._progress(Event(kind="warning", text=text, files=files, total_files=total))
        self._progress(Event(kind="file", text=f"{ended.state} {file.name}", files=files, total_files=total))

    def _reported(self) -> QueueResult:
        """The outcome so far, also written to the report."""
        self._totals.close()
        result = QueueResult(
            queue=self._folder.name,
            output=self._output,
            files=tuple(self._outcome(part.file) for part in self._parts),
            seconds=time.monotonic() - self._begun_at,
        )
        place = self._output or self._folder
        with os_errors("making", place):
            place.mkdir(parents=True, exist_ok=True)
        return replace(result, reports=write_report(result, place))

    def _outcome(self, file: QueuedFile) -> FileOutcome:
        ended = self._ended.get(file.entry)
        if ended is None:
            return FileOutcome(name=file.name, source=file.source, state="waiting")
        return FileOutcome.of(file, ended)
