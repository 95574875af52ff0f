"""The ``vidsr`` command: its subcommands, imported only when called, and its exit codes.

Exit codes: 0 success, 1 a :class:`~vidsr.errors.VidsrError`, 2 usage error, 130 interrupted. A traceback is shown
only with ``VIDSR_DEBUG=1``.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import typer

from vidsr.cli.help import Group
from vidsr.errors import Interrupted, VidsrError
from vidsr.version import __version__

#: name → (module that has `app`, one line of help). The line is here so that `--help` imports nothing else.
COMMANDS: dict[str, tuple[str, str]] = {
    "enhance": ("vidsr.cli.enhance", "Enlarge a video or pictures, keeping audio, timing, colour and metadata."),
    "probe": ("vidsr.cli.probe", "Show what a video file contains, and what cannot be kept."),
    "verify": ("vidsr.cli.verify", "Check that a result kept everything its source had."),
    "preview": ("vidsr.cli.preview", "Show a few moments before and after, and estimate the whole job."),
    "plan": ("vidsr.cli.plan", "Estimate time, size and memory of a whole job."),
    "evaluate": ("vidsr.cli.evaluate", "Score a model on pictures with known originals."),
    "compare": (
        "vidsr.cli.compare",
        "Measure videos against a reference: PSNR, SSIM, LPIPS, VMAF, temporal stability.",
    ),
    "jobs": ("vidsr.cli.jobs", "List, resume, remove and watch the jobs of enhance."),
    "config": ("vidsr.cli.config.show", "Show where each option's value comes from, and the available presets."),
    "inspect": (
        "vidsr.cli.inspect",
        "Detect interlacing, telecine, bars and grain in a video, and recommend options.",
    ),
    "doctor": ("vidsr.cli.doctor", "Show what this machine has, what works, what a job will use, and what to install."),
    "bench": ("vidsr.cli.bench", "Measure this machine and how fast the models run on it."),
    "serve": ("vidsr.cli.serve", "Serve a web page and an HTTP API for the same jobs (extra: web)."),
    "models": ("vidsr.cli.models", "List, inspect, fetch and convert models."),
    "dataset": ("vidsr.cli.dataset", "Build training datasets and preview their degradations."),
    "train": ("vidsr.cli.train", "Train your own model."),
}


class LazyGroup(Group):
    """A command group that imports a subcommand's module only when that subcommand is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of :data:`COMMANDS`, in their order there."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import and return one subcommand, or None if no command has that name."""
        if cmd_name not in COMMANDS:
            return None
        command = typer.main.get_command(importlib.import_module(COMMANDS[cmd_name][0]).app)
        command.name = cmd_name
        return command

    def command_lines(self, ctx: Any) -> Iterator[tuple[str, str]]:
        """(name, one line) of every command, importing none of them."""
        for name, (_, text) in COMMANDS.items():
            yield name, text


_EXAMPLES = """
Examples:

  vidsr enhance clip.mp4 --scale 4
  vidsr preview film.mkv --scale 2
  vidsr inspect tape.mpg
  vidsr models list

Run `vidsr COMMAND --help` for details. Exit codes: 0 success, 1 error, 2 usage error, 130 interrupted.
"""

app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=_EXAMPLES,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vidsr {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", help="Print the version.", callback=_print_version, is_eager=True),
) -> None:
    """Enlarge and restore video with ESRGAN, keeping audio, subtitles, timing, colour and metadata."""


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: list[str]) -> int:
    """Run the command line and return its exit code. The only place that turns errors into messages."""
    try:
        result: Any = app(argv, prog_name="vidsr", standalone_mode=False)
    except (SystemExit, Exception) as error:
        return _report(error, argv)
    if result == Interrupted.exit_code:  # how Typer reports Ctrl-C
        _say("interrupted")
    return result if isinstance(result, int) else 0


def _report(error: BaseException, argv: list[str]) -> int:
    """Print what went wrong in one line and return the exit code."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if os.environ.get("VIDSR_DEBUG") == "1" and not isinstance(error, typer.TyperException):
        raise error
    if isinstance(error, VidsrError):
        _say(str(error))
        return error.exit_code
    if isinstance(error, PermissionError) and error.filename is not None:
        from vidsr.storage import readable

        _say(f"{readable(os.fsdecode(error.filename))}: permission denied; change its rights, or those of its folder")
        return 1
    if isinstance(error, typer.Abort):
        _say("aborted")
        return 1
    if isinstance(error, typer.TyperException):
        _say_usage(error, argv)
        return error.exit_code
    # Not a VidsrError: a bug in vidsr or a library. Still one line, and how to get the traceback.
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    _say(f"unexpected error: {what} (run again with VIDSR_DEBUG=1 for the traceback, and please report it)")
    return 1


def _say_usage(error: typer.TyperException, argv: list[str]) -> None:
    message = error.format_message()
    if "\n" in message:  # a group that was called without a command: the message is its help
        print(message, file=sys.stderr)
        return
    called = " ".join(["vidsr", *(name for name in argv[:1] if name in COMMANDS)])
    command = getattr(getattr(error, "ctx", None), "command_path", called)
    _say(f"{message[:1].lower()}{message[1:].rstrip('.')}; see: {command} --help")


def _say(text: str) -> None:
    print(f"vidsr: {text}", file=sys.stderr)
