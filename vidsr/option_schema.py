"""Declaring options: a field that knows its flag, help and range; groups of fields; and groups put together.

``vidsr.options`` and ``vidsr.training`` declare with this; the command line, the reference documentation and the
JSON forms are made from the declarations.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, Self

from vidsr.errors import OptionsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a field's metadata says of it; read through :func:`describe`."""

    help: str
    flags: tuple[str, ...]
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    metavar: str | None = None


def opt(
    default: Any,
    help: str,
    *flags: str,
    between: tuple[float | None, float | None] = (None, None),
    choices: Sequence[str] = (),
    metavar: str | None = None,
) -> Any:
    """A dataclass field that knows its help text, flags and range.

    ``flags`` default to ``--field-name``. ``between`` is an inclusive range. A boolean field's flag is written
    as Typer does, ``"--audio/--no-audio"``.
    """
    described = Described(
        help=help,
        flags=flags,
        minimum=between[0],
        maximum=between[1],
        choices=tuple(choices),
        metavar=metavar,
    )
    return field(default=default, metadata={"vidsr": described})


def describe(f: dataclasses.Field[Any]) -> Described:
    """The description of a field made by :func:`opt`, with its flags filled in."""
    described: Described = f.metadata["vidsr"]
    return dataclasses.replace(described, flags=described.flags or ("--" + f.name.replace("_", "-"),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Base of the option groups: range checks from the field descriptions, and JSON both ways."""

    #: Heading of the group in help texts.
    title: ClassVar[str] = "Options"

    def faults(self) -> Iterator[str]:
        """One sentence per fault, each naming its flag. Subclasses add what spans several fields."""
        for f in fields(self):
            if "vidsr" not in f.metadata:
                continue
            value, what = getattr(self, f.name), describe(f)
            flag = what.flags[0].split("/")[0]
            if value is None:
                continue
            if what.choices and value not in what.choices:
                yield f"{flag} {value}: choose one of {', '.join(what.choices)}"
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                low, high = what.minimum, what.maximum
                if (low is not None and not value >= low) or (high is not None and not value <= high):
                    yield f"{flag} {value:.15g}: must be {_range_text(low, high)}"


def _range_text(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """Base of a dataclass whose fields are option groups: checks them together, and JSON both ways."""

    def check(self) -> Self:
        """Return self, or raise one error that lists every fault.

        Raises:
            OptionsError: any field is out of range, or fields contradict each other.
        """
        faults = [fault for f in fields(self) for fault in getattr(self, f.name).faults()]
        if faults:
            raise OptionsError("; ".join(faults))
        return self

    @classmethod
    def from_flat(cls, values: Mapping[str, Any]) -> Self:
        """Options from one flat mapping of field name to value, as the command line and the API give them.

        Raises:
            OptionsError: a name is no option, or a value is out of range.
        """
        left = dict(values)
        groups = {}
        for group, kind in groups_of(cls):
            mine = {f.name: left.pop(f.name) for f in fields(kind) if f.name in left}
            groups[group] = kind(**mine)
        if left:
            raise OptionsError(f"unknown option{'s' * (len(left) > 1)}: {', '.join(sorted(left))}")
        return cls(**groups).check()

    def to_json(self) -> dict[str, Any]:
        """The options as plain JSON values, group by group."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_json`.

        Raises:
            OptionsError: a key is unknown, a type is wrong, or a value is out of range.
        """
        kinds = dict(groups_of(cls))
        faults = [f"unknown group {name!r}" for name in data if name not in kinds]
        for group, kind in kinds.items():
            hints = typing.get_type_hints(kind)
            for name, value in data.get(group, {}).items():
                if name not in hints:
                    faults.append(f"unknown option {group}.{name}")
                elif not _fits(value, hints[name]):
                    faults.append(f"{group}.{name}: {value!r} is not of type {hints[name]}")
        if faults:
            raise OptionsError("; ".join(faults))
        return cls(**{g: k(**_tuples(data.get(g, {}))) for g, k in kinds.items()}).check()


def groups_of(kind: type[Any]) -> Iterator[tuple[str, type[Any]]]:
    """(field name, group class) of each option group of a composed options class."""
    hints = typing.get_type_hints(kind)
    for f in fields(kind):
        if f.default_factory is not MISSING:
            yield f.name, hints[f.name]


def _fits(value: Any, hint: Any) -> bool:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return any(_fits(value, h) for h in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return isinstance(value, (list, tuple)) and all(_fits(v, typing.get_args(hint)[0]) for v in value)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return hint is Any or (hint is type(None) and value is None) or (isinstance(hint, type) and isinstance(value, hint))


def _tuples(group: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in group.items()}
