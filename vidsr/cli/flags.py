"""Command-line flags from option dataclasses."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.layers import layered
from vidsr.options.schema import Described, describe, groups_of, is_option

_CONTEXT, _KEYWORD = "context", inspect.Parameter.KEYWORD_ONLY


def with_options(
    kind: type[Any] = EnhanceOptions, only: tuple[str, ...] = (), *, footage: str | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command one flag for every field of an options class.

    The decorated function has its own parameters and one keyword ``options``, which receives the checked
    ``kind``. ``only`` narrows to the named groups, or fields as ``group.field``; the others keep their defaults.
    ``footage`` is the parameter with the source, or with several, of which the first counts: then environment, presets
    and ``vidsr.toml`` count as well (see :mod:`vidsr.options.layers`), and a keyword ``layers``, if the function has
    it, receives where values come from.

    Raises:
        OptionsError: (when called) a value is out of range or values contradict each other.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(function, eval_str=True)
        flags = {p.name: p for p in _parameters(kind, only)}
        ours = [p for p in own.parameters.values() if p.name not in ("options", "layers")]
        parameters = [*ours, *flags.values()]
        if footage is not None:
            parameters.append(inspect.Parameter(_CONTEXT, _KEYWORD, annotation=typer.Context))

        def command(**values: Any) -> Any:
            context = values.pop(_CONTEXT, None)
            chosen = {name: values.pop(name) for name in list(values) if name in flags}
            plain = {name: tuple(v) if isinstance(v, list) else v for name, v in chosen.items()}
            if footage is None:
                return function(**values, options=kind.from_flat(plain))
            given = {name: value for name, value in plain.items() if was_typed(context, name)}
            source = values[footage]
            if isinstance(source, list):
                source = source[0] if source else None
            layers = layered(given, None if source is None else Path(source))
            values |= {"layers": layers} if "layers" in own.parameters else {}
            return function(**values, options=layers.options(kind))

        command.__name__ = function.__name__
        command.__doc__ = function.__doc__
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return decorate


def was_typed(context: Any, name: str) -> bool:
    """Whether a parameter was given on the command line, not left at its default."""
    return bool(context.get_parameter_source(name).name == "COMMANDLINE")


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
                _KEYWORD,
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
