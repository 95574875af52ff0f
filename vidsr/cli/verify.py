"""``vidsr verify``: the proof that a result has all that its source had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from vidsr.cli.flags import with_options
from vidsr.cli.help import Command
from vidsr.errors import VerifyError
from vidsr.options import EnhanceOptions

app = typer.Typer(rich_markup_mode=None, add_completion=False)

EXAMPLES = """
Examples:

  vidsr verify clip.mp4 clip.x4.mkv
  vidsr verify clip.mp4 clip.x4.mkv --json
  vidsr verify clip.mp4 silent.mkv --no-audio
  vidsr verify tape.mpg tape.x4.mp4 --restore deinterlace --fields double
"""


@app.command(cls=Command, epilog=EXAMPLES)
@with_options(only=("streams", "colour", "source", "restore.restore", "restore.fields"))
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
    was not announced. A record that `enhance --provenance` wrote beside the result is read and held against both.

    Results of --restore with other frames than their source's (ivtc, dedupe, --fields double, crop) are held against
    the frames and times that these filters give: Matroska results say themselves what was done, of others the record
    does, or --restore and --fields given here.
    """
    from vidsr.jobs import provenance
    from vidsr.jobs.enhance import kind_of
    from vidsr.jobs.verify import verify_result

    record = provenance.sidecar_of(result)
    checks = provenance.check(Path(source), result, record) if record.is_file() else []
    told: dict[str, Any] = {"provenance": [c.to_json() for c in checks]} if checks else {}
    lines = [f"{'ok  ' if c.ok else 'FAIL'}  {c.what}: {c.text}" for c in checks]
    count = sum(not c.ok for c in checks)
    if kind_of(Path(source), result) == "video":
        report = verify_result(source, result, options)
        told = report.to_json() | told
        lines = [report.table(), *lines]
        count += len(report.differences)
    elif not checks:
        raise VerifyError(f"{record}: no such record; pictures are verified by the one that --provenance writes")
    told["ok"] = count == 0
    typer.echo(json.dumps(told, indent=2) if as_json else "\n".join(lines))
    if count:
        typer.echo(f"vidsr: {count} difference{'s' * (count > 1)} that nobody announced", err=True)
        raise typer.Exit(1)
