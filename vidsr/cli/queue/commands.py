"""``vidsr jobs queue``: see, reorder, stop and resume the queues of ``vidsr enhance``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from vidsr.cli.flags import with_options
from vidsr.cli.help import Command, Group
from vidsr.errors import OptionsError
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.storage import readable

if TYPE_CHECKING:
    from vidsr.jobs.queue.view import QueueView

#: Job options that may be changed when a queue is resumed.
CHANGEABLE = ("workers", "devices", "threads", "engine", "address", "watch", "settle", "progress_format")
PLACES = ("first", "last", "up", "down")

_EXAMPLES = """
Examples:

  vidsr jobs queue list
  vidsr jobs queue show out/
  vidsr jobs queue move out/ "summer 1987.mpg" first
"""
_LIST_EXAMPLES = """
Examples:

  vidsr jobs queue list
  vidsr jobs queue list --json
"""
_SHOW_EXAMPLES = """
Examples:

  vidsr jobs queue show out/
  vidsr jobs queue show 3f9c --json
"""
_MOVE_EXAMPLES = """
Examples:

  vidsr jobs queue move out/ "summer 1987.mpg" first
  vidsr jobs queue move 3f9c 1a2b down
"""
_DROP_EXAMPLES = """
Examples:

  vidsr jobs queue drop out/ "summer 1987.mpg"
"""
_TAKE_EXAMPLES = """
Examples:

  vidsr jobs queue take out/ "summer 1987.mpg"
"""
_STOP_EXAMPLES = """
Examples:

  vidsr jobs queue stop out/
  vidsr jobs queue stop 3f9c --now
"""
_RESUME_EXAMPLES = """
Examples:

  vidsr jobs queue resume out/
  vidsr jobs queue resume 3f9c --devices cuda:0,cuda:1
"""
_REMOVE_EXAMPLES = """
Examples:

  vidsr jobs queue remove out/
