"""``vidsr plan``: estimate a job before running it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidsr.cli.flags import with_options
from vidsr.cli.help import Command
from vidsr.cli.progress import reporter
from vidsr.options import PlanOptions

if TYPE_CHECKING:
    from vidsr.jobs.preview.estimate import Estimate

EXAMPLES = """
Examples:

  vidsr plan film.mkv --scale 4
  vidsr plan film.mkv --codec hevc --samples 8 --json
"""

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=Command, epilog=EXAMPLES)
@with_options(PlanOptions, footage="source")
def plan(
    source: Annotated[
        Path, typer.Argument(metavar="VIDEO", help="The video to estimate the job for.", show_default=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the estimate as one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    *,
    options: PlanOptions,
) -> None:
    """Estimate time, size and memory of a whole job by running samples of it with the same options."""
    from vidsr.errors import InputError
    from vidsr.jobs.enhance import kind_of
    from vidsr.jobs.preview.estimate import estimate

    if kind_of(source, source.with_suffix(".mkv")) in ("picture", "folder"):
        raise InputError(f"{source}: plan only takes videos; for pictures, use vidsr preview {source}")
    # Everything up to here (importing libraries) is start-up that every job has.
    start_seconds = time.process_time()
    with reporter("none" if quiet else "bar") as progress:
        found = estimate(source, options, options.sampling, progress=progress, start_seconds=start_seconds)
    typer.echo(json.dumps(found.to_json()) if as_json else described(found))


def described(found: Estimate) -> str:
    """The estimate in a few lines for people."""
    from vidsr.storage import human_bytes, human_seconds

    (w, h), (new_w, new_h) = found.source_size, found.size
    gpu = f", {human_bytes(found.gpu_bytes)} on the device" if found.gpu_bytes else ""
    lines = [
        f"{found.frames} frames, {w}x{h} → {new_w}x{new_h}, {found.codec}; on {found.device} in {found.precision}",
        f"time    about {human_seconds(found.seconds)} ({found.frames_per_second:.3g} frames/s)",
        f"size    about {human_bytes(found.result_bytes)}",
        f"disk    about {human_bytes(found.disk_bytes)} while it runs",
        f"memory  about {human_bytes(found.memory_bytes)}{gpu}",
        f"estimated from {found.sampled_frames} sampled frames",
    ]
    return "\n".join([*lines, *(f"note: {note}" for note in found.notes)])
