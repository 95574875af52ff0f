"""Serves a blind comparison on this machine until the person has finished."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from vidsr.errors import MissingExtraError
from vidsr.jobs.compare.blind import BlindTest

_END_SECONDS = 3


def serve_blind(test: BlindTest, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve the page at 127.0.0.1 and call ``on_ready`` with its address; return when it is ended there, or by Ctrl-C.

    Raises:
        MissingExtraError: the extra "web" is not installed.
    """
    try:
        import uvicorn

        from vidsr.web.blind.blind_app import create_blind_app
    except ImportError as error:
        raise MissingExtraError(
            f'--blind needs the extra "web" ({error.name} is missing): pip install "vidsr-esrgan[web]"'
        ) from error
    from vidsr.web.server_settings import WebSettings, default_state

    settings = WebSettings(roots=(Path.cwd(),), state=default_state(), host="127.0.0.1", port=port)
    servers: list[uvicorn.Server] = []

    def end() -> None:
        servers[0].should_exit = True

    config = uvicorn.Config(
        create_blind_app(test, settings, end),
        host=settings.host,
        port=port,
        log_level="warning",
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=_END_SECONDS,
    )
    servers.append(uvicorn.Server(config))
    on_ready(f"http://127.0.0.1:{port}/")
    with contextlib.suppress(KeyboardInterrupt):  # the votes are kept; what they say is printed
        servers[0].run()