"""

app = typer.Typer(
    cls=Group,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="List, show, reorder, stop and resume queues of files. Name a queue by its id or its output folder.",
    epilog=_EXAMPLES,
)

QueueName = Annotated[
    str, typer.Argument(metavar="QUEUE", help="The queue's id or its output folder.", show_default=False)
]
File = Annotated[str, typer.Argument(metavar="FILE", help="The file's id, name or path.", show_default=False)]
QueueAsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list", cls=Command, epilog=_LIST_EXAMPLES)
def list_queues(as_json: QueueAsJson = False) -> None:
    """List all queues, the newest first."""
    from vidsr.jobs.queue.records import known_queues
    from vidsr.jobs.queue.view import look_at_queue

    views = [look_at_queue(folder) for folder in known_queues()]
    if as_json:
        typer.echo(json.dumps([view.to_json() for view in views]))
        return
    if not views:
        typer.echo("no queues", err=True)
        return
    rows = [("QUEUE", "STATE", "DONE", "FILES", "NOT DONE", "LEFT", "RESULTS"), *map(_row, views)]
    _print_table(rows)


def _row(view: QueueView) -> tuple[str, ...]:
    counts = view.counts
    bad = counts.get("refused", 0) + counts.get("failed", 0)
    place = view.output or "next to their sources"
    return (view.id, view.state, str(counts.get("done", 0)), str(len(view.files)), str(bad), _left(view), place)


def _left(view: QueueView) -> str:
    from vidsr.storage import human_seconds

    return "-" if view.seconds_left is None else human_seconds(view.seconds_left)


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(readable(row[column])) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (readable(cell).ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


@app.command("show", short_help="Show the files of a queue.", cls=Command, epilog=_SHOW_EXAMPLES)
def show(queue: QueueName, as_json: QueueAsJson = False) -> None:
    """Show a queue: its files in their order, how far each is, and why one was not done."""
    from vidsr.jobs.queue.records import find_queue
    from vidsr.jobs.queue.view import look_at_queue

    _print_queue(look_at_queue(find_queue(queue)), as_json=as_json)


def _print_queue(view: QueueView, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(view.to_json()))
        return
    for name, value in _facts(view):
        typer.echo(f"{name:<8} {readable(value)}")
    rows: list[tuple[str, ...]] = [("FILE", "STATE", "DONE", "NAME")]
    for file in view.files:
        done = f"{100 * file.frames // file.total_frames}%" if file.total_frames and file.frames else "-"
        why = f": {file.reason}" if file.reason else ""
        rows.append((file.id, file.state, done, f"{file.name}{why}"))
    typer.echo()
    _print_table(rows)


def _facts(view: QueueView) -> Iterator[tuple[str, str]]:
    yield "queue", view.id
    yield "state", view.state + (", watching for new files" if view.watch and view.state == "running" else "")
    yield "sources", ", ".join(view.sources)
    yield "results", view.output or "next to their sources"
    if view.total_frames:
        yield "frames", f"{view.frames} of {view.total_frames} ({view.percent:.1f} %)"
    if view.fps is not None:
        yield "speed", f"{view.fps:.2f} frames/s, {_left(view)} left"
    if view.state == "stopped":
        yield "resume", f"vidsr jobs queue resume {view.id}"


@app.command("move", short_help="Move a waiting file within the queue.", cls=Command, epilog=_MOVE_EXAMPLES)
def move(
    queue: QueueName,
    file: File,
    place: Annotated[str, typer.Argument(metavar="first|last|up|down", help="Its new place.", show_default=False)],
) -> None:
    """Move a waiting file to another place in the queue. A running queue follows at once."""
    from vidsr.jobs.queue import view as queues
    from vidsr.jobs.queue.records import find_queue

    if place not in PLACES:
        raise OptionsError(f"{place}: give one of {', '.join(PLACES)}")
    _print_queue(queues.move(find_queue(queue), file, place), as_json=False)  # type: ignore[arg-type]


@app.command("drop", short_help="Leave a file out.", cls=Command, epilog=_DROP_EXAMPLES)
def drop(queue: QueueName, file: File) -> None:
    """Leave out a file, even one in progress; its finished segments stay."""
    from vidsr.jobs.queue import view as queues
    from vidsr.jobs.queue.records import find_queue

    _print_queue(queues.leave_out(find_queue(queue), file), as_json=False)


@app.command("take", short_help="Take back a file that was left out.", cls=Command, epilog=_TAKE_EXAMPLES)
def take(queue: QueueName, file: File) -> None:
    """Take back a file that was left out: the next run of the queue includes it."""
    from vidsr.jobs.queue import view as queues
    from vidsr.jobs.queue.records import find_queue

    _print_queue(queues.take_back(find_queue(queue), file), as_json=False)


@app.command("stop", short_help="Stop a running queue.", cls=Command, epilog=_STOP_EXAMPLES)
def stop(
    queue: QueueName, now: Annotated[bool, typer.Option("--now", help="Also drop the segments in progress.")] = False
) -> None:
    """Stop a running queue after the segments in progress. It can be resumed."""
    from vidsr.jobs.queue import view as queues
    from vidsr.jobs.queue.records import find_queue

    view = queues.stop(find_queue(queue), now=now)
    typer.echo(f"stopping; to resume: vidsr jobs queue resume {view.id}", err=True)


@app.command("resume", short_help="Resume a queue.", cls=Command, epilog=_RESUME_EXAMPLES)
@with_options(only=tuple(f"jobs.{name}" for name in CHANGEABLE))
def resume(
    ctx: typer.Context,
    queue: QueueName,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
    *,
    options: EnhanceOptions,
) -> None:
    """Resume a queue with its original options; only the options below, such as devices and workers, may change."""
    import dataclasses

    from vidsr.cli.enhance import run_queue
    from vidsr.jobs.queue.records import QueueRecord, find_queue

    record = QueueRecord.load(find_queue(queue))
    # By name: Typer bundles its own Click in a private module.
    given = {name for name in CHANGEABLE if getattr(ctx.get_parameter_source(name), "name", "DEFAULT") != "DEFAULT"}
    changes = {name: getattr(options.jobs, name) for name in given | {"progress_format"}}
    begun = EnhanceOptions.from_json(record.options)
    model = begun.model if options.jobs.devices is None else dataclasses.replace(begun.model, device="auto")
    begun = dataclasses.replace(begun, jobs=dataclasses.replace(begun.jobs, **changes), model=model).check()
    output = None if record.output is None else f"{record.output}{os.sep}"
    run_queue(record.sources, output, begun, as_json=as_json, quiet=False)


@app.command("remove", short_help="Forget a queue.", cls=Command, epilog=_REMOVE_EXAMPLES)
def remove(queue: QueueName) -> None:
    """Forget a queue that is not running: its list and its records. Results and unfinished jobs stay."""
    from vidsr.jobs.queue import view as queues
    from vidsr.jobs.queue.records import find_queue

    folder = find_queue(queue)
    queues.remove(folder)
    typer.echo(f"removed the queue {folder.name}", err=True)
