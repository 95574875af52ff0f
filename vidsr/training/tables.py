"""Options as a TOML file: written with every field explained, read strictly, all faults told at once.

An option class is a frozen dataclass whose fields come from :func:`vidsr.options.opt`, or are themselves such
classes, which become sub-tables. All have defaults. TOML has no null: a field that may be None is left out, and is
written as a comment.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import re
import tomllib
import types
import typing
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from vidsr.errors import OptionsError
from vidsr.option_schema import Described, describe

T = TypeVar("T")


class Table:
    """Base of all option tables: what spans several fields is checked by :meth:`cross_faults`."""

    __slots__ = ()

    def cross_faults(self) -> Iterator[str]:
        """One sentence per contradiction between fields of this table, without the table's name."""
        return iter(())


def weights(default: Mapping[str, float], help: str) -> Any:
    """A field that is a table of names with weights of at least 0."""
    described = Described(help=help, flags=(), minimum=0)
    return dataclasses.field(default_factory=lambda: dict(default), metadata={"vidsr": described})


def read_toml(path: Path, kind: type[T]) -> T:
    """The options in a TOML file.

    Raises:
        OptionsError: the file is missing or is no TOML, or holds unknown keys, wrong types or values out of
            range; the message has one line per fault.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionsError(f"{path}: cannot be read: {error.strerror}; make one with `vidsr train init`") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionsError(f"{path}: is no valid TOML: {error}") from error
    return from_data(data, kind, where=str(path))


def from_data(data: Mapping[str, Any], kind: type[T], *, where: str = "options") -> T:
    """Options from nested plain values, as TOML and JSON give them.

    Raises:
        OptionsError: with every fault, one per line, each naming its table and key.
    """
    found = _Faults()
    result = _build(data, kind(), "", found)
    faults = found.sentences
    faults += [fault for fault in faults_of(result, doubtful=found.doubtful) if _key(fault) not in found.keys]
    if faults:
        listed = "\n".join(f"  {fault}" for fault in faults)
        raise OptionsError(f"{where}: {len(faults)} fault{'s' * (len(faults) > 1)}:\n{listed}")
    return result


@dataclasses.dataclass(slots=True)
class _Faults:
    """What is wrong with the plain values: sentences, the keys they are about, and tables not read as meant.

    What such a table says of its fields together would speak of defaults that nobody chose.
    """

    sentences: list[str] = dataclasses.field(default_factory=list)
    keys: set[str] = dataclasses.field(default_factory=set)
    doubtful: set[str] = dataclasses.field(default_factory=set)

    def add(self, table: str, name: str, text: str) -> None:
        self.sentences.append(f"[{table}] {name}{text}" if table else f"{name}{text}")
        self.keys.add(_key(self.sentences[-1]))
        if table:
            self.doubtful.add(table)


def _key(fault: str) -> str:
    """The table and key that a sentence begins with."""
    return re.split(r"(?<=\w)(?: =|:)", fault, maxsplit=1)[0]


def _build(data: Mapping[str, Any], base: T, table: str, found: _Faults) -> T:
    """``base`` with the values given; what cannot be used is left as it is there."""
    hints = typing.get_type_hints(type(base))
    known = {f.name for f in dataclasses.fields(base)}  # type: ignore[arg-type]
    for name in sorted(data.keys() - known):
        near = difflib.get_close_matches(name, known, 1)
        found.add(table, name, ": unknown" + (f", did you mean {near[0]}?" if near else ""))
        found.doubtful.update(f"{table}.{n}".lstrip(".") for n in near)
    values: dict[str, Any] = {}
    for name in sorted(known & data.keys()):
        value, hint = data[name], hints[name]
        if dataclasses.is_dataclass(hint):
            if isinstance(value, dict):
                values[name] = _build(value, getattr(base, name), f"{table}.{name}".lstrip("."), found)
            else:
                found.add(table, name, f": must be a table, got {value!r}")
        elif not _fits(value, hint):
            found.add(table, name, f" = {value!r}: must be {_hint_text(hint)}")
        else:
            values[name] = _convert(value, hint)
    return dataclasses.replace(base, **values)  # type: ignore[type-var]


def _fits(value: Any, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, h) for h in typing.get_args(hint))
    if origin is tuple:
        inner = typing.get_args(hint)
        if not isinstance(value, (list, tuple)):
            return False
        if inner[-1] is Ellipsis:
            return all(_fits(v, inner[0]) for v in value)
        return len(value) == len(inner) and all(_fits(v, h) for v, h in zip(value, inner, strict=True))
    if origin is dict:
        return isinstance(value, dict) and all(_fits(v, typing.get_args(hint)[1]) for v in value.values())
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(hint, type) and isinstance(value, hint)


def _convert(value: Any, hint: Any) -> Any:
    """Lists as tuples, whole numbers as floats where a float is meant."""
    if isinstance(value, (list, tuple)):
        inner = typing.get_args(hint)
        kinds = (inner[0],) * len(value) if inner[-1] is Ellipsis else inner
        return tuple(_convert(v, k) for v, k in zip(value, kinds, strict=True))
    if isinstance(value, dict):
        return {k: _convert(v, typing.get_args(hint)[1]) for k, v in value.items()}
    wants_float = hint is float or float in typing.get_args(hint)
    return float(value) if wants_float and isinstance(value, int) and not isinstance(value, bool) else value


def _hint_text(hint: Any) -> str:
    origin = typing.get_origin(hint)
    if origin is tuple:
        inner = typing.get_args(hint)
        return f"a list of {_hint_text(inner[0])}" if inner[-1] is Ellipsis else f"a list of {len(inner)} numbers"
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_hint_text(h) for h in typing.get_args(hint) if h is not type(None))
    names = {int: "a whole number", float: "a number", str: "a text in quotes", bool: "true or false"}
    return "a table of numbers" if origin is dict else names.get(hint, str(hint))


def faults_of(options: Any, table: str = "", doubtful: Collection[str] = ()) -> Iterator[str]:
    """One sentence per value out of range or contradiction, each naming its table and key.

    The fields of ``doubtful`` tables are not checked against each other.
    """
    prefix = f"[{table}] " if table else ""
    for f in dataclasses.fields(options):
        value = getattr(options, f.name)
        if dataclasses.is_dataclass(value):
            yield from faults_of(value, f"{table}.{f.name}".lstrip("."), doubtful)
        elif value is not None:
            yield from (f"{prefix}{f.name} = {_literal(value)}: {fault}" for fault in _field_faults(f, value))
    if isinstance(options, Table) and table not in doubtful:
        yield from (f"{prefix}{fault}" for fault in options.cross_faults())


def _field_faults(f: dataclasses.Field[Any], value: Any) -> Iterator[str]:
    what = describe(f)
    several = isinstance(value, (tuple, dict))
    items = list(value.values()) if isinstance(value, dict) else list(value) if several else [value]
    for item in items:
        if what.choices and item not in what.choices:
            yield f"must be {_choice_text(what)}"
        if isinstance(item, float) and not math.isfinite(item):
            yield "must be a finite number"
        elif isinstance(item, (int, float)) and not isinstance(item, bool):
            low, high = what.minimum, what.maximum
            if (low is not None and not item >= low) or (high is not None and not item <= high):
                yield f"must be {range_text(low, high)}"
    if what.metavar == "LOW,HIGH" and len(items) == 2 and items[0] > items[1]:
        yield "the lower end stands above the upper one"


def range_text(low: float | None, high: float | None) -> str:
    """ "between 0 and 1", "at least 3", or an empty text."""
    if low is None:
        return "" if high is None else f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"


def _choice_text(what: Described) -> str:
    return f"one of {', '.join(str(choice) or 'nothing' for choice in what.choices)}" if what.choices else ""


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
        if dataclasses.is_dataclass(value):
            nested.append(to_toml(value, f"{table}.{f.name}".lstrip(".")))
            continue
        what = describe(f)
        notes = [
            range_text(what.minimum, what.maximum),
            _choice_text(what),
        ]
        tail = "; ".join(note for note in notes if note)
        lines.append(f"# {what.help}" + (f" ({tail})" if tail else ""))
        lines.append(f"# {f.name} =" if value is None else f"{f.name} = {_literal(value)}")
    return "\n".join([*lines, *nested]) + ("" if table else "\n")


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple):
        return "[" + ", ".join(_literal(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {_literal(v)}" for k, v in value.items()) + " }"
    return repr(value)


def changes(old: Mapping[str, Any], new: Mapping[str, Any], table: str = "") -> Iterator[str]:
    """One sentence per value that differs between two sets of options as plain values."""
    for name in sorted(old.keys() | new.keys()):
        before, now = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(now, dict):
            yield from changes(before, now, f"{table}.{name}".lstrip("."))
        elif before != now:
            yield f"{f'[{table}] ' if table else ''}{name} was {before!r}, is {now!r} from here on"
