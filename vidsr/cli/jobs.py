"""``vidsr jobs``: see, resume, remove and watch the jobs of ``vidsr enhance``."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidsr.cli.flags import with_options
from vidsr.cli.help import Command, Group
from vidsr.cli.queue.commands import app as queue_app
from vidsr.errors import JobError, OptionsError
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.version import __version__

if TYPE_CHECKING:
    from vidsr.jobs.state.overview import Overview

#: Job options that may be changed when a job is resumed.
CHANGEABLE = ("workers", "devices", "threads", "engine", "address", "keep_going", "restart", "progress_format")

_EXAMPLES = """
Examples:

  vidsr jobs list
  vidsr jobs resume film.x4.mkv
  vidsr jobs queue list
"""

_LIST_EXAMPLES = """
Examples:

  vidsr jobs list
  vidsr jobs list /mnt/films --json
"""

_SHOW_EXAMPLES = """
Examples:

  vidsr jobs show film.x4.mkv
  vidsr jobs show 3f9c --json
"""

_RESUME_EXAMPLES = """
Examples:

  vidsr jobs resume film.x4.mkv
  vidsr jobs resume 3f9c --devices cuda:0,cuda:1
"""

_REMOVE_EXAMPLES = """
Examples:

  vidsr jobs remove film.x4.mkv
  vidsr jobs remove 3f9c --yes
"""

_WATCH_EXAMPLES = """
Examples:

  vidsr jobs watch film.x4.mkv
  vidsr jobs watch 3f9c --json
"""

app = typer.Typer(
    cls=Group,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="List, show, resume, remove and watch jobs, and queues of them. Name a job by its id, its folder or its "
    "result's path.",
    epilog=_EXAMPLES,
)

app.add_typer(queue_app, name="queue", short_help="List, reorder, stop and resume queues of files.")

Named = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, folder or result.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list", cls=Command, epilog=_LIST_EXAMPLES)
def list_jobs(
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="Also look for jobs in this folder.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List unfinished and kept jobs with their progress."""
    from vidsr.jobs.state import job_folders
    from vidsr.jobs.state.overview import look_at

    found = list(job_folders.known_folders())
    if folder is not None:
        if not folder.is_dir():
            raise JobError(f"{folder} is not a folder")
        found += [f for f in sorted(folder.absolute().glob(f"*{job_folders.SUFFIX}")) if f not in found]
    views = [look_at(f) for f in found]
    if as_json:
        typer.echo(json.dumps([view.to_json() for view in views]))
        return
    if not views:
        typer.echo("no jobs", err=True)
        return
    rows = [("JOB", "STATE", "DONE", "SEGMENTS", "LEFT", "DISK", "RESULT"), *(_row(view) for view in views)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row, view in zip(rows, [None, *views], strict=True):
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if view is not None and view.error:
            typer.echo(f"{'':{widths[0]}}  error: {view.error}")


def _row(view: Overview) -> tuple[str, ...]:
    from vidsr.storage import human_bytes

    segments = f"{view.segments}/{view.total_segments}"
    return (
        view.job,
        view.state,
        f"{view.percent:.0f} %",
        segments,
        _left(view),
        human_bytes(view.disk_bytes),
        view.output or view.folder,
    )


def _left(view: Overview) -> str:
    from vidsr.storage import human_seconds

    return "-" if view.seconds_left is None else human_seconds(view.seconds_left)


@app.command("show", short_help="Show one job.", cls=Command, epilog=_SHOW_EXAMPLES)
def show(job: Named, as_json: AsJson = False) -> None:
    """Show one job: progress, time left, disk use, last error, and the command to resume it."""
    from vidsr.jobs.state import job_folders
    from vidsr.jobs.state.overview import look_at

    view = look_at(job_folders.find(job))
    if as_json:
        typer.echo(json.dumps(view.to_json()))
        return
    for name, value in _lines(view):
        typer.echo(f"{name:<9} {value}")


def _lines(view: Overview) -> Iterator[tuple[str, str]]:
    from vidsr.storage import human_bytes

    yield "job", view.job
    yield "state", view.state + (f", {view.stage}" if view.stage else "")
    yield "source", view.source
    yield "result", view.output
    yield "done", f"{view.frames} of {view.total_frames} frames ({view.percent:.1f} %)"
    yield "segments", f"{view.segments} of {view.total_segments}"
    if view.fps is not None:
        yield "speed", f"{view.fps:.2f} frames/s, {_left(view)} left"
    elif view.seconds_left is not None:
        yield "left", f"about {_left(view)} at its last speed"
    if view.fallbacks:
        yield "fallback", f"{view.fallbacks} segments used a fallback instead of the requested settings; see the log"
    yield "disk", f"{human_bytes(view.disk_bytes)} in {view.folder}"
    yield "updated", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(view.updated))
    if view.error:
        yield "error", view.error
    if view.resume:
        yield "resume", view.resume


