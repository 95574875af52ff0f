"""The command line in this process: a process of its own takes seconds to load PyTorch."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass

from vidsr.cli.main import run


@dataclass(frozen=True, slots=True)
class Done:
    """What a command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def vidsr(*arguments: object) -> Done:
    """``vidsr("verify", source, result)``, as a program that starts it would see it."""
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        code = run([str(argument) for argument in arguments])
    return Done(code, out.getvalue(), error.getvalue())
