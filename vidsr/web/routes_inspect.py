"""API routes that describe a file: its streams, the findings of ``vidsr inspect``, single frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response

from vidsr.errors import InputError
from vidsr.web.allowed_paths import inside, shown
from vidsr.web.inspections import found_in, inspected, looks_of
from vidsr.web.routes_files import PathQuery, settings_of
from vidsr.web.schemas import FileDescription, Findings, Problem

router = APIRouter(
    prefix="/api/v1",
    tags=["files"],
    responses={code: {"model": Problem} for code in (400, 401, 403, 404, 422)},
)
Seconds = Annotated[float, Query(ge=0, le=1e7, allow_inf_nan=False, description="Seconds after the video's start.")]


@router.get("/inspect")
async def inspect(request: Request, path: PathQuery) -> FileDescription:
    """Describe a video or picture: size, streams, anything unusual."""
    file = _file(request, path)
    return FileDescription(path=shown(file, settings_of(request).roots), **await inspected(request, file))


@router.get("/findings")
async def findings(request: Request, path: PathQuery) -> Findings:
    """What `vidsr inspect` finds in a video (fields, bars, grain, flicker), and the options it recommends.

    Takes seconds to minutes; stops early if the client disconnects.
    """
    file = _file(request, path)
    return Findings(path=shown(file, settings_of(request).roots), **await found_in(request, file))


@router.get("/frame.jpg", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
async def frame(request: Request, path: PathQuery, at_seconds: Seconds = 0.0) -> Response:
    """A picture, or the frame that a video shows at a given time, at most 960 pixels wide."""
    file = _file(request, path)
    picture = await looks_of(request).take("frame", file, str(at_seconds), request=request)
    if not picture.startswith(b"\xff\xd8"):
        raise HTTPException(422, f"{file.name}: no frame can be read at this time; try another one")
    return Response(picture, media_type="image/jpeg")


def _file(request: Request, path: str) -> Path:
    """The requested file.

    Raises:
        InputError: it is outside the served folders, or not a file.
    """
    file = inside(path, settings_of(request).roots)
    if not file.is_file():
        raise InputError("no such file; reload the list of files")
    return file
