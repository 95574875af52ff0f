"""Which options of ``vidsr enhance`` the web app takes, and how they are described to it."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from vidsr.errors import OptionsError, VidsrError
from vidsr.option_schema import describe, groups_of
from vidsr.options import EnhanceOptions
from vidsr.web.allowed_paths import inside
from vidsr.web.schemas import OptionInfo

#: Options that could name files or addresses, or that belong to the machine rather than to the picture.
REFUSED_GROUPS = ("jobs",)
REFUSED = ("encoder_options", "allow_network", "hwaccel", "device", "compile", "fps")
_SIMPLE = {bool: "boolean", int: "integer", float: "number", str: "string"}


def option_infos() -> Iterator[OptionInfo]:
    """Every option that may come over the web."""
    for group, kind in groups_of(EnhanceOptions):
        hints = typing.get_type_hints(kind)
        for f in fields(kind):
            simple = _simple(hints[f.name])
            if "vidsr" not in f.metadata or group in REFUSED_GROUPS or f.name in REFUSED or simple is None:
                continue
            what = describe(f)
            yield OptionInfo(
                name=f.name,
                group=str(getattr(kind, "title", group)),
                help=what.help,
                flag=what.flags[0].split("/")[0],
                type=simple,
                default=typing.cast(Any, f.default),
                choices=list(what.choices),
                minimum=what.minimum,
                maximum=what.maximum,
            )


def _simple(hint: Any) -> Any:
    parts = typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)
    names = [_SIMPLE.get(p) for p in parts if p is not type(None)]
    return names[0] if len(names) == 1 else None


def checked_options(values: Mapping[str, Any], roots: Sequence[Path]) -> EnhanceOptions:
    """Options from names and values as they came in.

    Raises:
        OptionsError: an option is unknown, may not be set from here, or has a value that does not fit.
    """
    known = {info.name: info for info in option_infos()}
    faults = [f"{name[:80]!r} is no option that can be set here" for name in values if name not in known]
    faults += [f"{known[name].flag}: {value!r:.80} is no {known[name].type}" for name, value in values.items()
               if name in known and value is not None and not _fits(value, known[name].type)]  # fmt: skip
    faults += [
        f"{name}: no value"
        for name, v in values.items()
        if name in known and v is None and known[name].default is not None
    ]
    if faults:
        raise OptionsError("; ".join(faults))
    chosen = dict(values)
    if isinstance(chosen.get("model"), str):
        chosen["model"] = _model(chosen["model"], roots)
    return EnhanceOptions.from_flat(chosen)


def _fits(value: Any, kind: str) -> bool:
    if kind == "boolean" or isinstance(value, bool):
        return kind == "boolean" and isinstance(value, bool)
    wanted: dict[str, Any] = {"integer": int, "number": (int, float), "string": str}
    return isinstance(value, wanted[kind])


def _model(name: str, roots: Sequence[Path]) -> str:
    """A model by name, or a weights file inside the roots."""
    from vidsr.models.zoo import ZOO

    if name in ZOO:
        return name
    try:
        return str(inside(name, roots))
    except VidsrError as error:
        raise OptionsError(f"--model {name[:80]!r}: neither a known model nor a file in the folders served") from error
