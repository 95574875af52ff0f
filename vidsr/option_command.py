"""Options as the command line that gives them: commands to copy in messages, plans and pages."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from vidsr.option_schema import Described, describe, groups_of
from vidsr.options import EnhanceOptions


def command_line(source: Path | str, output: Path | str | None, options: EnhanceOptions, *more: str) -> str:
    """The ``vidsr enhance`` command for these options, quoted for a POSIX shell; ``more`` are further arguments."""
    # A path that begins with a dash would be read as an option.
    paths = [str(p) if not str(p).startswith("-") else f"./{p}" for p in (source, output) if p is not None]
    named = [paths[0], *(("-o", paths[1]) if len(paths) > 1 else ())]
    return shlex.join(["vidsr", "enhance", *named, *arguments(options), *more])


def arguments(options: EnhanceOptions) -> Iterator[str]:
    """The arguments of every option that differs from its default, in their order on the help page."""
    for group, kind in groups_of(EnhanceOptions):
        held = getattr(options, group)
        for f in fields(kind):
            value = getattr(held, f.name)
            if value != f.default:
                what = describe(f)
                yield from _given(what, what.plain(value))


def _given(what: Described, value: Any) -> Iterator[str]:
    flag, _, opposite = what.flags[0].partition("/")
    if isinstance(value, bool):
        yield flag if value or not opposite else opposite
        return
    for item in value if isinstance(value, tuple) else (value,):
        text = f"{item:.17g}" if isinstance(item, float) else str(item)
        # Joined, because a value that begins with a dash would be read as an option.
        yield from (f"{flag}={text}",) if text.startswith("-") else (flag, text)
