"""``vidsr serve``: the web page and the HTTP API."""

from __future__ import annotations

import secrets
from pathlib import Path

import typer

from vidsr.cli.flags import with_options
from vidsr.cli.help import Command
from vidsr.errors import MissingExtraError
from vidsr.options.command_options import ServeAllOptions

EXAMPLES = """
Examples:

  vidsr serve --root ~/Videos
  vidsr serve --root /srv/films --root /srv/results --port 9000
  vidsr serve --root /srv/films --host 0.0.0.0

Relative paths start at the first root, and uploads are stored there. An address that other machines can reach
needs a token; without --token, one is generated and printed.
"""

_END_SECONDS = 3

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=Command, epilog=EXAMPLES)
@with_options(ServeAllOptions)
def serve(*, options: ServeAllOptions) -> None:
    """Serve a web page and an HTTP API that run the same jobs as the command line.

    Jobs run in separate processes: closing the page or stopping the server loses nothing. The API is described
    at /openapi.json. The server makes no requests to other machines.
    """
    try:
        import uvicorn

        from vidsr.web.app import create_app
    except ImportError as error:
        raise MissingExtraError(
            f'vidsr serve needs the extra "web" ({error.name} is missing): pip install "vidsr-esrgan[web]"'
        ) from error
    from vidsr.web.server_settings import WebSettings, default_state, is_loopback

    chosen = options.serve
    token = chosen.token or (None if is_loopback(chosen.host) else secrets.token_urlsafe(24))
    settings = WebSettings(
        roots=tuple(Path(root).expanduser().resolve() for root in chosen.root or (".",)),
        state=default_state(),
        host=chosen.host,
        port=chosen.port,
        token=token,
        max_upload_bytes=round(chosen.max_upload_gb * 1e9),
        parallel=chosen.parallel,
    ).check()
    shown = "127.0.0.1" if chosen.host in ("0.0.0.0", "::") else chosen.host
    address = f"http://{f'[{shown}]' if ':' in shown else shown}:{chosen.port}/"
    typer.echo(f"vidsr: open {address}{f'?token={token}' if token else ''}", err=True)
    for root in settings.roots:
        typer.echo(f"vidsr: serving {root}", err=True)
    uvicorn.run(
        create_app(settings),
        host=chosen.host,
        port=chosen.port,
        log_level="warning",
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=_END_SECONDS,  # do not wait minutes for a running inspection
    )
