"""The web app of a blind comparison: one page, pictures by the number of a trial, votes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict

from vidsr.errors import JobError, VidsrError
from vidsr.jobs.compare.blind import BlindTest
from vidsr.version import __version__
from vidsr.web.request_guard import Guard
from vidsr.web.server_settings import WebSettings

BLIND_PAGE = Path(__file__).parent / "page"


class VoteOrder(BaseModel):
    """A vote on one trial."""

    model_config = ConfigDict(extra="forbid")

    trial: int
    choice: Literal["left", "right", "same"]


def create_blind_app(test: BlindTest, settings: WebSettings, end: Callable[[], None]) -> FastAPI:
    """Build the app; ``end`` is called when the person says that they have finished.

    Neither addresses nor answers name a video before all trials have a vote or the person ends.
    """
    app = FastAPI(title="vidsr blind comparison", version=__version__, docs_url=None, redoc_url=None)
    app.add_middleware(Guard, settings=settings)
    app.add_exception_handler(VidsrError, _refused)

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(BLIND_PAGE / "index.html", media_type="text/html")

    @app.get("/icon.svg", include_in_schema=False)
    def icon() -> FileResponse:
        return FileResponse(BLIND_PAGE.parents[1] / "page" / "icon.svg", media_type="image/svg+xml")

    @app.get("/api/v1/trial")
    def trial() -> dict[str, Any]:
        return _state(test)

    @app.post("/api/v1/votes")
    def vote(order: VoteOrder) -> dict[str, Any]:
        test.vote(order.trial, order.choice)
        return _state(test)

    @app.delete("/api/v1/votes/last")
    def undo() -> dict[str, Any]:
        test.undo()
        return _state(test)

    @app.get("/api/v1/trials/{number}/{side}.png")
    def picture(number: int, side: Literal["left", "right"]) -> Response:
        return Response(test.picture(number, side), media_type="image/png")

    @app.post("/api/v1/end")
    def finish() -> dict[str, Any]:
        end()
        return {"videos": _videos(test)}

    app.mount("/page", StaticFiles(directory=BLIND_PAGE), name="page")
    return app


def _state(test: BlindTest) -> dict[str, Any]:
    """The trial that waits for a vote; what the votes say once none does."""
    number = test.waiting()
    state: dict[str, Any] = {"number": number, "voted": test.voted, "total": len(test.trials)}
    return state if number is not None else state | {"videos": _videos(test)}


def _videos(test: BlindTest) -> list[dict[str, Any]]:
    """Names and preferences, the most preferred first."""
    found = zip(test.names, test.found(), strict=True)
    videos = [{"name": Path(name).name, **preference.to_json()} for name, preference in found]
    return sorted(videos, key=lambda video: -video["share"])


async def _refused(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=404 if isinstance(error, JobError) else 422)
