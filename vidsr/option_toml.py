"""Options as a TOML file: written with every field explained, read strictly, with all faults reported at once.

TOML has no null: a field that may be None is left out, and is written as a comment.
"""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from vidsr.errors import OptionsError
from vidsr.option_schema import Options, choice_text, describe, from_data, is_option, literal, range_text

T = TypeVar("T", bound=Options)


def read_toml(path: Path, kind: type[T]) -> T:
    """The options in a TOML file.

    Raises:
        OptionsError: the file is missing or not valid TOML, or holds unknown keys, wrong types or values out of
            range; the message has one line per fault.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionsError(f"{path}: cannot be read: {error.strerror}; make one with `vidsr train init`") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionsError(f"{path}: not valid TOML: {error}") from error
    return from_data(data, kind, where=str(path))


def to_toml(options: Any, table: str = "") -> str:
    """The options as TOML text, every field under its help, range and choices."""
    lines: list[str] = []
    nested: list[str] = []
    if table:
        lines += ["", f"[{table}]"]
    title = (type(options).__doc__ or "").strip().splitlines()[0]
    lines += [f"# {title}", ""]
    for f in dataclasses.fields(options):
        value = getattr(options, f.name)
        if not is_option(f):
            nested.append(to_toml(value, f"{table}.{f.name}".lstrip(".")))
            continue
        what = describe(f)
        tail = "; ".join(note for note in (range_text(what.minimum, what.maximum), choice_text(what)) if note)
        lines.append(f"# {what.help}" + (f" ({tail})" if tail else ""))
        lines.append(f"# {f.name} =" if value is None else f"{f.name} = {literal(what.plain(value))}")
    return "\n".join([*lines, *nested]) + ("" if table else "\n")