@app.command("resume", short_help="Resume an interrupted job.", cls=Command, epilog=_RESUME_EXAMPLES)
@with_options(only=tuple(f"jobs.{name}" for name in CHANGEABLE))
def resume(
    ctx: typer.Context,
    job: Named,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
    *,
    options: EnhanceOptions,
) -> None:
    """Resume an interrupted job with its original options; only the options below, such as devices and workers, may
    change."""
    from vidsr.cli.enhance import run_enhance
    from vidsr.jobs.state import job_folders
    from vidsr.jobs.state.manifest import Manifest
    from vidsr.jobs.state.overview import whereabouts

    folder = job_folders.find(job)
    manifest = Manifest.load(folder)
    if manifest.state == "done":
        raise JobError(
            f"{manifest.output} is already finished (its segments were kept on request); there is nothing to resume"
        )
    if manifest.binding.vidsr != __version__:
        raise JobError(
            f"{folder.name} was started by vidsr {manifest.binding.vidsr}, but this is {__version__}: resume it with "
            "that version, or start over with vidsr enhance --restart"
        )
    # By name: Typer bundles its own Click in a private module.
    given = {name for name in CHANGEABLE if getattr(ctx.get_parameter_source(name), "name", "DEFAULT") != "DEFAULT"}
    changes = {name: getattr(options.jobs, name) for name in given | {"restart", "progress_format"}}
    if changes.get("engine") == "local":
        changes |= {"address": None, "ship": None}
    begun = EnhanceOptions.from_json(manifest.options)
    model = begun.model if options.jobs.devices is None else dataclasses.replace(begun.model, device="auto")
    begun = dataclasses.replace(begun, jobs=dataclasses.replace(begun.jobs, **changes), model=model).check()
    source, output = whereabouts(manifest, folder)
    run_enhance(Path(source), output, begun, as_json=as_json, quiet=False)


@app.command("remove", short_help="Delete a job and its finished segments.", cls=Command, epilog=_REMOVE_EXAMPLES)
def remove(
    job: Named,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete a job and its finished segments. An existing result is kept."""
    from vidsr.jobs.state import job_folders
    from vidsr.jobs.state.overview import look_at

    folder = job_folders.find(job)
    view = look_at(folder)
    if view.state == "running":
        raise JobError(f"{folder.name} is running; stop it first")
    if not yes:
        if not sys.stdin.isatty():
            raise OptionsError("cannot ask for confirmation without a terminal; use --yes to remove the job")
        typer.confirm(f"Delete {view.segments} finished segments in {folder}?", abort=True)
    job_folders.remove(folder)
    typer.echo(f"removed {folder}", err=True)


@app.command("watch", short_help="Follow a running job until it ends.", cls=Command, epilog=_WATCH_EXAMPLES)
def watch(
    job: Named,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line per second.")] = False,
) -> None:
    """Follow a running job until it ends."""
    from vidsr.jobs.state import job_folders
    from vidsr.jobs.state.overview import look_at

    folder = job_folders.find(job)
    view = look_at(folder)
    while view.state == "running":
        typer.echo(json.dumps(view.to_json()) if as_json else _line(view), nl=as_json or not sys.stdout.isatty())
        time.sleep(1.0)
        if not folder.exists():
            break
        view = look_at(folder)
    if not as_json and sys.stdout.isatty():
        typer.echo()
    _say_end(folder, view, as_json=as_json)


def _say_end(folder: Path, view: Overview, *, as_json: bool) -> None:
    """Print the final state; a job's folder is removed once its result is complete."""
    if not folder.exists():
        view = dataclasses.replace(view, state="done", frames=view.total_frames, seconds_left=None, fps=None)
    if as_json:
        typer.echo(json.dumps(view.to_json()))
        return
    typer.echo(f"{view.state}: {view.output}")
    if view.error:
        typer.echo(f"error: {view.error}")
    if view.resume and folder.exists():
        typer.echo(f"to resume: {view.resume}")


def _line(view: Overview) -> str:
    start = "\r\x1b[K" if sys.stdout.isatty() else ""
    speed = "" if view.fps is None else f", {view.fps:.2f} frames/s, {_left(view)} left"
    stage = f" {view.stage}" if view.stage not in ("", "segments") else ""
    segments = f"{view.segments}/{view.total_segments} segments"
    return f"{start}{view.percent:5.1f} %  {view.frames}/{view.total_frames} frames, {segments}{speed}{stage}"
