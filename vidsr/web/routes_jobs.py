"""API routes about jobs: submit, watch, pause, resume, cancel, fetch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import FileResponse

from vidsr.errors import InputError, OptionsError, OutputError
from vidsr.jobs.invention.master_name import master_of
from vidsr.jobs.state.job_folders import LIVE_NAME, job_folder
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.web.allowed_paths import folder_inside, inside, output_inside, shown
from vidsr.web.option_fields import checked_options
from vidsr.web.routes_files import settings_of
from vidsr.web.runs import Run, RunOrder, Runs
from vidsr.web.schemas import Events, JobRun, NewJob, Problem

router = APIRouter(
    prefix="/api/v1",
    tags=["jobs"],
    responses={code: {"model": Problem} for code in (400, 401, 403, 404, 422)},
)
Id = Annotated[str, Path(pattern=r"^[0-9]{8}-[0-9a-f]{12}$", description="The id of a job or preview.")]
CONFLICT: dict[int | str, dict[str, Any]] = {409: {"model": Problem}}


def runs_of(request: Request) -> Runs:
    """The runs of the app that serves this request."""
    runs: Runs = request.app.state.runs
    return runs


@router.post("/jobs", status_code=201, responses=CONFLICT)
def new_job(request: Request, wanted: NewJob) -> JobRun:
    """Put a job into the queue."""
    roots = settings_of(request).roots
    source = source_inside(wanted.source, roots)
    options = checked_options(wanted.options, roots)
    if wanted.spans is not None and (wanted.also or wanted.watch or source.is_dir()):
        raise OptionsError("spans: a table names parts of one video")
    if wanted.spans is not None:
        order = RunOrder(
            source=str(source),
            output=None if wanted.output is None else str(folder_inside(wanted.output, roots)),
            options=options.to_json(),
            within=tuple(map(str, roots)),
            spans=str(source_inside(wanted.spans, roots)),
        )
        return _job(runs_of(request).submit(order), request)
    if wanted.also or source.is_dir():
        return _job(runs_of(request).submit(_queue_order(wanted, source, options, roots)), request)
    if wanted.watch:
        raise OptionsError("watch: give a folder into which files arrive")
    output = None if wanted.output is None else str(output_inside(wanted.output, roots))
    order = RunOrder(source=str(source), output=output, options=options.to_json())
    return _job(runs_of(request).submit(order), request)


def _queue_order(wanted: NewJob, source: FilePath, options: EnhanceOptions, roots: tuple[FilePath, ...]) -> RunOrder:
    """The order for a queue of files, whose results stay inside the served folders.

    Raises:
        OptionsError, OutputError, InputError: it cannot be run as requested.
    """
    from vidsr.jobs.queue.planning import check_sources

    also = [source_inside(text, roots) for text in wanted.also]
    options = replace(options, jobs=replace(options.jobs, watch=wanted.watch))
    output = None if wanted.output is None else folder_inside(wanted.output, roots)
    check_sources([source, *also], output, options)
    if output is None and source in roots:
        raise OutputError("the results of a whole served folder need a place in it: name a folder for them")
    return RunOrder(
        source=str(source),
        output=None if output is None else str(output),
        options=options.to_json(),
        also=tuple(map(str, also)),
        within=tuple(map(str, roots)),
    )


@router.get("/jobs")
def jobs(request: Request) -> list[JobRun]:
    """All jobs, the newest first."""
    return [_job(run, request) for run in runs_of(request).all()]


@router.get("/jobs/{run_id}")
def job(request: Request, run_id: Id) -> JobRun:
    """The state and progress of a job."""
    return _job(run_of(request, run_id), request)


@router.get("/jobs/{run_id}/events")
def events(request: Request, run_id: Id, after: Annotated[int, Query(ge=0, le=2**53)] = 0) -> Events:
    """A job's events from number ``after`` on, at most 1,000."""
    found, following = run_of(request, run_id).events(after)
    return Events(events=found, next=following)


@router.post("/jobs/{run_id}/pause", responses=CONFLICT)
def pause(request: Request, run_id: Id) -> JobRun:
    """Stop a running job after the current segment; a second request stops it at once. Finished segments are kept."""
    run = run_of(request, run_id)
    runs_of(request).pause(run)
    return _job(run, request)


@router.post("/jobs/{run_id}/resume", responses=CONFLICT)
def resume(request: Request, run_id: Id) -> JobRun:
    """Resume a paused, failed or cancelled job."""
    run = run_of(request, run_id)
    runs_of(request).resume(run)
    return _job(run, request)


@router.post("/jobs/{run_id}/cancel", responses=CONFLICT)
def cancel(request: Request, run_id: Id) -> JobRun:
    """Cancel a job."""
    run = run_of(request, run_id)
    runs_of(request).cancel(run)
    return _job(run, request)


@router.delete("/jobs/{run_id}", status_code=204, responses=CONFLICT)
def remove(request: Request, run_id: Id) -> None:
    """Remove a job that is not running from the list. Its result is kept."""
    runs_of(request).remove(run_of(request, run_id))


