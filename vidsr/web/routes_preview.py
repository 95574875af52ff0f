"""API routes to try a job first: preview one moment, map what was invented in it, and estimate the whole job."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import FileResponse

from vidsr.errors import InputError
from vidsr.web.allowed_paths import folder_inside, output_inside
from vidsr.web.option_fields import checked_options
from vidsr.web.routes_files import settings_of
from vidsr.web.routes_jobs import Id, run_of, runs_of, source_inside, without_roots
from vidsr.web.runs import Run, RunOrder
from vidsr.web.schemas import EstimateRun, MapRun, NewEstimate, NewMap, NewPreview, PreviewRun, Problem

router = APIRouter(
    prefix="/api/v1",
    tags=["trials"],
    responses={code: {"model": Problem} for code in (400, 401, 403, 404, 422)},
)
PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}}}


@router.post("/previews", status_code=201)
def new_preview(request: Request, wanted: NewPreview) -> PreviewRun:
    """Enhance one moment of a video, or a picture (only the middle of a large one), with the given options."""
    return _preview(_submit(request, wanted, "preview", wanted.at_seconds), request)


@router.get("/previews/{run_id}")
def preview(request: Request, run_id: Id) -> PreviewRun:
    """Whether a preview is ready."""
    return _preview(run_of(request, run_id, "preview"), request)


@router.get("/previews/{run_id}/{side}.png", response_class=Response, responses=PNG)
def preview_picture(request: Request, run_id: Id, side: Annotated[str, Path(pattern="^(before|after)$")]) -> Response:
    """One of the two pictures of a preview."""
    picture = run_of(request, run_id, "preview").folder / f"{side}.png"
    if not picture.is_file():
        raise InputError("this preview is not ready yet")
    return FileResponse(picture, media_type="image/png")


@router.post("/maps", status_code=201)
def new_map(request: Request, wanted: NewMap) -> MapRun:
    """Measure how far the result of a finished preview is supported by its source, without the original."""
    try:
        shown = run_of(request, wanted.preview, "preview")
    except InputError as error:
        raise InputError("this preview is gone; make it again") from error
    if shown.state() != "done":
        raise InputError("this preview is not ready yet")
    order = RunOrder(source=shown.order["source"], output=None, options=shown.order["options"], kind="map", of=shown.id)
    return _map(runs_of(request).submit(order), request)


@router.get("/maps/{run_id}")
def map_run(request: Request, run_id: Id) -> MapRun:
    """Whether a map is ready, and its figures."""
    return _map(run_of(request, run_id, "map"), request)


@router.get("/maps/{run_id}/map.png", response_class=Response, responses=PNG)
def map_picture(request: Request, run_id: Id) -> Response:
    """The map, red where much was invented and transparent elsewhere; any size, to be laid over the result."""
    picture = run_of(request, run_id, "map").folder / "map.png"
    if not picture.is_file():
        raise InputError("this map is not ready yet")
    return FileResponse(picture, media_type="image/png")


@router.post("/estimates", status_code=201)
def new_estimate(request: Request, wanted: NewEstimate) -> EstimateRun:
    """Say what a job, or a queue of the files in a folder, will do, and estimate time, size and memory from samples."""
    return _estimate(_submit(request, wanted, "estimate"), request)


@router.get("/estimates/{run_id}")
def estimate(request: Request, run_id: Id) -> EstimateRun:
    """Whether an estimate is ready, and its figures."""
    return _estimate(run_of(request, run_id, "estimate"), request)


def _submit(
    request: Request, wanted: NewEstimate | NewPreview, kind: Literal["preview", "estimate"], at_seconds: float = 0.0
) -> Run:
    roots = settings_of(request).roots
    source = source_inside(wanted.source, roots)
    options = checked_options(wanted.options, roots)
    named, table = (wanted.output, wanted.spans) if isinstance(wanted, NewEstimate) else (None, None)
    place = folder_inside if source.is_dir() or table is not None else output_inside
    order = RunOrder(
        source=str(source),
        output=None if named is None else str(place(named, roots)),
        options=options.to_json(),
        kind=kind,
        at_seconds=at_seconds,
        within=tuple(map(str, roots)),
        spans="" if table is None else str(source_inside(table, roots)),
    )
    return runs_of(request).submit(order)


def _ended(run: Run, request: Request) -> dict[str, Any]:
    """State, error and result of a run, the latter under "result"."""
    state = run.state()
    outcome = (run.outcome or {}) if state in ("done", "failed") else {}
    error = without_roots(outcome.get("error"), settings_of(request).roots)
    return {"id": run.id, "state": state, "error": error, "result": outcome.get("result") or {}}


def _preview(run: Run, request: Request) -> PreviewRun:
    ended = _ended(run, request)
    result = ended.pop("result")
    return PreviewRun(**ended, **{name: result.get(name) for name in ("at_seconds", "width", "height", "place")})


def _map(run: Run, request: Request) -> MapRun:
    ended = _ended(run, request)
    result = ended.pop("result")
    names = ("supported_percent", "invented_percent", "expected_error")
    return MapRun(**ended, **{name: result.get(name) for name in names})


def _estimate(run: Run, request: Request) -> EstimateRun:
    ended = _ended(run, request)
    result = ended.pop("result")
    names = ("frames", "seconds", "result_bytes", "disk_bytes", "memory_bytes")
    size = result.get("size") or (None, None)
    lines = [without_roots(line, settings_of(request).roots) or "" for line in result.get("lines", ())]
    figures = {name: result.get(name) for name in names}
    return EstimateRun(**ended, width=size[0], height=size[1], lines=lines, **figures)
