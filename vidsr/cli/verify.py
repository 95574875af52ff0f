"""``vidsr verify``: the proof that a result has all that its source had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vidsr.cli.options import GroupedCommand, with_options
from vidsr.options import EnhanceOptions

app = typer.Typer(rich_markup_mode=None)

EXAMPLES = """
Examples:
  vidsr verify clip.mp4 clip.x4.mkv
  vidsr verify clip.mp4 clip.x4.mkv --json
  vidsr verify clip.mp4 silent.mkv --no-audio
"""


@app.command(cls=GroupedCommand, epilog=EXAMPLES)
@with_options(only=("streams", "colour", "source"))
def verify(
    source: Annotated[str, typer.Argument(help="The original video.", metavar="SOURCE")],
    result: Annotated[Path, typer.Argument(help="What was made from it.", metavar="RESULT")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    *,
    options: EnhanceOptions,
) -> None:
    """Compare a result with its source and print what is the same, what differs as announced, and what differs.

    Checked are every frame's time, size and pixel shape, colour tags and HDR data, every copied stream byte for
    byte, chapters, attachments and tags, and that the whole result decodes. Exits with 1 on any difference that
    was not announced.
    """
    from vidsr.media.verify import Expectation
    from vidsr.media.verify import verify as compare

    report = compare(source, result, Expectation(options=options))
    typer.echo(json.dumps(report.to_json(), indent=2) if as_json else report.table())
    if not report.ok:
        count = len(report.differences)
        typer.echo(f"vidsr: {count} difference{'s' * (count > 1)} that nobody announced", err=True)
        raise typer.Exit(1)
