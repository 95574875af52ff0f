"""The options of ``vidsr enhance`` that the web app takes, and their description for it."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from vidsr.errors import OptionsError, VidsrError
from vidsr.options.enhance_options import AUTO_MODEL, EnhanceOptions
from vidsr.options.presets import saved_presets
from vidsr.options.restore_options import MATERIALS
from vidsr.options.schema import describe, groups_of
from vidsr.web.allowed_paths import inside
from vidsr.web.schemas import OptionInfo, PresetInfo

#: Options that could name files or addresses, or that belong to the machine rather than to the picture.
REFUSED_GROUPS = ("jobs",)
REFUSED = ("encoder_options", "allow_network", "hwaccel", "device", "compile", "fps")
_PRESET_NAME = re.compile(r"(?!.*\.toml$)[A-Za-z0-9-][A-Za-z0-9._-]*")
_SIMPLE = {bool: "boolean", int: "integer", float: "number", str: "string"}


def option_infos() -> Iterator[OptionInfo]:
    """Every option that may be set over HTTP."""
    for group, kind in groups_of(EnhanceOptions):
        hints = typing.get_type_hints(kind)
        for f in fields(kind):
            simple = _simple(str if describe(f).parse is not None else hints[f.name])
            if group in REFUSED_GROUPS or f.name in REFUSED or simple is None:
                continue
            what = describe(f)
            yield OptionInfo(
                name=f.name,
                group=kind.title,
                help=what.help,
                flag=what.flags[0].split("/")[0],
                type=simple,
                default=what.plain(f.default),
                choices=list(what.choices),
                minimum=what.minimum if simple != "string" else None,
                maximum=what.maximum if simple != "string" else None,
            )


def preset_infos() -> Iterator[PresetInfo]:
    """The materials, then the presets saved on this machine; those that cannot be read are left out."""
    known = {info.name: info for info in option_infos()}
    for name in (*MATERIALS, *(path.stem for path in saved_presets())):
        try:
            options = EnhanceOptions.from_flat({"preset": name})
        except OptionsError:
            continue
        flat = {option: value for group in options.to_json().values() for option, value in group.items()}
        chosen = {option: flat[option] for option, info in known.items() if flat[option] != info.default}
        yield PresetInfo(name=name, material=name in MATERIALS, options=chosen)


def _simple(hint: Any) -> Any:
    parts = typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)
    names = [_SIMPLE.get(p) for p in parts if p is not type(None)]
    return names[0] if len(names) == 1 else None


def checked_options(values: Mapping[str, Any], roots: Sequence[Path]) -> EnhanceOptions:
    """Options from the names and values of a request.

    Raises:
        OptionsError: an option is unknown, may not be set over HTTP, or has an invalid value; every fault is
            listed.
    """
    known = {info.name for info in option_infos()}
    faults = [f"{name[:80]!r} cannot be set here" for name in values if name not in known]
    chosen = {name: value for name, value in values.items() if name in known}
    if isinstance(preset := chosen.get("preset"), str) and not _PRESET_NAME.fullmatch(preset):
        faults.append(f"--preset {preset[:80]!r}: name a preset here, not a file")
        del chosen["preset"]
    try:
        if isinstance(chosen.get("model"), str):
            chosen["model"] = _model(chosen["model"], roots)
    except OptionsError as error:
        faults.append(str(error))
        del chosen["model"]
    try:
        if isinstance(chosen.get("masks"), str):
            chosen["masks"] = str(inside(chosen["masks"], roots))
    except VidsrError as error:
        faults.append(f"--masks {chosen.pop('masks')[:80]!r}: not a folder in the served folders ({error})")
    try:
        options = EnhanceOptions.from_flat(chosen)
    except OptionsError as error:
        faults.append(str(error))
    if faults:
        raise OptionsError("; ".join(faults))
    return options


def _model(name: str, roots: Sequence[Path]) -> str:
    """A model by name, or a weights file inside the roots."""
    from vidsr.models.zoo import ZOO

    if name in ZOO or name == AUTO_MODEL:
        return name
    try:
        return str(inside(name, roots))
    except VidsrError as error:
        raise OptionsError(f"--model {name[:80]!r}: neither a known model nor a file in the served folders") from error
