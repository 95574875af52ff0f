"""``vidsr serve``: the web page and the HTTP API."""

from __future__ import annotations

import secrets
from pathlib import Path

import typer

from vidsr.cli.flags import with_options
from vidsr.cli.help import Command
from vidsr.errors import MissingExtraError
from vidsr.options import ServeAllOptions

EXAMPLES = """
Examples:

  vidsr serve --root ~/Videos
  vidsr serve --root /srv/films --root /srv/results --port 9000
  vidsr serve --root /srv/films --host 0.0.0.0

The first root is where relative paths start from, and where uploads go. An address that others can reach
needs a token; one is made and printed if none is given with --token.
"""

_END_SECONDS = 3

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=Command, epilog=EXAMPLES)
@with_options(ServeAllOptions)
def serve(*, options: ServeAllOptions) -> None:
    """Serve a web page and an HTTP API on this machine for the same jobs as the command line.

    Jobs run in processes of their own: closing the page or ending the server loses nothing. The API is described
    at /openapi.json. No request ever leaves this machine.
    """
    try:
        import uvicorn

        from vidsr.web.app import create_app
    except ImportError as error:
        raise MissingExtraError(
            f'vidsr serve needs the extra "web" ({error.name} is missing): pip install "vidsr-esrgan[web]"'
        ) from error
    from vidsr.web.server_settings import WebSettings, default_state, is_loopback

    told = options.serve
    token = told.token or (None if is_loopback(told.host) else secrets.token_urlsafe(24))
    settings = WebSettings(
        roots=tuple(Path(root).expanduser().resolve() for root in told.root or (".",)),
        state=default_state(),
        host=told.host,
        port=told.port,
        token=token,
        max_upload_bytes=round(told.max_upload_gb * 1e9),
        parallel=told.parallel,
    ).check()
    shown = "127.0.0.1" if told.host in ("0.0.0.0", "::") else told.host
    address = f"http://{f'[{shown}]' if ':' in shown else shown}:{told.port}/"
    typer.echo(f"vidsr: open {address}{f'?token={token}' if token else ''}", err=True)
    for root in settings.roots:
        typer.echo(f"vidsr: serving {root}", err=True)
    uvicorn.run(
        create_app(settings),
        host=told.host,
        port=told.port,
        log_level="warning",
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=_END_SECONDS,  # nobody waits for a look at a file that takes minutes
    )
