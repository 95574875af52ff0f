"""The runs of the web app. Each is a folder written by a worker process; it outlives the server.

::

    RUN/
    ├── run.json       the order: source, output, options, when
    ├── events.jsonl   what the worker reports, one event a line
    ├── outcome.json   how the run ended
    ├── lock           held by the worker while it lives; contains its process id
    └── worker.log     the worker's output

A worker runs in its own session, so it continues when the server stops. A new server finds the folders, and by their
locks knows which are still running.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from vidsr.errors import InputError, JobError
from vidsr.jobs.engines.subprocess_env import child_environment, python_module
from vidsr.jobs.state.lock import is_locked, lock_owner
from vidsr.storage import write_atomically

RunState = Literal["queued", "running", "paused", "done", "failed", "cancelled"]
_ID = re.compile(r"[0-9]{8}-[0-9a-f]{12}")
_TICK_SECONDS = 0.25
_MOST_NOTES = 50
_KEPT_TRIALS = 20
#: Seconds to wait for a new worker's lock before treating it as dead.
_START_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOrder:
    """What a run has to do. ``options`` are those of ``EnhanceOptions.to_json``; ``of`` is the job to compare, or the
    preview to map.

    ``also`` are further sources: with them, or with a folder as the source, a job is a queue of files, and ``within``
    are the folders that links may not lead out of. ``spans`` is a table of parts of the source, each with a result.
    """

    source: str
    output: str | None
    options: dict[str, Any]
    kind: Literal["job", "preview", "estimate", "comparison", "map"] = "job"
    at_seconds: float = 0.0
    of: str = ""
    also: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    spans: str = ""


class Run:
    """One run, identified by its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = folder.name

    @property
    def order(self) -> dict[str, Any]:
        """The order as submitted, with ``created`` in seconds since the epoch."""
        return _json(self.folder / "run.json") or {}

    @property
    def outcome(self) -> dict[str, Any] | None:
        """How the last worker ended; None if none has run yet or one is running."""
        return _json(self.folder / "outcome.json")

    def events(self, after: int = 0, limit: int = 1000) -> tuple[list[dict[str, Any]], int]:
        """Events from line ``after`` on, and the number to continue from."""
        try:
            lines = (self.folder / "events.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
        except OSError:
            return [], after
        chosen = lines[after : after + limit]
        return [e for e in (_parsed(line) for line in chosen) if e is not None], min(len(lines), after + len(chosen))

    @property
    def stopping(self) -> bool:
        """Whether its worker was asked to stop."""
        return (self.folder / "wish").exists()

    def worker(self) -> int | None:
        """The process id of the worker if one is alive; 0 if it has not written it yet."""
        if not is_locked(self.folder):
            return None
        owner = lock_owner(self.folder)
        return owner[0] if owner else 0

    def state(self) -> RunState:
        """The current state."""
        if self.worker() is not None:
            return "running"
        outcome = self.outcome
        if outcome is not None:
            return outcome.get("state", "failed")  # type: ignore[no-any-return]
        if self.stopping:  # stopped by our signal before it wrote an outcome
            wish = (self.folder / "wish").read_text(encoding="utf-8")
            return "cancelled" if wish == "cancelled" else "paused"
        started = self.folder / "started"
        if not started.exists():
            return "queued"
        # Started, no outcome, no lock: still importing, or killed.
        return "running" if time.time() - started.stat().st_mtime < 3 else "paused"


@dataclass(slots=True)
class RunTotals:
    """The state of a run that its events add up to, and up to which byte of its file they were read."""

    output: str | None = None
    frames: int = 0
    total_frames: int = 0
    segments_done: int = 0
    fps: float | None = None
    seconds_left: float | None = None
    stage: str = ""
    notes: list[str] = field(default_factory=list)
    read_bytes: int = 0

    def take(self, event: dict[str, Any]) -> None:
        """Add one event."""
        kind, text = event.get("event"), str(event.get("text", ""))
        if kind in ("note", "warning") and text not in self.notes:
            self.notes = [*self.notes, text][-_MOST_NOTES:]
        elif kind == "job" and text:
            self.output = text
        elif kind == "stage":
            self.stage = text
        elif kind == "segment":
            self.segments_done += 1
        elif kind == "frame":
            self.stage = "frames"
            self.frames, self.total_frames = event.get("frames", 0), event.get("total_frames", 0)
            self.fps, self.seconds_left = event.get("fps"), event.get("seconds_left")


class Runs:
    """All runs, and a thread that starts queued ones in order of submission, ``parallel`` at a time."""

    def __init__(self, folder: Path, parallel: int = 1) -> None:
        self._folder = folder
        self._parallel = parallel
        self._children: list[subprocess.Popen[bytes]] = []
        self._end = threading.Event()
        self._totals_lock = threading.Lock()
        self._comparing = threading.Lock()
        self._totals: dict[str, RunTotals] = {}
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._thread = threading.Thread(target=self._serve, daemon=True, name="vidsr-runs")
        self._thread.start()

    def close(self) -> None:
        """Stop starting runs; running ones continue."""
        self._end.set()
        self._thread.join()
        for child in self._children:
            if child.poll() is None:
                child.returncode = 0  # it continues without us, which Popen would report as a leak

    def all(self, kind: str = "job") -> list[Run]:
        """All runs of a kind, the newest first."""
        found = [Run(p) for p in self._folder.iterdir() if _ID.fullmatch(p.name) and (p / "run.json").exists()]
        return sorted((r for r in found if r.order.get("kind") == kind), key=lambda r: -r.order.get("created", 0))

    def get(self, run_id: str) -> Run:
        """The run with this id.

        Raises:
            InputError: no run has this id.
        """
        folder = self._folder / run_id
        if not _ID.fullmatch(run_id) or not (folder / "run.json").is_file():
            raise InputError("no such job")
        return Run(folder)

    def totals(self, run: Run) -> RunTotals:
        """A run's progress; reads only the events added since the last call."""
        with self._totals_lock:
            totals = self._totals.setdefault(run.id, RunTotals(output=run.order.get("output")))
            with contextlib.suppress(OSError), (run.folder / "events.jsonl").open("rb") as file:
                file.seek(totals.read_bytes)
                whole, end, _ = file.read().rpartition(b"\n")
                totals.read_bytes += len(whole) + len(end)
                for line in whole.splitlines():
                    event = _parsed(line.decode("utf-8", "replace"))
                    if event is not None:
                        totals.take(event)
            return replace(totals)

    def _forget_old(self, kind: str) -> None:
        for old in self.all(kind)[_KEPT_TRIALS:]:
            if old.state() not in ("queued", "running"):
                shutil.rmtree(old.folder, ignore_errors=True)

    def submit(self, order: RunOrder) -> Run:
        """Queue an order."""
        if order.kind in ("preview", "estimate", "map"):
            self._forget_old(order.kind)
        name = time.strftime("%Y%m%d") + "-" + secrets.token_hex(6)
        folder = self._folder / name
        folder.mkdir(mode=0o700)
        entry = {
            "source": order.source,
            "output": order.output,
            "options": order.options,
            "kind": order.kind,
            "at_seconds": order.at_seconds,
            "of": order.of,
            "also": list(order.also),
            "within": list(order.within),
            "spans": order.spans,
            "created": time.time(),
        }
        write_atomically(folder / "run.json", json.dumps(entry).encode())
        return Run(folder)

    def comparison(self, job: Run, output: Path) -> Run:
        """The comparison of a finished job's result with its source; queued if there is none yet."""
        with self._comparing:
            for run in self.all("comparison"):
                if run.order.get("of") == job.id:
                    return run
            source = str(job.order["source"])
            return self.submit(RunOrder(source=source, output=str(output), options={}, kind="comparison", of=job.id))

    def pause(self, run: Run) -> None:
        """Ask the worker to stop after the current segment; a second call stops it at once. Finished segments are
        kept.

        Raises:
            JobError: it is not running.
        """
        self._stop(run, "paused")

    def cancel(self, run: Run) -> None:
        """Cancel the run at once.

        Raises:
            JobError: it has already ended.
        """
        if run.state() in ("queued", "paused", "failed"):
            self._settle(run, "cancelled")
            return
        self._stop(run, "cancelled")
        self._stop(run, "cancelled")  # the second signal does not wait for the current segment

    def resume(self, run: Run) -> None:
        """Put a paused, failed or cancelled run back into the queue; the job continues where it stopped.

        Raises:
            JobError: it is queued, running or done.
        """
        if run.state() not in ("paused", "failed", "cancelled"):
            raise JobError(f"this job is {run.state()}: there is nothing to resume")
        for name in ("wish", "started", "outcome.json"):
            (run.folder / name).unlink(missing_ok=True)

    def remove(self, run: Run) -> None:
        """Remove a run; its result is kept.

        Raises:
            JobError: it is running.
        """
        if run.state() == "running":
            raise JobError("this job is running; pause or cancel it first")
        for made in self.all("comparison"):
            if made.order.get("of") == run.id:
                if made.state() == "running":
                    raise JobError("this job's report is being made; try again when it is done")
                shutil.rmtree(made.folder)
        shutil.rmtree(run.folder)
        with self._totals_lock:
            self._totals.pop(run.id, None)

    def _stop(self, run: Run, wish: str) -> None:
        if run.worker() is None and run.state() != "running":
            if run.stopping:
                return  # it has just stopped as requested
            raise JobError(f"this job is {run.state()}, not running")
        write_atomically(run.folder / "wish", wish.encode())
        pid = run.worker()
        if pid:  # a worker that is only starting reads the wish before it begins
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def _settle(self, run: Run, state: RunState) -> None:
        write_atomically(run.folder / "outcome.json", json.dumps({"state": state}).encode())

    def _serve(self) -> None:
        while not self._end.wait(_TICK_SECONDS):
            self._children = [c for c in self._children if c.poll() is None]
            with contextlib.suppress(OSError):  # a folder may disappear while it is read
                self._start_what_waits()

    def _start_what_waits(self) -> None:
        for kind, room in (("preview", 1), ("map", 1), ("estimate", 1), ("comparison", 1), ("job", self._parallel)):
            runs = self.all(kind)
            states = {run.id: run.state() for run in runs}
            free = room - sum(state == "running" for state in states.values())
            waiting = [run for run in reversed(runs) if states[run.id] == "queued"]
            for run in waiting[: max(0, free)]:
                self._start(run)

    def _start(self, run: Run) -> None:
        (run.folder / "started").touch()
        with (run.folder / "worker.log").open("ab") as log:
            child = subprocess.Popen(
                [*python_module("vidsr.web.run_process"), str(run.folder)],
                env=child_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._children.append(child)
        deadline = time.monotonic() + _START_SECONDS
        while run.worker() is None and child.poll() is None and time.monotonic() < deadline:
            (run.folder / "started").touch()
            if self._end.wait(0.05):
                return


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
