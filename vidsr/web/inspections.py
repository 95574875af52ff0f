"""Short looks at files for those who ask over HTTP: each in a process of its own, bounded in time and number."""

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
    """How many looks of each kind may be at work at the same time; one of these belongs to each app."""

    def __init__(self) -> None:
        self._free = {kind: asyncio.Semaphore(count) for kind, count in _AT_ONCE.items()}

    async def take(self, kind: str, file: Path, *more: str, request: Request | None = None) -> bytes:
        """What ``vidsr.web.inspection_process`` says of a file. Ends early if whoever asked has gone.

        Raises:
            HTTPException: it took too long, failed, or nobody waits for it any more.
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
                        raise HTTPException(422, f"{file.name}: cannot be described in time")
                return (await answer)[0]
            finally:
                if process.returncode is None:
                    process.kill()
                await answer


def looks_of(request: Request) -> Looks:
    """The looks of the app that got this request."""
    looks: Looks = request.app.state.looks
    return looks


async def inspected(request: Request, file: Path) -> dict[str, Any]:
    """What a file is.

    Raises:
        HTTPException: it is no media file, or describing it takes too long.
    """
    return _parsed_answer(await looks_of(request).take("inspect", file), file)


async def found_in(request: Request, file: Path) -> dict[str, Any]:
    """What ``vidsr inspect`` finds in a video.

    Raises:
        HTTPException: it is no video, or looking takes too long.
    """
    return _parsed_answer(await looks_of(request).take("findings", file, request=request), file)


def _parsed_answer(out: bytes, file: Path) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(out)
    except ValueError as error:
        raise HTTPException(422, f"{file.name}: cannot be described") from error
    if "error" in answer:
        raise HTTPException(422, answer["error"])
    return answer
