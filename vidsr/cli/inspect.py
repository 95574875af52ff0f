"""``vidsr inspect``: detect a video's defects and recommend restoration options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vidsr.cli.flags import with_options
from vidsr.cli.help import Command
from vidsr.options.enhance_options import EnhanceOptions

app = typer.Typer(rich_markup_mode=None, add_completion=False)

EXAMPLES = """
Examples:

  vidsr inspect tape.mpg
  vidsr inspect film.mkv --json
  vidsr inspect film.mkv --sheet film.png
  vidsr inspect film.mkv --report film.html
"""


@app.command(cls=Command, epilog=EXAMPLES)
@with_options(only=("colour", "source"))
def inspect(
    file: Annotated[str, typer.Argument(help="The video to inspect.", metavar="FILE")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="Write a contact sheet of the sampled parts.", metavar="PNG")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", help="Write a page with the faults on a time line, pictures, and what to do.", metavar="HTML"
        ),
    ] = None,
    *,
    options: EnhanceOptions,
) -> None:
    """Sample a video for interlacing, telecine, bars, grain, flicker and cuts, and recommend options."""
    from tqdm import tqdm

    from vidsr.filters.detect.inspection_text import command, sentences
    from vidsr.jobs.fault_report.fault_page import write_report
    from vidsr.jobs.inspect import inspect_file, write_sheet

    with tqdm(total=100, leave=False, bar_format="{l_bar}{bar}| {elapsed}") as bar:
        found, pictures = inspect_file(file, options, on_share=lambda share: bar.update(round(100 * share) - bar.n))
    if sheet is not None:
        write_sheet(sheet, pictures)
    if report is not None:
        write_report(report, file, found, options)
    if as_json:
        typer.echo(json.dumps({**found.to_json(), "command": command(file, found.recommended)}, indent=2))
        return
    size = f"{found.width}x{found.height}"
    typer.echo(f"{file}: {size}, {found.frames} frames, {found.sampled} sampled")
    for line in sentences(found):
        typer.echo(f"  {line}")
    typer.echo("recommended command:" if found.recommended else "nothing to restore; plain command:")
    typer.echo(f"  {command(file, found.recommended)}")
