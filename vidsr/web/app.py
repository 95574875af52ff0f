"""The web app: an HTTP API under ``/api/v1`` and one page that uses it. See ``docs/decisions`` for why FastAPI."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from vidsr.errors import InputError, JobError, VidsrError
from vidsr.version import __version__
from vidsr.web import (
    routes_files,
    routes_inspect,
    routes_jobs,
    routes_presets,
    routes_preview,
    routes_queues,
    routes_report,
)
from vidsr.web.inspections import Looks
from vidsr.web.request_guard import Guard
from vidsr.web.runs import Runs
from vidsr.web.server_settings import WebSettings

PAGE = Path(__file__).parent / "page"
DESCRIPTION = (
    "Enlarge video and pictures: submit a job, watch it, pause, resume or cancel it, fetch the result. "
    "Paths are relative to the first served folder."
)


def create_app(settings: WebSettings) -> FastAPI:
    """Build the app for these settings; it starts queued runs once it is up."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        app.state.runs = Runs(settings.state, settings.parallel)
        app.state.looks = Looks()
        yield
        app.state.runs.close()

    # No docs pages: FastAPI's load scripts from other servers. The OpenAPI description is at /openapi.json.
    app = FastAPI(
        title="vidsr", version=__version__, description=DESCRIPTION, lifespan=life, docs_url=None, redoc_url=None
    )
    app.state.settings = settings
    for part in (
        routes_files,
        routes_inspect,
        routes_preview,
        routes_jobs,
        routes_presets,
        routes_queues,
        routes_report,
    ):
        app.include_router(part.router)
    app.add_exception_handler(VidsrError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(405, _not_allowed)
    app.add_middleware(Guard, settings=settings)

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", media_type="text/html")

    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    return app


async def _refused(request: Request, error: Exception) -> JSONResponse:
    """A vidsr error as a response: 404 if something does not exist, 409 if the job's state forbids it, else 422."""
    status = 422
    if isinstance(error, JobError):
        status = 409
    elif isinstance(error, InputError):
        status = 404
    return JSONResponse({"detail": str(error)}, status_code=status)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """A malformed request as one sentence."""
    faults: list[Any] = list(error.errors()) if isinstance(error, RequestValidationError) else []
    text = "; ".join(f"{'.'.join(str(p) for p in f['loc'][1:])}: {f['msg']}" for f in faults[:5])
    return JSONResponse({"detail": text or "the request is malformed"}, status_code=422)


async def _not_allowed(request: Request, error: Exception) -> JSONResponse:
    """405 with every method of the path; Starlette lists only those of the first matching route."""
    paths = request.app.openapi()["paths"]
    shape = [re.sub(r"\{[^}]+\}", "[^/]+", path) for path in paths]
    found = [ops for pattern, ops in zip(shape, paths.values(), strict=True) if re.fullmatch(pattern, request.url.path)]
    allowed = sorted({method.upper() for operations in found for method in operations}) or ["GET"]
    return JSONResponse({"detail": "Method Not Allowed"}, status_code=405, headers={"allow": ", ".join(allowed)})
