"""The base of all options: fields that know their flag, help and range, in groups that check themselves.

An options class is a frozen dataclass derived from :class:`Options`. Its fields are made by :func:`opt`, or are option
classes themselves (groups); all have defaults. The command line, the reference documentation, the JSON and TOML forms
and the fields of the web app are made from these declarations.

Faults are named in two ways: by flag (``--crf 99: must be between 0 and 63``) for values that come from the command
line or the API, and by table and key (``[data] batch = 0: ...``) for those from TOML or JSON.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self, TypeVar

from vidsr.errors import OptionsError
from vidsr.options.values import convert, fits, hint_text, literal, range_text

T = TypeVar("T", bound="Options")

_KEY = "vidsr"
_LONGEST_VALUE = 80  # characters of a faulty value that a message quotes


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """The description of a field; read through :func:`describe`.

    ``parse`` and ``write`` belong to fields that are typed in Python and text everywhere else. ``parse`` raises
    OptionsError. ``help_from`` makes the help text when it is first needed.
    """

    help: str
    flags: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] = ()
    metavar: str | None = None
    parse: Callable[[str], Any] | None = None
    write: Callable[[Any], str | None] | None = None
    help_from: Callable[[], str] | None = None

    def plain(self, value: Any) -> Any:
        """A value of the field as JSON has it."""
        return self.write(value) if self.write is not None else value


def opt(
    default: Any,
    help: str | Callable[[], str],
    *flags: str,
    between: tuple[float | None, float | None] = (None, None),
    choices: Sequence[Any] = (),
    metavar: str | None = None,
    parse: Callable[[str], Any] | None = None,
    write: Callable[[Any], str | None] | None = None,
) -> Any:
    """A dataclass field that knows its help text, flags and range.

    ``flags`` default to ``--field-name``. ``between`` is an inclusive range. A boolean field's flag is written
    as Typer does, ``"--audio/--no-audio"``. ``parse`` and ``write`` convert from and to text.
    """
    described = Described(
        help=help if isinstance(help, str) else "",
        flags=flags,
        minimum=between[0],
        maximum=between[1],
        choices=tuple(choices),
        metavar=metavar,
        parse=parse,
        write=write,
        help_from=None if isinstance(help, str) else help,
    )
    return field(default=default, metadata={_KEY: described})


def weights(default: Mapping[str, float], help: str) -> Any:
    """A field that is a table of names with weights of at least 0."""
    return field(default_factory=lambda: dict(default), metadata={_KEY: Described(help=help, minimum=0)})


def is_option(f: dataclasses.Field[Any]) -> bool:
    """Whether a field holds a value; else it is a group of options."""
    return _KEY in f.metadata


def describe(f: dataclasses.Field[Any]) -> Described:
    """The description of a field made by :func:`opt` or :func:`weights`, with flags and help filled in."""
    described: Described = f.metadata[_KEY]
    return dataclasses.replace(
        described,
        flags=described.flags or ("--" + f.name.replace("_", "-"),),
        help=described.help_from() if described.help_from is not None else described.help,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Base of every options class: checks, and conversion from flat values and from and to JSON."""

    #: Heading of the group in help texts.
    title: ClassVar[str] = "Options"

    def cross_faults(self) -> Iterator[str]:
        """One sentence per contradiction between fields. Subclasses add theirs."""
        return iter(())

    def faults(self) -> Iterator[str]:
        """One sentence per fault of this group and of those in it, each naming its flag."""
        return _flag_faults(self)

    def check(self) -> Self:
        """Return self, or raise one error that lists every fault.

        Raises:
            OptionsError: any field is out of range, or fields contradict each other.
        """
        faults = list(self.faults())
        if faults:
            raise OptionsError("; ".join(faults))
        return self

    @classmethod
    def from_flat(cls, values: Mapping[str, Any]) -> Self:
        """Options from one flat mapping of field name to value, as the command line and the API give them.

        Raises:
            OptionsError: a name is unknown, or a value has the wrong type or is out of range; every fault is listed.
        """
        left, faults, doubtful = dict(values), list[str](), set[type]()
        options = _from_flat(cls, left, faults, doubtful)
        if left:
            faults.insert(0, f"unknown option{'s' * (len(left) > 1)}: {', '.join(sorted(left))}")
        faults += _flag_faults(options, doubtful)
        if faults:
            raise OptionsError("; ".join(faults))
        return options.check()

    def to_json(self) -> dict[str, Any]:
        """The options as plain JSON values, group by group."""
        return {
            f.name: describe_raw(f).plain(getattr(self, f.name)) if is_option(f) else getattr(self, f.name).to_json()
            for f in fields(self)
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_json`; what is missing keeps its default.

        Raises:
            OptionsError: a key is unknown, or a value has the wrong type or is out of range; every fault is listed.
        """
        return from_data(data, cls).check()


def describe_raw(f: dataclasses.Field[Any]) -> Described:
    """The description as declared, without working out flags and help."""
    described: Described = f.metadata[_KEY]
    return described


def groups_of(kind: type[Any]) -> Iterator[tuple[str, type[Any]]]:
    """(field name, class) of each group of an options class; a class without groups is its own, with name ""."""
    groups = [f for f in fields(kind) if not is_option(f)]
    if not groups:
        yield "", kind
        return
    hints = typing.get_type_hints(kind)
    for f in groups:
        yield f.name, hints[f.name]


def _flag_faults(options: Options, doubtful: Collection[type] = ()) -> Iterator[str]:
    """As :meth:`Options.faults`; fields of groups of a ``doubtful`` class are not checked against each other."""
    for f in fields(options):
        value = getattr(options, f.name)
        if not is_option(f):
            yield from _flag_faults(value, doubtful)
        elif value is not None:
            what = describe_raw(f)
            yield from (f"{_flag(f)} {_shown(what.plain(value))}: {fault}" for fault in value_faults(what, value))
    if type(options) not in doubtful:
        yield from options.cross_faults()


def _flag(f: dataclasses.Field[Any]) -> str:
    what = describe_raw(f)
    return what.flags[0].split("/")[0] if what.flags else "--" + f.name.replace("_", "-")


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:.15g}" if isinstance(value, float) else str(value)[:_LONGEST_VALUE]


def _from_flat(kind: type[T], left: dict[str, Any], faults: list[str], doubtful: set[type]) -> T:
    """Options of ``kind`` from the values in ``left`` that it knows, which are taken out."""
    mine = {f.name: left.pop(f.name) for f in fields(kind) if is_option(f) and f.name in left}
    found: list[str] = []
    values = typed_values(kind, mine, found)
    if found:
        doubtful.add(kind)
        faults += found
    hints = typing.get_type_hints(kind)
    for f in fields(kind):
        if not is_option(f):
            values[f.name] = _from_flat(hints[f.name], left, faults, doubtful)
    return kind(**values)


def typed_values(kind: type[Any], values: Mapping[str, Any], faults: list[str] | None = None) -> dict[str, Any]:
    """Values of fields of one group, each as its field has it in Python: texts parsed, lists as tuples.

    Values of a wrong type are left out, with a sentence each in ``faults``.

    Raises:
        OptionsError: a text cannot be parsed and no list of ``faults`` was given.
    """
    hints = typing.get_type_hints(kind)
    known = {f.name: f for f in fields(kind)}
    typed: dict[str, Any] = {}
    for name, value in values.items():
        what, hint = describe_raw(known[name]), hints[name]
        if what.parse is not None and isinstance(value, str):
            try:
                typed[name] = what.parse(value)
            except OptionsError as error:
                if faults is None:
                    raise
                faults.append(str(error))
        elif fits(value, hint):
            typed[name] = convert(value, hint)
        elif faults is not None:
            faults.append(f"{_flag(known[name])} {repr(value)[:_LONGEST_VALUE]}: must be {_expected(what, hint)}")
    return typed


# From nested plain values


def from_data(data: Mapping[str, Any], kind: type[T], *, where: str = "options") -> T:
    """Options from nested plain values, as TOML and JSON give them.

    Raises:
        OptionsError: with every fault, one per line, each naming its table and key.
    """
    result, faults = checked_data(data, kind)
    if faults:
        listed = "\n".join(f"  {fault}" for fault in faults)
        raise OptionsError(f"{where}: {len(faults)} fault{'s' * (len(faults) > 1)}:\n{listed}")
    return result


def checked_data(data: Mapping[str, Any], kind: type[T]) -> tuple[T, list[str]]:
    """As :func:`from_data`, with the faults in place of an error."""
    found = _Faults()
    result = _build(data, kind(), "", found)
    faults = (fault for fault in faults_of(result, doubtful=found.doubtful) if _key(fault) not in found.keys)
    return result, [*found.sentences, *faults]


@dataclass(slots=True)
class _Faults:
    """Faults of plain values: sentences, the keys they are about, and tables in which a key could not be used.

    Such ``doubtful`` tables are not checked for contradictions, which would concern unchosen defaults.
    """

    sentences: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    doubtful: set[str] = field(default_factory=set)

    def add(self, table: str, name: str, text: str) -> None:
        self.sentences.append(f"[{table}] {name}{text}" if table else f"{name}{text}")
        self.keys.add(_key(self.sentences[-1]))
        if table:
            self.doubtful.add(table)


def _key(fault: str) -> str:
    """The table and key that a sentence begins with."""
    return re.split(r"(?<=\w)(?: =|:)", fault, maxsplit=1)[0]


def _build(data: Mapping[str, Any], base: T, table: str, found: _Faults) -> T:
    """``base`` with the values given; what cannot be used keeps the value it has there."""
    hints = typing.get_type_hints(type(base))
    known = {f.name: f for f in fields(base)}
    for name in sorted(data.keys() - known.keys()):
        near = difflib.get_close_matches(name, known, 1)
        found.add(table, name, ": unknown" + (f", did you mean {near[0]}?" if near else ""))
        found.doubtful.update(f"{table}.{n}".lstrip(".") for n in near)
    values: dict[str, Any] = {}
    for name in sorted(known.keys() & data.keys()):
        value, hint = data[name], hints[name]
        if not is_option(known[name]):
            if isinstance(value, dict):
                values[name] = _build(value, getattr(base, name), f"{table}.{name}".lstrip("."), found)
            else:
                found.add(table, name, f": must be a table, got {value!r}")
            continue
        what = describe_raw(known[name])
        if what.parse is not None and isinstance(value, str):
            try:
                values[name] = what.parse(value)
            except OptionsError as error:
                found.add(table, name, f" = {value!r}: {error}")
        elif not fits(value, hint):
            found.add(table, name, f" = {value!r}: must be {_expected(what, hint)}")
        else:
            values[name] = convert(value, hint)
    return dataclasses.replace(base, **values)


def faults_of(options: Options, table: str = "", doubtful: Collection[str] = ()) -> Iterator[str]:
    """One sentence per value out of range or contradiction, each naming its table and key.

    The fields of ``doubtful`` tables are not checked against each other.
    """
    prefix = f"[{table}] " if table else ""
    for f in fields(options):
        value = getattr(options, f.name)
        if not is_option(f):
            yield from faults_of(value, f"{table}.{f.name}".lstrip("."), doubtful)
        elif value is not None:
            what = describe_raw(f)
            shown = literal(what.plain(value))
            yield from (f"{prefix}{f.name} = {shown}: {fault}" for fault in value_faults(what, value))
    if table not in doubtful:
        yield from (f"{prefix}{fault}" for fault in options.cross_faults())


def changes(old: Mapping[str, Any], new: Mapping[str, Any], table: str = "") -> Iterator[str]:
    """One sentence per value that differs between two sets of options as plain values."""
    for name in sorted(old.keys() | new.keys()):
        before, now = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(now, dict):
            yield from changes(before, now, f"{table}.{name}".lstrip("."))
        elif before != now:
            yield f"{f'[{table}] ' if table else ''}{name} was {before!r}, is {now!r} from here on"


# Single values


def value_faults(what: Described, value: Any) -> Iterator[str]:
    """What is wrong with a value of the right type, in words that follow "NAME VALUE: "."""
    several = isinstance(value, (tuple, dict))
    items = list(value.values()) if isinstance(value, dict) else list(value) if several else [value]
    for item in items:
        if what.choices and item not in what.choices:
            yield f"must be {choice_text(what)}"
        if isinstance(item, float) and not math.isfinite(item):
            yield "must be a finite number"
        elif isinstance(item, (int, float)) and not isinstance(item, bool):
            low, high = what.minimum, what.maximum
            if (low is not None and not item >= low) or (high is not None and not item <= high):
                yield f"must be {range_text(low, high)}"
    if what.metavar == "LOW,HIGH" and len(items) == 2 and items[0] > items[1]:
        yield "the lower end stands above the upper one"


def _expected(what: Described, hint: Any) -> str:
    return hint_text(str if what.parse is not None else hint)


def choice_text(what: Described) -> str:
    """ "one of a, b", or an empty text."""
    return f"one of {', '.join(str(choice) or 'nothing' for choice in what.choices)}" if what.choices else ""
