"""``vidsr enhance``: enlarge and restore a video or pictures."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from vidsr.cli.config.layers import save_layers
from vidsr.cli.flags import with_options
from vidsr.cli.help import Command
from vidsr.cli.progress import reporter
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.layers import Layered
from vidsr.storage import readable

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
  vidsr enhance tapes/ out/
  vidsr enhance *.mpg --output out/
  vidsr enhance captures/ out/ --watch
  vidsr enhance VIDEO_TS/ films/ --join
  vidsr enhance film.mkv scenes/ --spans scenes.csv

Of several paths without --output, the last is the folder for the results if it is a folder, ends with / or has no
suffix. A queue of files writes vidsr-report.csv and .json into it; the exit code is 1 if a file was not done.

To continue an interrupted job or queue, run the same command again.

The path of the result is printed on stdout, everything else on stderr.
"""

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=Command, epilog=EXAMPLES)
@with_options(footage="sources")
def enhance(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE... [FOLDER]",
            help="Videos, pictures, folders of them, or numbered pictures such as frames/%06d.png; then, if several "
            "files are made, the output folder.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|FOLDER",
            help="The file to write, or the folder for several. Default: a name next to the source, e.g. clip.x4.mkv.",
        ),
    ] = None,
    spans: Annotated[
        Path | None,
        typer.Option(
            "--spans",
            metavar="CSV",
            help="Make one file for each part in this table: columns from, to and name (1:02,1:05.5,arrival).",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Report everything that would be done, and how long it takes; write nothing."),
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
    chosen, target = destination(sources, output)
    source, single = Path(chosen[0]), None if target is None else Path(target)
    if spans is not None or is_queue(chosen, target, options):
        run = show_queue_dry_run if dry_run else run_queue
        run(chosen, target, options, spans=spans, as_json=as_json, quiet=quiet)
    elif dry_run:
        show_dry_run(source, single, options, as_json=as_json, quiet=quiet)
    else:
        run_enhance(source, single, options, as_json=as_json, quiet=quiet)


def show_dry_run(source: Path, output: Path | None, options: EnhanceOptions, *, as_json: bool, quiet: bool) -> None:
    """Print what a job would do."""
    from vidsr.jobs.preview.dry_run import described
    from vidsr.jobs.preview.dry_run import dry_run as examine

    with reporter("none" if quiet else "bar") as progress:
        found = examine(source, output, options, progress=progress)
    typer.echo(json.dumps(found.to_json()) if as_json else described(found))


def show_queue_dry_run(
    sources: Sequence[str],
    output: str | None,
    options: EnhanceOptions,
    *,
    spans: Path | None = None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Print what a queue, or the parts of a video that the table ``spans`` names, would do."""
    from vidsr.jobs.queue.queue_dry_run import described_queue, dry_run_many

    with reporter("none" if quiet else "bar") as progress:
        found = dry_run_many(sources, output, spans=spans, options=options, progress=progress)
    typer.echo(json.dumps(found.to_json()) if as_json else readable(described_queue(found)))


def destination(sources: list[str], output: str | None) -> tuple[list[str], str | None]:
    """The sources and the output; as with ``cp``, the last of several paths may be the output folder."""
    if output is not None or len(sources) < 2:
        return sources, output
    last = Path(sources[-1])
    if last.is_dir() or (not last.exists() and (_ends_as_folder(sources[-1]) or not last.suffix)):
        return sources[:-1], sources[-1]
    return sources, None


def is_queue(sources: list[str], output: str | None, options: EnhanceOptions) -> bool:
    """Whether this is a queue of files, rather than one file or numbered pictures."""
    folder = output is not None and (_ends_as_folder(output) or Path(output).is_dir())
    return len(sources) > 1 or folder or options.jobs.watch or Path(sources[0]).is_dir()


def _ends_as_folder(path: str) -> bool:
    return path.endswith(tuple(filter(None, (os.sep, os.altsep))))


def run_queue(
    sources: Sequence[str],
    output: str | None,
    options: EnhanceOptions,
    *,
    spans: Path | None = None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Enhance a queue of files, or the parts of one that the table ``spans`` names, and print where the results are.

    Progress display and signal handling are those of the command line.

    Raises:
        Exit: a file was not done; the exit code is 1.
    """
    from vidsr.jobs.queue.run import enhance_many
    from vidsr.jobs.state.cancel import stop_on_signals

    style = "none" if quiet else options.jobs.progress_format
    with reporter(style) as progress, stop_on_signals() as stop:
        result = enhance_many(sources, output, spans=spans, options=options, progress=progress, stop=stop)
    if style != "json":
        typer.echo(f"vidsr: {result.timing_line()}", err=True)
        typer.echo(f"vidsr: report: {readable(str(result.reports[-1]))}", err=True)
    if style == "json":
        typer.echo(json.dumps({"event": "result", **result.to_json()}))
    elif as_json:
        typer.echo(json.dumps(result.to_json()))
    else:
        done = [file.result for file in result.files if file.state == "done"]
        for path in [str(result.output)] if result.output is not None else done:
            # Bytes only where the name is not UTF-8: a replaced stdout may accept only text.
            typer.echo(path if readable(path) == path else os.fsencode(path))
    if not result.ok:
        raise typer.Exit(1)


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