@router.get(
    "/jobs/{run_id}/result",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}, 206: {"content": {"application/octet-stream": {}}}},
)
def result(request: Request, run_id: Id, download: bool = True) -> Response:
    """The result as a file; supports range requests, so that a browser can play it."""
    file = result_file(run_of(request, run_id), request)
    if file is None:
        raise InputError("this job has no result (yet)")
    kind = _MEDIA_TYPES.get(file.suffix.lower(), "application/octet-stream")
    disposition = "attachment" if download else "inline"
    return FileResponse(file, media_type=kind, filename=file.name, content_disposition_type=disposition)


@router.get(
    "/jobs/{run_id}/master",
    response_class=Response,
    responses={200: {"content": {"video/x-matroska": {}}}, 206: {"content": {"video/x-matroska": {}}}},
)
def master(request: Request, run_id: Id) -> Response:
    """The preservation master of a finished job with the option ``masters``; supports range requests."""
    file = _master_file(run_of(request, run_id), request)
    if file is None:
        raise InputError("this job has no preservation master (yet)")
    return FileResponse(file, media_type="video/x-matroska", filename=file.name)


_MEDIA_TYPES = {
    ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm",
    ".mkv": "video/x-matroska", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
    ".webp": "image/webp", ".gif": "image/gif", ".avif": "image/avif",
}  # fmt: skip


def comparable(file: FilePath | None) -> bool:
    """Whether a result is a video, which can be compared with its source frame by frame."""
    return file is not None and _MEDIA_TYPES.get(file.suffix.lower(), "").startswith("video/")


@router.get("/jobs/{run_id}/report", response_class=Response, responses={200: {"content": {"application/json": {}}}})
def report(request: Request, run_id: Id) -> Response:
    """The provenance record of a finished job: digests, options, versions."""
    file = _report_file(run_of(request, run_id), request)
    if file is None:
        raise InputError("this job has no provenance record")
    return FileResponse(file, media_type="application/json")


@router.get(
    "/jobs/{run_id}/thumbnail.jpg",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}, 204: {"description": "No frame is finished yet."}},
)
def thumbnail(request: Request, run_id: Id) -> Response:
    """The most recently finished frame, at most 480 pixels wide."""
    output = runs_of(request).totals(run_of(request, run_id)).output
    try:
        picture = (job_folder(FilePath(output)) / LIVE_NAME).read_bytes() if output else b""
    except OSError:
        picture = b""
    return Response(picture, media_type="image/jpeg") if picture else Response(status_code=204)


def source_inside(text: str, roots: tuple[FilePath, ...]) -> FilePath:
    """The requested source.

    Raises:
        InputError: it is outside the served folders, or does not exist.
    """
    source = inside(text, roots)
    if not source.exists():
        raise InputError("no such file; reload the list of files")
    return source


def run_of(request: Request, run_id: str, kind: str = "job") -> Run:
    """The run with this id.

    Raises:
        InputError: no run of this kind has this id.
    """
    run = runs_of(request).get(run_id)
    if run.order.get("kind") != kind:
        raise InputError(f"no such {kind}")
    return run


def _job(run: Run, request: Request) -> JobRun:
    roots = settings_of(request).roots
    totals, order, state = runs_of(request).totals(run), run.order, run.state()
    outcome = (run.outcome or {}) if state not in ("queued", "running") else {}
    running = state == "running"
    output = (outcome.get("result") or {}).get("output") or totals.output
    return JobRun(
        id=run.id,
        state=state,
        stopping=running and run.stopping,
        source=shown(FilePath(order["source"]), roots),
        output=None if output is None else shown(FilePath(output), roots),
        created=order["created"],
        frames=totals.frames,
        total_frames=totals.total_frames,
        segments_done=totals.segments_done,
        fps=totals.fps if running else None,
        seconds_left=totals.seconds_left if running else None,
        stage=totals.stage if running else "",
        notes=[without_roots(note, roots) or "" for note in totals.notes],
        error=without_roots(outcome.get("error"), roots) if state in ("failed", "paused") else None,
        result=outcome.get("result"),
        has_result=result_file(run, request) is not None,
        has_master=_master_file(run, request) is not None,
        has_report=_report_file(run, request) is not None,
        can_compare=comparable(result_file(run, request)),
    )


def without_roots(text: str | None, roots: tuple[FilePath, ...]) -> str | None:
    """A message with paths inside the served folders shortened to those that the browser knows."""
    return None if text is None else text.replace(f"{roots[0]}/", "")


def result_file(run: Run, request: Request) -> FilePath | None:
    """The finished file, if it is there and still inside the served folders."""
    outcome = run.outcome or {}
    output = (outcome.get("result") or {}).get("output")
    if outcome.get("state") != "done" or not output:
        return None
    try:
        file = inside(output, settings_of(request).roots)
    except InputError:
        return None
    return file if file.is_file() else None


def _master_file(run: Run, request: Request) -> FilePath | None:
    """The preservation master next to the finished file of a job that made one."""
    file = result_file(run, request)
    if file is None or not EnhanceOptions.from_json(run.order["options"]).output.masters:
        return None
    made = master_of(file)
    return made if made.is_file() and not made.is_symlink() else None


def _report_file(run: Run, request: Request) -> FilePath | None:
    file = result_file(run, request)
    sidecar = file.with_name(file.name + ".provenance.json") if file is not None else None
    return sidecar if sidecar is not None and sidecar.is_file() and not sidecar.is_symlink() else None
