"""Options as the command line that gives them: commands to copy in messages, plans and pages."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.schema import Described, describe, groups_of


def command_line(
    source: Path | str | Sequence[Path | str], output: Path | str | None, options: EnhanceOptions, *more: str
) -> str:
    """The ``vidsr enhance`` command for one source or several, quoted for a POSIX shell; ``more`` are further
    arguments."""
    sources = [source] if isinstance(source, Path | str) else source
    named = [*map(_path, sources), *(() if output is None else ("-o", _path(output)))]
    return shlex.join(["vidsr", "enhance", *named, *arguments(options), *more])


def _path(path: Path | str) -> str:
    # A path that begins with a dash would be read as an option.
    return str(path) if not str(path).startswith("-") else f"./{path}"


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


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """What differs between two sets of options, ``group.field`` → plain value, one phrase each, named as on the
    command line: "--from (was 1:30, is not given)", "--no-audio (was --audio)"."""
    for name in sorted(old.keys() | new.keys()):
        was, is_ = old.get(name), new.get(name)
        if was == is_:
            continue
        flag, _, opposite = _flags(name).partition("/")
        if opposite and isinstance(was, bool) and isinstance(is_, bool):
            yield f"{flag} (was {opposite})" if is_ else f"{opposite} (was {flag})"
        else:
            yield f"{flag} (was {_typed(was)}, is {_typed(is_)})"


def _flags(name: str) -> str:
    """The flags of an option ``group.field``; of one that there is no longer, what its name suggests."""
    group, _, field_name = name.rpartition(".")
    kinds = dict(groups_of(EnhanceOptions))
    found = (f for f in fields(kinds[group]) if f.name == field_name) if group in kinds else iter(())
    return next((describe(f).flags[0] for f in found), f"--{field_name.replace('_', '-')}")


def _typed(value: Any) -> str:
    """A value as one types it."""
    if value is None or value is False or value in ((), []):
        return "not given"
    if value is True:
        return "given"
    if isinstance(value, tuple | list):
        return " ".join(map(_typed, value))
    return f"{value:.17g}" if isinstance(value, float) else str(value)


def absolute_paths(options: EnhanceOptions) -> EnhanceOptions:
    """``options`` with absolute paths: workers, and a later resume, may run in another working directory."""
    if Path(options.model.model).is_file():
        options = replace(options, model=replace(options.model, model=str(Path(options.model.model).absolute())))
    if options.restore.masks is not None:
        masks = str(Path(options.restore.masks).absolute())
        options = replace(options, restore=replace(options.restore, masks=masks))
    return options
