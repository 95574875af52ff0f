"""The list of a queue's files while it runs: found, settled, examined, named, ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vidsr.errors import InputError, OptionsError, VidsrError
from vidsr.jobs.queue import planning
from vidsr.jobs.queue.growing import Settling
from vidsr.jobs.queue.records import Ended, FileState, Ledger, QueuedFile, QueueRecord, Wishes
from vidsr.jobs.queue.report import FileOutcome
from vidsr.jobs.queue.sources import Found, Place
from vidsr.media.source_files import files_of
from vidsr.options.enhance_options import EnhanceOptions

#: Seconds without a change after which a file is taken where ``--watch`` does not wait for more to come.
CALM_SECONDS = 2.0
_GROWING = "is still being written; run the same command again when it is complete"


class FileList:
    """Every file of a queue by its source, in the order found. ``ended`` says how files ended in this run."""

    def __init__(
        self,
        folder: Path,
        sources: list[Path],
        output: Path | None,
        options: EnhanceOptions,
        ledger: Ledger,
        within: Sequence[Path] = (),
    ) -> None:
        self._within = within
        self.ended: dict[str, Ended] = {}
        self._folder, self._sources, self._output, self._options = folder, sources, output, options
        self._ledger = ledger
        self._record = QueueRecord(
            id=folder.name,
            sources=tuple(str(source.absolute()) for source in sources),
            output=None if output is None else str(output),
            options=options.to_json(),
            watch=options.jobs.watch,
            created=time.time(),
        )
        self._earlier = _earlier_files(folder, self._record)
        self._files: dict[str, QueuedFile] = {}
        self._found: dict[str, Found] = {}
        self._suffixes: dict[str, str] = {}
        self._settling = Settling(options.jobs.settle if options.jobs.watch else min(options.jobs.settle, CALM_SECONDS))

    def all(self) -> list[QueuedFile]:
        """All files."""
        return list(self._files.values())

    def growing(self) -> list[QueuedFile]:
        """Files that may still be written to."""
        return [file for file in self._files.values() if file.state == "growing"]

    def put(self, file: QueuedFile) -> None:
        """Replace what is known of a file."""
        self._files[file.source] = file

    def end(self, file: QueuedFile, ended: Ended) -> QueuedFile:
        """Take note of how a file ended."""
        self.ended[file.source] = ended
        self._files[file.source] = replace(self._files[file.source], state=ended.state, trouble=ended.reason)
        return self._files[file.source]

    def save(self) -> None:
        """Write the queue's record.

        Raises:
            JobError, DiskFullError: it cannot be written.
        """
        self._record.files = self.all()
        self._record.save(self._folder)

    def discover(self) -> tuple[str, ...]:
        """Find what is there now, and which of it has stopped growing; remarks for the user.

        Raises:
            InputError: a source does not exist, or there is nothing, and nothing is waited for.
            OptionsError: the options name a part of a video, and there are only pictures.
        """
        try:
            discovery = planning.discover(
                self._sources, self._output, join=self._options.source.join, within=self._within
            )
        except InputError:
            if not self._options.jobs.watch:
                raise
            return ()  # nothing has arrived yet
        self._check_span(discovery.found)
        results = {ended.result for ended in self._ledger.results().values()}
        known = len(self._files)
        for entry in discovery.found:
            source = str(entry.path)
            if source in self._files and not self._came_anew(entry):
                continue
            self._found[source] = entry
            self._suffixes.pop(source, None)
            self.ended.pop(source, None)
            file = planning.queued(entry)
            if file.state == "waiting" and source in results:
                file = replace(file, state="skipped", trouble="a result of this queue")
            self._files[source] = replace(file, state="growing") if file.state == "waiting" else file
            if file.state != "waiting":
                self._not_taken(file)
        before = len(self.growing())
        self.settle()
        if len(self._files) != known or len(self.growing()) != before:
            self.save()
        return discovery.notes

    def _check_span(self, found: Sequence[Found]) -> None:
        """Refuse a part of pictures alone: each of them would say the same.

        Raises:
            OptionsError: the options name a part of a video, and there is no video.
        """
        known = [entry for entry in found if not entry.foreign]
        span = self._options.span
        if span.is_whole or self._options.jobs.watch or not all(entry.is_picture for entry in known):
            return
        raise OptionsError(
            f"{span}: there are only pictures, and only videos have parts; name numbered pictures by their pattern "
            "(frames/%06d.png)"
        )

    def _came_anew(self, entry: Found) -> bool:
        """Whether a file that has ended was written to since: a capture that went on, or one that was empty before."""
        ended = self.ended.get(str(entry.path))
        if ended is None or entry.trouble or not self._options.jobs.watch:
            return False
        return planning.stamp_of(str(entry.path)) != ended.stamp

    def settle(self) -> None:
        """Queue the files that have stopped growing."""
        now = {file.source: planning.queued(self._found[file.source]) for file in self.growing()}
        waiting = [file for file in now.values() if file.state == "waiting"]
        members = {file.source: _members(file) for file in waiting}
        settled = self._settling.settled([path for paths in members.values() for path in paths])
        for file in now.values():
            if file.state != "waiting":
                self._not_taken(file)
            elif members[file.source] and settled.issuperset(members[file.source]):
                self._files[file.source] = planning.queued(self._found[file.source])

    def _not_taken(self, file: QueuedFile) -> None:
        """A file will not be opened. In a watched folder, a file that disappears may just have been renamed."""
        state: FileState = "skipped" if self._options.jobs.watch and file.trouble == planning.GONE else file.state
        self._files[file.source] = replace(file, state=state)
        self.end(file, Ended(source=file.source, state=state, reason=file.trouble, stamp=file.stamp))

    def unseen(self) -> list[QueuedFile]:
        """Files not examined yet; the findings of an earlier run are used."""
        for file in self._new():
            before = self._earlier.get(file.source)
            if file.source not in self._suffixes and before is not None and before.stamp == file.stamp:
                self.looked(file, before.frames, before.size, Path(before.result).suffix)
        return [file for file in self._new() if file.source not in self._suffixes]

    def looked(self, file: QueuedFile, frames: int, size: tuple[int, int], suffix: str) -> None:
        """Take note of what a file holds, and of the suffix of its result."""
        self._suffixes[file.source] = suffix
        self._files[file.source] = replace(file, frames=frames, size=size)

    def _new(self) -> list[QueuedFile]:
        return [
            file
            for file in self._files.values()
            if file.state == "waiting" and not file.result and file.source not in self.ended
        ]

    def name_new(self, place: Place, key: str) -> list[QueuedFile]:
        """Give the results of new files their names; those files, of which some may be refused.

        Raises:
            JobError: results made with other options are in the way.
        """
        new = self._new()
        if not new:
            return []
        kept = self._kept(new)
        entries = [(self._found[file.source], file, self._suffixes[file.source]) for file in new]
        ready = planning.named(entries, place, kept)
        if not self._options.output.overwrite:
            planning.check_options(ready, self._ledger, key, str(self._output or "this folder"))
        for file in ready:
            self._files[file.source] = file
        self.save()
        return ready

    def _kept(self, new: Sequence[QueuedFile]) -> dict[str, str]:
        """source → result of all that have a name: files named before, and finished results of earlier runs."""
        kept = {file.source: file.result for file in self._files.values() if file.result}
        suffixes = {file.source: self._suffixes[file.source] for file in new}
        for ended in self._ledger.results().values():
            gone = ended.source not in suffixes
            if gone or (Path(ended.result).suffix == suffixes[ended.source] and self._is_here(ended.result)):
                kept.setdefault(ended.source, ended.result)
        return kept

    def _is_here(self, result: str) -> bool:
        if self._output is not None:
            return Path(result).is_relative_to(self._output)
        return True

    def waiting(self) -> list[QueuedFile]:
        """The files that can begin, in the requested order."""
        waiting = [
            file
            for file in self._files.values()
            if file.state == "waiting" and file.result and file.source not in self.ended
        ]
        order = {id: number for number, id in enumerate(Wishes.load(self._folder).order)}
        return sorted(waiting, key=lambda file: order.get(file.id, len(order)))

    def outcomes(self) -> tuple[FileOutcome, ...]:
        """How every file ended, or that it did not."""
        return tuple(self._outcome(file) for file in self._files.values())

    def _outcome(self, file: QueuedFile) -> FileOutcome:
        ended = self.ended.get(file.source)
        notes = (file.note,) if file.note else ()
        if ended is None:
            reason = _GROWING if file.state == "growing" else file.trouble
            return FileOutcome(name=file.name, source=file.source, state=file.state, reason=reason, notes=notes)
        return FileOutcome.of(file, ended, notes)


def _earlier_files(folder: Path, record: QueueRecord) -> dict[str, QueuedFile]:
    """What an earlier run with the same output and encoding found out about files, by their source."""
    try:
        before = QueueRecord.load(folder)
    except VidsrError:
        return {}
    groups = ("encode", "pictures", "source", "streams", "colour")
    if any(before.options.get(group) != record.options[group] for group in groups):
        return {}
    return {file.source: file for file in before.files if file.result}


def _members(file: QueuedFile) -> Sequence[Path]:
    try:
        return files_of(Path(file.source))
    except InputError:
        return ()
