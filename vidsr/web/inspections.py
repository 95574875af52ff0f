"""Inspect files on behalf of HTTP requests: each in a separate process, limited in time and number."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from fastapi import HTTPException, Request

from vidsr.jobs.engines.subprocess_env import child_environment, python_module

_SECONDS = {"inspect": 120.0, "frame": 60.0, "findings": 900.0}
_AT_ONCE = {"inspect": 8, "frame": 2, "findings": 1}
_PATIENCE_SECONDS = 0.5


class Looks:
    """Limits how many inspections of each kind run at the same time; one instance per app."""

    def __init__(self) -> None:
        self._free = {kind: asyncio.Semaphore(count) for kind, count in _AT_ONCE.items()}

    async def take(self, kind: str, file: Path, *more: str, request: Request | None = None) -> bytes:
        """The output of ``vidsr.web.inspection_process`` for a file. Stops early if the client has disconnected.

        Raises:
            HTTPException: it took too long, or the client has disconnected.
        """
        async with self._free[kind]:
            process = await asyncio.create_subprocess_exec(
                *(*python_module("vidsr.web.inspection_process"), kind, str(file), *more),
                env=child_environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            answer = asyncio.ensure_future(process.communicate())
            try:
                end = asyncio.get_running_loop().time() + _SECONDS[kind]
                while not (await asyncio.wait([answer], timeout=_PATIENCE_SECONDS))[0]:
                    gone = request is not None and await request.is_disconnected()
                    if gone or asyncio.get_running_loop().time() > end:
                        raise HTTPException(422, f"{file.name}: reading it took too long and was stopped")
                return (await answer)[0]
            finally:
                if process.returncode is None:
                    process.kill()
                await answer


def looks_of(request: Request) -> Looks:
    """The inspections of the app that serves this request."""
    looks: Looks = request.app.state.looks
    return looks


async def inspected(request: Request, file: Path) -> dict[str, Any]:
    """Describe a file.

    Raises:
        HTTPException: it is not a media file, or reading it takes too long.
    """
    return _parsed_answer(await looks_of(request).take("inspect", file), file)


async def found_in(request: Request, file: Path) -> dict[str, Any]:
    """What ``vidsr inspect`` finds in a video.

    Raises:
        HTTPException: it is not a video, or the inspection takes too long.
    """
    return _parsed_answer(await looks_of(request).take("findings", file, request=request), file)


def _parsed_answer(out: bytes, file: Path) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(out)
    except ValueError as error:
        raise HTTPException(422, f"{file.name}: cannot be read; the decoder crashed on it") from error
    if "error" in answer:
        raise HTTPException(422, answer["error"])
    return answer
