"""Command-line flags from option dataclasses."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Annotated, Any

import typer

from vidsr.option_schema import Described, describe, groups_of, is_option
from vidsr.options import EnhanceOptions


def with_options(
    kind: type[Any] = EnhanceOptions, only: tuple[str, ...] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command one flag for every field of an options class.

    The decorated function has its own parameters and one keyword ``options``, which receives the checked
    ``kind``. ``only`` narrows to the named groups, or fields as ``group.field``; the others keep their defaults.

    Raises:
        OptionsError: (when called) a value is out of range or values contradict each other.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(function, eval_str=True)
        flags = {p.name: p for p in _parameters(kind, only)}
        parameters = [p for p in own.parameters.values() if p.name != "options"] + list(flags.values())

        def command(**values: Any) -> Any:
            chosen = {name: values.pop(name) for name in list(values) if name in flags}
            plain = {name: tuple(v) if isinstance(v, list) else v for name, v in chosen.items()}
            return function(**values, options=kind.from_flat(plain))

        command.__name__ = function.__name__
        command.__doc__ = function.__doc__
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return decorate


def _parameters(kind: type[Any], only: tuple[str, ...]) -> Iterator[inspect.Parameter]:
    for group, group_kind in groups_of(kind):
        hints = typing.get_type_hints(group_kind)
        for f in fields(group_kind):
            if not is_option(f) or (only and not {group, f"{group}.{f.name}"} & set(only)):
                continue
            what = describe(f)
            several = typing.get_origin(hints[f.name]) is tuple
            default = what.plain(f.default)
            option = typer.Option(
                *what.flags,
                help=_help(what),
                metavar=what.metavar or "|".join(what.choices) or _metavar(hints[f.name]),
                rich_help_panel=group_kind.title,
                show_default=default not in (None, (), False),
            )
            hint = list[str] if several else str if what.parse is not None else hints[f.name]
            yield inspect.Parameter(
                f.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=[] if several else default,
                annotation=Annotated[hint, option],
            )


def _metavar(hint: Any) -> str | None:
    kinds = {kind for kind in (hint, *typing.get_args(hint)) if kind in (bool, int, float, str)}
    if bool in kinds:
        return None
    return "TEXT" if str in kinds else "N"


def _help(what: Described) -> str:
    low, high = what.minimum, what.maximum
    if low is None or high is None or f"{low:g} to {high:g}" in what.help:
        return what.help
    return f"{what.help} [{low:g} to {high:g}]"
