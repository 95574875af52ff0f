"""The API route of a job's report: how closely its result matches the source; generated on first request."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, HTMLResponse

from vidsr.errors import InputError, JobError
from vidsr.web.routes_jobs import CONFLICT, Id, comparable, result_file, run_of, runs_of
from vidsr.web.run_process import REPORT_NAME
from vidsr.web.schemas import Problem

router = APIRouter(
    prefix="/api/v1",
    tags=["jobs"],
    responses={code: {"model": Problem} for code in (400, 401, 403, 404, 422)},
)
#: The page has its own script and style inline and may not contact this or any other server.
_ALONE = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-scripts"
)
_AGAIN_SECONDS = 2
_WAIT = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Preparing the report</title><link rel="stylesheet" href="/page/style.css"></head>
<body><main><section><h1>Report</h1>
<p role="status">The result is being compared with its source{progress}. The report appears here when it is ready.</p>
</section></main></body></html>
"""
_HTML: dict[str, Any] = {"content": {"text/html": {}}}


@router.get(
    "/jobs/{run_id}/comparison",
    response_class=Response,
    responses={200: _HTML, 202: _HTML | {"description": "Being prepared; ask again."}, **CONFLICT},
)
def comparison(request: Request, run_id: Id) -> Response:
    """One page about a finished video: PSNR and SSIM against its source at the source's size, up to 500 frames."""
    job = run_of(request, run_id)
    file = result_file(job, request)
    if file is None or not comparable(file):
        raise InputError("this job's result is not a video, so it cannot be compared")
    runs = runs_of(request)
    run = runs.comparison(job, file)
    state = run.state()
    if state == "done":
        return FileResponse(
            run.folder / REPORT_NAME, media_type="text/html", headers={"content-security-policy": _ALONE}
        )
    if state == "failed":
        reason = (run.outcome or {}).get("error") or "the comparison stopped"
        runs.remove(run)  # so that the next request tries again
        raise JobError(f"the report cannot be made: {reason}")
    if state in ("paused", "cancelled"):  # its worker was killed
        runs.resume(run)
    totals = runs.totals(run)
    progress = f": {totals.frames} of {totals.total_frames} frames" if totals.total_frames else ""
    return HTMLResponse(_WAIT.format(progress=progress), status_code=202, headers={"refresh": str(_AGAIN_SECONDS)})
