"""Options as a TOML file: written with every field explained, read strictly, with all faults reported at once.

TOML has no null: a field that may be None is left out, and is written as a comment.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from vidsr.errors import OptionsError
from vidsr.options.schema import (
    Options,
    checked_data,
    choice_text,
    describe,
    from_data,
    groups_of,
    is_option,
)
from vidsr.options.values import literal, range_text

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


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenOptions:
    """The options that a TOML file sets, by name and typed, and the place of each: "film.toml, line 3"."""

    values: Mapping[str, Any]
    places: Mapping[str, str]


def read_given(path: Path, kind: type[T]) -> GivenOptions:
    """The options that a TOML file sets, of a class whose options lie in groups.

    Raises:
        OptionsError: the file is missing or not valid TOML, or holds unknown keys, wrong types or values out of
            range; one line per fault, with the line of the file.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except OSError as error:
        raise OptionsError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionsError(f"{path}: not valid TOML: {error}") from error
    lines = _lines_of_keys(text)
    options, faults = checked_data(data, kind)
    if faults:
        raise OptionsError("; ".join(f"{path}{_line_of(fault, lines)}: {fault}" for fault in faults))
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for group, table in data.items():
        for name in table:
            values[name] = getattr(getattr(options, group), name)
            line = lines.get((group, name))
            places[name] = f"{path}, line {line}" if line else str(path)
    return GivenOptions(values=values, places=places)


def _lines_of_keys(text: str) -> dict[tuple[str, str], int]:
    """(table, key) → line, of keys that stand on a line of their own; ("", table) → the line of its heading."""
    found: dict[tuple[str, str], int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if heading := re.match(r"\s*\[\s*([A-Za-z0-9_.\-]+)\s*\]", line):
            table = heading.group(1)
            found.setdefault(("", table), number)
        elif key := re.match(r"\s*([A-Za-z0-9_.\-]+)\s*=", line):
            found.setdefault((table, key.group(1)), number)
    return found


def _line_of(fault: str, lines: Mapping[tuple[str, str], int]) -> str:
    """ ", line 3" for a fault that begins with its table and key, or with a key outside of tables."""
    named = re.match(r"(?:\[(?P<table>[\w.]+)\] )?(?P<key>[\w-]+)", fault)
    if named is None:
        return ""
    table, key = named["table"] or "", named["key"]
    line = lines.get((table, key)) or lines.get(("", table))
    return f", line {line}" if line else ""


def given_toml(kind: type[Options], values: Mapping[str, Any], title: str) -> str:
    """TOML text that sets ``values``, by option name; every other option is there as a comment with its default."""
    lines = [f"# {title}"]
    for group, group_kind in groups_of(kind):
        lines += ["", f"[{group}]"]
        for f in dataclasses.fields(group_kind):
            what = describe(f)
            lines += ["", f"# {what.help}"]
            shown = values.get(f.name, f.default)
            text = "" if shown is None and what.write is None else literal(what.plain(shown))
            lines.append(f"{f.name} = {text}" if f.name in values else f"# {f.name} = {text}".rstrip())
    return "\n".join(lines) + "\n"
