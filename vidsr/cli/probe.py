"""``vidsr probe``: what vidsr reads from a file."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from vidsr.cli.flags import with_options
from vidsr.cli.help import Command
from vidsr.options.enhance_options import EnhanceOptions

app = typer.Typer(rich_markup_mode=None, add_completion=False)

EXAMPLES = """
Examples:

  vidsr probe clip.mp4
  vidsr probe clip.mkv --json
  vidsr probe long-film.mkv --quick
"""


@app.command(cls=Command, epilog=EXAMPLES)
@with_options(only=("colour", "source"))
def probe(
    file: Annotated[str, typer.Argument(help="The video to describe.", metavar="FILE")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Read only the header, without decoding to count frames.")
    ] = False,
    *,
    options: EnhanceOptions,
) -> None:
    """Show streams, frames, timing, colour and HDR of a video, what was guessed, and what cannot be kept.

    Decodes the whole video once, the only reliable way to get the number and times of its frames.
    """
    from vidsr.media.index import check_strict, index_video
    from vidsr.media.probe import probe as look
    from vidsr.media.probe_text import to_json, to_text

    info = look(file, options.colour, options.source)
    index = None if quick else index_video(info)
    if index is not None and options.source.strict:
        check_strict(info, index)
    typer.echo(json.dumps(to_json(info, index), indent=2) if as_json else to_text(info, index))
