"""``vidsr enhance``: enlarge and restore a video or pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vidsr.cli.config.layers import save_layers
from vidsr.cli.flags import with_options
from vidsr.cli.help import Command
from vidsr.cli.progress import reporter
from vidsr.option_layers import Layered
from vidsr.options import EnhanceOptions

EXAMPLES = """
Examples:

  vidsr enhance clip.mp4 --scale 4
  vidsr enhance tape.mov --height 1080 --codec hevc --crf 16 -o tape-hd.mkv
  vidsr enhance cartoon.mkv --model realesr-animevideov3 --scale 2
  vidsr enhance clip.mp4 --json > result.json
  vidsr enhance photo.jpg
  vidsr enhance textures/ --tileable --power-of-two
  vidsr enhance frames/%06d.png --fps 24 -o film.mkv
  vidsr enhance film.mkv --devices cuda:0,cuda:1
  vidsr enhance film.mkv -o film-hd.mp4 --height 1080 --dry-run
  vidsr enhance reel1.mkv --preset film-8mm --height 1080 --save-preset reels
  vidsr enhance reel2.mkv --preset reels

To continue an interrupted job, run the same command again.

The path of the result is printed on stdout, everything else on stderr.
"""

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=Command, epilog=EXAMPLES)
@with_options(footage="source")
def enhance(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A video, a picture, a folder of pictures, or numbered pictures such as frames/%06d.png.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file to write. Default: a name next to the source, e.g. clip.x4.mkv.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say everything that would be done, and how long it takes; write nothing."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress; warnings still appear.")] = False,
    preset_name: Annotated[
        str | None,
        typer.Option("--save-preset", metavar="NAME", help="First save the given options for --preset NAME."),
    ] = None,
    *,
    options: EnhanceOptions,
    layers: Layered,
) -> None:
    """Enlarge a video or pictures with ESRGAN, keeping audio, subtitles, timing, colour and metadata."""
    if preset_name is not None and not dry_run:
        typer.echo(f"vidsr: preset saved: {save_layers(preset_name, layers)}", err=True)
    if dry_run:
        show_dry_run(source, output, options, as_json=as_json, quiet=quiet)
    else:
        run_enhance(source, output, options, as_json=as_json, quiet=quiet)


def show_dry_run(source: Path, output: Path | None, options: EnhanceOptions, *, as_json: bool, quiet: bool) -> None:
    """Print what a job would do."""
    from vidsr.jobs.preview.dry_run import described
    from vidsr.jobs.preview.dry_run import dry_run as examine

    with reporter("none" if quiet else "bar") as progress:
        found = examine(source, output, options, progress=progress)
    typer.echo(json.dumps(found.to_json()) if as_json else described(found))


def run_enhance(source: Path, output: Path | None, options: EnhanceOptions, *, as_json: bool, quiet: bool) -> None:
    """Enhance with the command line's progress display and signal handling, and print the result."""
    from vidsr.jobs.enhance import enhance as run
    from vidsr.jobs.state.cancel import stop_on_signals

    style = "none" if quiet else options.jobs.progress_format
    with reporter(style) as progress, stop_on_signals() as stop:
        result = run(source, output, options=options, progress=progress, stop=stop)
    if style == "bar":
        typer.echo(f"vidsr: {result.timing_line()}", err=True)
    if style == "json":
        typer.echo(json.dumps({"event": "result", **result.to_json()}))
    else:
        typer.echo(json.dumps(result.to_json()) if as_json else str(result.output))
