"""``vidsr enhance``: the main job."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from vidsr.cli.options import GroupedCommand, with_options
from vidsr.cli.progress import Bar
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

The result is printed on stdout, everything else on stderr.
"""

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=GroupedCommand, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@with_options()
def enhance(
    source: Annotated[
        Path,
        typer.Argument(
            help="A video, a picture, a folder of pictures, or numbered pictures such as frames/%06d.png.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where the result goes; clip.x4.mkv beside the source if not given."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress; warnings still appear.")] = False,
    *,
    options: EnhanceOptions,
) -> None:
    """Enlarge a video or pictures with ESRGAN, keeping sound, subtitles, timing, colour and metadata."""
    from vidsr.jobs.dispatch import enhance as run

    with Bar(quiet=quiet) as bar, stop_on_signals() as stop:
        result = run(source, output, options=options, progress=bar, stop=stop)
    if not quiet:
        typer.echo(f"vidsr: {result.timing_line()}", err=True)
    typer.echo(json.dumps(result.to_json()) if as_json else str(result.output))


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; the second one ends the work at once."""
    stop = threading.Event()

    def handle(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
