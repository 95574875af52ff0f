"""``vidsr doctor``: what this machine has, what works, and what a job will use."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from vidsr.cli.help import Command

EXAMPLES = """
Examples:

  vidsr doctor
  vidsr doctor --json > doctor.json

Exit codes: 0 vidsr enhance can run here, 1 it cannot. Nothing is sent anywhere; your home folder is shown as "~".
"""

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=Command, epilog=EXAMPLES)
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what was found on this machine, what was tried and works, what a job will use, and what to install.

    Runs a few small frames through every form of the network and every codec. Paste the page into a bug report.
    """
    from vidsr.doctor.doctor_report import examine
    from vidsr.doctor.page import page_of

    if sys.stderr.isatty():
        typer.echo("vidsr: trying the network and the codecs; this can take a minute", err=True)
    report = examine()
    typer.echo(json.dumps(report.to_json(), indent=2) if as_json else page_of(report))
    raise typer.Exit(0 if report.ready else 1)
