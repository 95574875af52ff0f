"""API routes to list and upload files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request

from vidsr.errors import InputError
from vidsr.media.pictures.files import is_picture
from vidsr.media.source import VIDEO_SUFFIXES
from vidsr.options.enhance_options import AUTO_MODEL
from vidsr.version import __version__
from vidsr.web.allowed_paths import inside, safe_name, shown
from vidsr.web.inspections import inspected
from vidsr.web.option_fields import option_infos, preset_infos
from vidsr.web.schemas import About, FolderEntry, Listing, ModelInfo, Problem, Uploaded
from vidsr.web.server_settings import WebSettings

router = APIRouter(
    prefix="/api/v1",
    tags=["files"],
    responses={code: {"model": Problem} for code in (400, 401, 403, 404, 422)},
)
_MOST_ENTRIES = 2000

PathQuery = Annotated[str, Query(max_length=4096, description="A path inside the served folders.")]


def settings_of(request: Request) -> WebSettings:
    """The settings of the app that serves this request."""
    settings: WebSettings = request.app.state.settings
    return settings


@router.get("/about")
def about(request: Request) -> About:
    """The version, the served folders, the available models, all options and the presets."""
    settings = settings_of(request)
    return About(
        version=__version__,
        roots=[str(root) for root in settings.roots],
        models=_models(),
        options=list(option_infos()),
        presets=list(preset_infos()),
        max_upload_bytes=settings.max_upload_bytes,
    )


def _models() -> list[ModelInfo]:
    from vidsr.errors import ModelError
    from vidsr.models.zoo import ZOO, resolve

    found = []
    for name, entry in ZOO.items():
        try:
            resolve(name)
        except ModelError:
            continue
        if entry.scale and entry.use == "enlarge":
            found.append(ModelInfo(name=name, scale=entry.scale, advice=entry.advice))
    looking = "Drawings or not, by looking at the source; drawings get the faster model for them."
    return [*found, ModelInfo(name=AUTO_MODEL, scale=found[0].scale, advice=looking)] if found else []


@router.get("/files")
def files(request: Request, path: PathQuery = ".") -> Listing:
    """The folders and media files in a folder; for a file, those in its folder, and the file."""
    roots = settings_of(request).roots
    named = inside(path, roots)
    folder = named.parent if named.is_file() else named
    if not folder.is_dir():
        raise InputError("no such folder or file")
    entries = []
    for item in sorted(folder.iterdir(), key=lambda p: (not p.is_dir(), p.name.casefold())):
        entry = _entry(item, roots)
        if entry is not None:
            entries.append(entry)
        if len(entries) == _MOST_ENTRIES:
            break
    parent = None if folder in roots else shown(folder.parent, roots)
    file = shown(named, roots) if named.is_file() else None
    return Listing(path=shown(folder, roots), parent=parent, entries=entries, file=file)


def _entry(item: Path, roots: tuple[Path, ...]) -> FolderEntry | None:
    """The entry to show; None if it is hidden, not a media file, or leads outside the roots."""
    if item.name.startswith(".") or item.name.endswith((".part", ".vidsr-job")):
        return None
    try:
        item.name.encode()
        inside(str(item), roots)
        if item.is_dir():
            return FolderEntry(name=item.name, path=shown(item, roots), kind="folder", size_bytes=None)
        kind = "video" if item.suffix.lower() in VIDEO_SUFFIXES else "picture" if is_picture(item) else None
        if kind is None or not item.is_file():
            return None
        size = item.stat().st_size
        return FolderEntry(name=item.name, path=shown(item, roots), kind=kind, size_bytes=size)  # type: ignore[arg-type]
    except (InputError, OSError, UnicodeError):
        return None


@router.put(
    "/uploads/{name}",
    status_code=201,
    responses={413: {"model": Problem}, 507: {"model": Problem}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def upload(request: Request, name: str) -> Uploaded:
    """Store the request's body as a file, if it is a video or a picture and not too large."""
    settings = settings_of(request)
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > settings.max_upload_bytes:
        raise HTTPException(
            413, f"the file is larger than the upload limit of {settings.max_upload_bytes} bytes; see --max-upload-gb"
        )
    settings.uploads.mkdir(exist_ok=True)
    wanted = settings.uploads / safe_name(name)
    part = wanted.with_name(f".{os.urandom(6).hex()}.{wanted.name}.part{wanted.suffix}")
    try:
        size = await _store(request, part, settings.max_upload_bytes)
        await inspected(request, part)
        final = _named(part, wanted)
    except OSError as error:
        raise HTTPException(507, f"the upload cannot be stored: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    return Uploaded(path=shown(final, settings.roots), size_bytes=size)


async def _store(request: Request, part: Path, limit: int) -> int:
    size = 0
    with part.open("xb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise HTTPException(
                    413, f"the file is larger than the upload limit of {limit} bytes; see --max-upload-gb"
                )
            file.write(chunk)
    return size


def _named(part: Path, wanted: Path) -> Path:
    """Give a finished upload the wanted name, with a number added if it is taken; returns the final path."""
    path, number = wanted, 1
    while True:
        try:
            os.link(part, path)
        except FileExistsError:
            number += 1
            path = wanted.with_name(f"{wanted.stem} ({number}){wanted.suffix}")
        else:
            return path
