"""``vidsr verify``: check that a result kept everything its source had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from vidsr.cli.flags import with_options
from vidsr.cli.help import Command
from vidsr.errors import VerifyError
from vidsr.options.enhance_options import EnhanceOptions

app = typer.Typer(rich_markup_mode=None, add_completion=False)

EXAMPLES = """
Examples:

  vidsr verify clip.mp4 clip.x4.mkv
  vidsr verify clip.mp4 clip.x4.mkv --json
  vidsr verify clip.mp4 silent.mkv --no-audio
  vidsr verify tape.mpg tape.x4.mp4 --restore deinterlace --fields double
  vidsr verify film.mkv part.mp4 --from 1:02:03.5 --to 1:05:00
"""


@app.command(cls=Command, epilog=EXAMPLES)
@with_options(only=("streams", "colour", "source", "span", "restore.restore", "restore.fields", "restore.rate"))
def verify(
    source: Annotated[str, typer.Argument(help="The original video.", metavar="SOURCE")],
    result: Annotated[Path, typer.Argument(help="The file made from it.", metavar="RESULT")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    *,
    options: EnhanceOptions,
) -> None:
    """Compare a result with its source and print what is the same, what differs as announced, and what differs.

    Checks every frame's time, size and pixel shape, colour tags, HDR data, every copied stream byte for byte,
    chapters, attachments and tags, and that the whole result decodes. Exits with 1 on any unannounced difference. A
    record that `enhance --provenance` wrote next to the result is checked against both files.

    If --restore or --rate changed the frames (ivtc, dedupe, refill, --fields double, crop), the result is compared
    with the frames and times that these produce; the frames that were made in between are listed. Matroska results
    store these options in a tag. For other containers, keep the --provenance record or give --restore, --fields and
    --rate here. The same applies to a result made from a part of its source (--from, --to, --frames): it is compared
    with that part only.
    """
    from vidsr.jobs import provenance
    from vidsr.jobs.enhance import kind_of
    from vidsr.jobs.verify import verify_result

    record = provenance.sidecar_of(result)
    checks = provenance.check(Path(source), result, record) if record.is_file() else []
    found: dict[str, Any] = {"provenance": [c.to_json() for c in checks]} if checks else {}
    lines = [f"{'ok  ' if c.ok else 'FAIL'}  {c.what}: {c.text}" for c in checks]
    count = sum(not c.ok for c in checks)
    if kind_of(Path(source), result) in ("video", "numbered"):
        report = verify_result(source, result, options)
        found = report.to_json() | found
        lines = [report.table(), *lines]
        count += len(report.differences)
    elif not checks:
        raise VerifyError(
            f"{record}: not found; to verify pictures, enhance them with --provenance, which writes this record"
        )
    found["ok"] = count == 0
    typer.echo(json.dumps(found, indent=2) if as_json else "\n".join(lines))
    if count:
        typer.echo(f"vidsr: {count} unannounced difference{'s' * (count > 1)}", err=True)
        raise typer.Exit(1)
