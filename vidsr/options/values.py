"""Values of options against their type hints: whether they fit, how they are converted, described and written."""

from __future__ import annotations

import json
import numbers
import os
import types
import typing
from fractions import Fraction
from typing import Any


def fits(value: Any, hint: Any) -> bool:
    """Whether a plain value is of a field's type; whole numbers fit where a float is meant, lists where a tuple is."""
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return any(fits(value, h) for h in typing.get_args(hint))
    if origin is tuple:
        inner = typing.get_args(hint)
        if not isinstance(value, (list, tuple)):
            return False
        if inner[-1] is Ellipsis:
            return all(fits(v, inner[0]) for v in value)
        return len(value) == len(inner) and all(fits(v, h) for v, h in zip(value, inner, strict=True))
    if origin is dict:
        return isinstance(value, dict) and all(fits(v, typing.get_args(hint)[1]) for v in value.values())
    if hint in (float, int):
        wanted = numbers.Real if hint is float else numbers.Integral
        return isinstance(value, wanted) and not isinstance(value, bool)
    if hint is str:
        return isinstance(value, (str, os.PathLike))
    return isinstance(hint, type) and isinstance(value, hint)


def convert(value: Any, hint: Any) -> Any:
    """A value that fits, as its field has it: lists as tuples, numbers as Python's own, paths as text."""
    if isinstance(value, (list, tuple)):
        inner = typing.get_args(hint)
        kinds = (inner[0],) * len(value) if inner[-1] is Ellipsis else inner
        return tuple(convert(v, k) for v, k in zip(value, kinds, strict=True))
    if isinstance(value, dict):
        return {k: convert(v, typing.get_args(hint)[1]) for k, v in value.items()}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return value
    if isinstance(value, Fraction) and Fraction in typing.get_args(hint):
        return value
    if isinstance(value, numbers.Integral) and float not in (hint, *typing.get_args(hint)):
        return int(value)
    return float(value)


def hint_text(hint: Any) -> str:
    """What a value of a type is called in messages."""
    origin = typing.get_origin(hint)
    if origin is tuple:
        inner = typing.get_args(hint)
        return f"a list of {hint_text(inner[0])}" if inner[-1] is Ellipsis else f"a list of {len(inner)} numbers"
    if origin in (types.UnionType, typing.Union):
        return " or ".join(hint_text(h) for h in typing.get_args(hint) if h is not type(None))
    names = {
        int: "a whole number",
        float: "a number",
        Fraction: "a number",
        str: "a text in quotes",
        bool: "true or false",
    }
    return "a table of numbers" if origin is dict else names.get(hint, str(hint))


def range_text(low: float | None, high: float | None) -> str:
    """ "between 0 and 1", "at least 3", or an empty text."""
    if low is None:
        return "" if high is None else f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"


def literal(value: Any) -> str:
    """A plain value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(literal(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {literal(v)}" for k, v in value.items()) + " }"
    return repr(value)
