"""``vidsr plan``: estimate a job before running it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidsr.cli.flags import with_options
from vidsr.cli.help import Command
from vidsr.cli.progress import reporter
from vidsr.options.command_options import PlanOptions
from vidsr.options.layers import Layered
from vidsr.storage import readable

if TYPE_CHECKING:
    from vidsr.jobs.choosing.model_table import ModelEstimate
    from vidsr.jobs.preview.estimate import Estimate
    from vidsr.jobs.queue.queue_estimate import QueueEstimate

EXAMPLES = """
Examples:

  vidsr plan film.mkv --scale 4
  vidsr plan film.mkv --codec hevc --samples 8 --json
  vidsr plan film.mkv --scale 2 --within 8h
  vidsr plan tapes/ --scale 2
  vidsr plan film.mkv --from 12:00 --to 14:30
  vidsr plan film.mkv -o frames/%06d.png --scale 2
"""

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=Command, epilog=EXAMPLES)
@with_options(PlanOptions, footage="sources")
def plan(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="VIDEO...",
            help="The video to estimate the job for; several files, or a folder, count as one queue.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The result that is meant: its suffix decides about the codec; frames/%06d.png for numbered pictures.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the estimate as one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    *,
    options: PlanOptions,
    layers: Layered,
) -> None:
    """Estimate time, size and memory of a whole job by running samples of it with the same options.

    Where no model is named, a table shows time and size with each of the shipped models."""
    from vidsr.errors import InputError, OptionsError
    from vidsr.jobs.choosing.model_table import plan_models, table_lines
    from vidsr.jobs.enhance import kind_of
    from vidsr.jobs.preview.estimate import estimate

    source = sources[0]
    if len(sources) > 1 or source.is_dir():
        if output is not None:
            raise OptionsError("--output is taken for one source; vidsr enhance --dry-run names the results of a queue")
        _plan_queue(sources, options, as_json=as_json, quiet=quiet)
        return
    if kind_of(source, output or source.with_suffix(".mkv")) == "picture":
        raise InputError(f"{source}: plan only takes videos; for pictures, use vidsr preview {source}")
    # Everything up to here (importing libraries) is start-up that every job has.
    start_seconds = time.process_time()
    with reporter("none" if quiet else "bar") as progress:
        found = estimate(
            source, options, options.sampling, progress=progress, start_seconds=start_seconds, output=output
        )
        models: tuple[ModelEstimate, ...] = ()
        if not {"model", "finish_within"} & layers.origins.keys():
            models = plan_models(source, output, options, found, options.sampling, progress=progress)
    if as_json:
        typer.echo(json.dumps({**found.to_json(), "models": [one.to_json() for one in models]}))
    else:
        typer.echo("\n".join([described(found), *(["", *table_lines(models)] if models else [])]))


def _plan_queue(sources: Sequence[Path], options: PlanOptions, *, as_json: bool, quiet: bool) -> None:
    """Estimate a queue of files."""
    from vidsr.jobs.queue.queue_estimate import plan_many

    with reporter("none" if quiet else "bar") as progress:
        found = plan_many(sources, options=options, sampling=options.sampling, progress=progress)
    typer.echo(json.dumps(found.to_json()) if as_json else readable(described_queue(found)))


def described_queue(found: QueueEstimate) -> str:
    """The estimate of a queue in a line for each file and the sums, for people."""
    from vidsr.storage import human_bytes, human_seconds

    lines = [
        f"{human_seconds(one.seconds):>10}  {human_bytes(one.result_bytes):>9}  {one.frames:>7} frames  {name}"
        for name, one in found.files
    ]
    lines += [f"{'-':>10}  {'-':>9}  {'':>7}         {name}: {reason}" for name, reason in found.refused]
    pictures = f", and {found.pictures} pictures, which are not estimated" if found.pictures else ""
    return "\n".join(
        [
            *lines,
            f"{len(found.files)} videos, {found.frames} frames{pictures}; {len(found.refused)} cannot be done",
            f"time    about {human_seconds(found.seconds)}, one file after the other",
            f"size    about {human_bytes(found.result_bytes)}",
            f"disk    about {human_bytes(found.disk_bytes)} while it runs",
        ]
    )


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
