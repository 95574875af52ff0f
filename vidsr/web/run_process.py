"""The process that the web app starts for each run: ``python -m vidsr.web.run_process FOLDER``.

Media files are opened here and never in the server: a decoder that crashes or hangs takes down only this process.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from vidsr.errors import InputError, Interrupted, VidsrError
from vidsr.jobs.state.events import Event
from vidsr.jobs.state.lock import JobLock
from vidsr.options.command_options import SamplingOptions
from vidsr.options.enhance_options import DEFAULT_MODEL, EnhanceOptions
from vidsr.storage import write_atomically

_FRAME_EVENT_SECONDS = 0.5
_ESTIMATE_SECONDS = 30.0
_MOST_LINES = 1000
#: Measures of a job's report, and the maximum number of frames, chosen so that it takes a minute or two.
_MEASURES = ("psnr", "ssim")
_COMPARED_FRAMES = 500
REPORT_NAME = "report.html"


def run(folder: Path) -> int:
    """Execute the run in this folder, writing its events and outcome to files there.

    A run that was asked to stop before it began is not executed.
    """
    with JobLock(folder):
        outcome = _stopped(folder)
        if outcome is None:
            order = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            with (folder / "events.jsonl").open("a", encoding="utf-8") as events:
                outcome = _outcome(folder, order, events)
        write_atomically(folder / "outcome.json", json.dumps(outcome).encode())
    return 0 if outcome["state"] == "done" else 1


def _stopped(folder: Path) -> dict[str, Any] | None:
    """The outcome that a person wished for; None if nobody asked for a stop."""
    wish = folder / "wish"
    return {"state": wish.read_text(encoding="utf-8")} if wish.exists() else None


def _outcome(folder: Path, order: dict[str, Any], events: IO[str]) -> dict[str, Any]:
    try:
        work: dict[str, Callable[[Path, dict[str, Any], EventWriter], dict[str, Any]]]
        work = {"preview": _preview, "estimate": _estimate, "comparison": _comparison, "map": _map, "job": _job}
        return {"state": "done", "result": work[order["kind"]](folder, order, EventWriter(events))}
    except Interrupted as stop:
        return {**(_stopped(folder) or {"state": "paused"}), "error": str(stop)}
    except VidsrError as error:
        return {"state": "failed", "error": str(error)}
    except BaseException as error:  # the page must show that it ended, whatever the cause
        return {"state": "failed", "error": f"unexpected: {type(error).__name__}: {error}"}


def _job(folder: Path, order: dict[str, Any], report: EventWriter) -> dict[str, Any]:
    from vidsr.jobs.enhance import enhance
    from vidsr.jobs.state.cancel import stop_on_signals

    options = EnhanceOptions.from_json(order["options"])
    output = Path(order["output"]) if order["output"] else None
    if order.get("also") or order.get("spans") or Path(order["source"]).is_dir():
        from vidsr.jobs.queue.run import enhance_many

        sources, within = [order["source"], *order["also"]], [Path(root) for root in order["within"]]
        spans = order.get("spans") or None
        with stop_on_signals() as stop:
            done = enhance_many(
                sources, output, spans=spans, options=options, progress=report, stop=stop, within=within
            ).to_json()
        # The files are in the queue's own record; the list of jobs only needs the sums.
        return {name: value for name, value in done.items() if name != "files"}
    with stop_on_signals() as stop:
        result = enhance(Path(order["source"]), output, options=options, progress=report, stop=stop)
    return result.to_json()


def _preview(folder: Path, order: dict[str, Any], report: EventWriter) -> dict[str, Any]:
    from vidsr.jobs.preview.preview import enhance_moment, save_moment

    options = EnhanceOptions.from_json(order["options"])
    moment = enhance_moment(Path(order["source"]), order["at_seconds"], options)
    return save_moment(moment, folder)


def _map(folder: Path, order: dict[str, Any], report: EventWriter) -> dict[str, Any]:
    """The map of invention of a preview, from the pictures in the folder of its run."""
    from vidsr.jobs.preview.invention_map import map_preview

    device = EnhanceOptions.from_json(order["options"]).model.device
    return dict(map_preview(folder.parent / order["of"], folder, device))


def _estimate(folder: Path, order: dict[str, Any], report: EventWriter) -> dict[str, Any]:
    """What the job will do, and its cost from a few samples; short, because a user is waiting."""
    from vidsr.jobs.choosing.model_table import plan_models
    from vidsr.jobs.preview.dry_run import dry_run, outline

    options = EnhanceOptions.from_json(order["options"])
    sampling = SamplingOptions(budget_seconds=_ESTIMATE_SECONDS)
    if order.get("spans") or Path(order["source"]).is_dir():
        from vidsr.jobs.queue.queue_dry_run import dry_run_many, file_lines

        within = [Path(root) for root in order["within"]]
        many = dry_run_many(
            [order["source"]],
            order["output"],
            spans=order.get("spans") or None,
            options=options,
            sampling=sampling,
            progress=report,
            within=within,
        )
        if not many.runs:
            raise InputError("; ".join(f"{file.name}: {file.reason}" for file in many.files))
        sums = ("frames", "seconds", "result_bytes", "disk_bytes")
        figures = {name: getattr(many.total, name) for name in sums}
        return {**figures, "lines": [line.strip() for line in file_lines(many)][:_MOST_LINES]}
    found = dry_run(order["source"], order["output"], options, sampling=sampling, progress=report)
    if found.estimate is None:
        raise InputError("only videos are estimated; try pictures with a preview")
    lines = [*outline(found), *(f"note     {note}" for note in found.losses)]
    if options.model.model == DEFAULT_MODEL and options.model.finish_within is None:
        source, target = Path(order["source"]), None if order["output"] is None else Path(order["output"])
        others = plan_models(source, target, options, found.estimate, sampling, progress=report)
        lines += [f"with     {one.line}" for one in others]
    return {**found.estimate.to_json(), "lines": lines}


def _comparison(folder: Path, order: dict[str, Any], report: EventWriter) -> dict[str, Any]:
    """Compare a result with its source at the source's size, and write the page to the folder."""
    from vidsr.jobs.compare.compare import CompareSettings, compare
    from vidsr.jobs.compare.invention_report import shown_invention
    from vidsr.quality.comparison_page import page

    settings = CompareSettings(measures=_MEASURES, fit="reference", limit=_COMPARED_FRAMES)
    result = compare(Path(order["source"]), [Path(order["output"])], settings, report)
    figures = result.to_json()
    for party in (figures["reference"], *figures["results"]):
        party["path"] = Path(party["path"]).name  # do not reveal where the served folders are
    source = result.reference.path
    worst = [other.measured.worst for other in result.others]
    inventions = [shown_invention(o.party.path, source, o.measured.worst, clock="source") for o in result.others]
    text = page(figures, worst, inventions=inventions)
    write_atomically(folder / REPORT_NAME, text.encode())
    return {}


class EventWriter:
    """Writes events as JSON lines, frame events at most about twice per second."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._next = 0.0

    def __call__(self, event: Event) -> None:
        """Write one event."""
        if event.kind == "frame" and event.frames < event.total_frames and time.monotonic() < self._next:
            return
        if event.kind == "frame":
            self._next = time.monotonic() + _FRAME_EVENT_SECONDS
        self._file.write(json.dumps(event.to_json() | {"time": round(time.time(), 3)}) + "\n")
        self._file.flush()


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1])))
