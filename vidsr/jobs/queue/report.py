"""The outcome of a queue: one entry for each file, as a result object, a table (CSV) and JSON."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidsr.jobs.queue.records import Ended, FileState, QueuedFile
from vidsr.jobs.queue.sources import REPORT_STEM
from vidsr.storage import human_seconds, write_atomically

COLUMNS = ("state", "name", "reason", "frames", "seconds", "source", "result", "notes")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOutcome:
    """How one file of a queue ended.

    Attributes:
        name: the file's place below its folder.
        source: its path.
        state: "done"; "skipped" (of a kind that vidsr does not read, or left out on request); "refused" (it cannot be
            done as it is); "failed" (its work failed); "growing" (still being written); "waiting" (not reached).
        reason: why, for every state but "done"; for "done", "by an earlier run" if it was.
        result: path of the result, "" if there is none.
        frames: frames of the result.
        seconds: wall-clock seconds of the work.
        notes: what could not be kept, and how the result's name was chosen.
    """

    name: str
    source: str
    state: FileState
    reason: str = ""
    result: str = ""
    frames: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, file: QueuedFile, ended: Ended, notes: tuple[str, ...] = ()) -> FileOutcome:
        """The outcome of a file with a record of its end; ``notes`` come before those of the record."""
        return cls(
            name=file.name,
            source=file.source,
            state=ended.state,
            reason="by an earlier run" if ended.before else ended.reason,
            result=ended.result,
            frames=ended.frames,
            seconds=ended.seconds,
            notes=(*notes, *ended.notes),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        values: dict[str, Any] = {name: getattr(self, name) for name in COLUMNS}
        return values | {"notes": list(self.notes), "seconds": round(self.seconds, 3)}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueResult:
    """The outcome of :func:`vidsr.enhance_many`.

    Attributes:
        queue: the id by which ``vidsr jobs queue`` knows it.
        output: the folder of the results; None where each lies next to its source.
        files: every file, in the order in which they were found.
        seconds: wall-clock time of this run.
        reports: the report files that were written (JSON, CSV).
    """

    queue: str
    output: Path | None
    files: tuple[FileOutcome, ...]
    seconds: float
    reports: tuple[Path, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many files ended in each state that occurs."""
        return dict(Counter(file.state for file in self.files))

    @property
    def ok(self) -> bool:
        """Whether nothing was refused, failed, is growing or waits."""
        return all(file.state in ("done", "skipped") for file in self.files)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "kind": "queue",
            "queue": self.queue,
            "output": None if self.output is None else str(self.output),
            "ok": self.ok,
            "counts": self.counts,
            "seconds": round(self.seconds, 3),
            "files": [file.to_json() for file in self.files],
        }

    def timing_line(self) -> str:
        """One line: how many files ended how, and in what time."""
        before = sum(file.state == "done" and bool(file.reason) for file in self.files)
        words = []
        for state in ("done", "skipped", "refused", "failed", "growing", "waiting"):
            count = self.counts.get(state, 0)
            if count or state == "done":
                words.append(
                    f"{count} {state}" + (f" ({before} by an earlier run)" if state == "done" and before else "")
                )
        what = "file" if len(self.files) == 1 else "files"
        return f"{len(self.files)} {what}: {', '.join(words)}; {human_seconds(self.seconds)}"


def write_report(result: QueueResult, folder: Path) -> tuple[Path, Path]:
    """Write ``vidsr-report.json`` and ``vidsr-report.csv`` into a folder; their paths.

    Names that are not UTF-8 are written to the table byte for byte, and to JSON as lone surrogates.

    Raises:
        DiskFullError, JobError: one cannot be written.
    """
    json_path, csv_path = folder / f"{REPORT_STEM}.json", folder / f"{REPORT_STEM}.csv"
    write_atomically(json_path, (json.dumps(result.to_json(), indent=1) + "\n").encode())
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(COLUMNS)
    for file in result.files:
        row = file.to_json()
        writer.writerow([*(row[name] for name in COLUMNS[:-1]), "; ".join(file.notes)])
    write_atomically(csv_path, os.fsencode(table.getvalue()))
    return json_path, csv_path
