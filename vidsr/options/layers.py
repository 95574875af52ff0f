"""Where the value of each option comes from: command line, environment, preset, ``vidsr.toml``, or the default.

Values of a higher layer replace those of a lower one, option by option:

1. the command line;
2. the environment: ``VIDSR_CRF=18`` for ``--crf 18``;
3. the preset named by ``--preset`` or ``VIDSR_PRESET``;
4. ``vidsr.toml`` in the folder of the footage, with the preset that it names itself below its other values;
5. the defaults.

Of options that exclude each other, such as ``--scale`` and ``--height``, those of the highest layer count alone.
"""

from __future__ import annotations

import difflib
import os
import shlex
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from vidsr.errors import OptionsError
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.presets import Preset, find_preset, with_model_beside
from vidsr.options.schema import Options, describe, groups_of, typed_values, value_faults
from vidsr.options.toml import read_given

T = TypeVar("T", bound=Options)
Kind = Literal["default", "file", "preset", "environment", "command line"]

FILE_NAME = "vidsr.toml"
PREFIX = "VIDSR_"
#: Not to be set by a file that came with footage: they replace files, reach over the network, or let an encoder write.
NOT_BESIDE_FOOTAGE = ("overwrite", "restart", "allow_network", "address", "encoder_options")
#: Variables of this prefix that are not options.
OTHER_VARIABLES = ("STATE", "CACHE", "CONFIG", "DEBUG", "NATIVE", "WEIGHTS")
_EXCLUSIVE = (("scale", "height", "size"), ("device", "devices"))
_TRUTH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from: the layer, and the place in words ("VIDSR_CRF", "film.toml, line 3")."""

    kind: Kind
    place: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.place}" if self.place else self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Layered:
    """Option values by name, typed, and the origin of each; what is not there has its default."""

    values: Mapping[str, Any]
    origins: Mapping[str, Origin]

    def options(self, kind: type[T]) -> T:
        """The checked options.

        Raises:
            OptionsError: values contradict each other.
        """
        return kind.from_flat(self.values)


def layered(given: Mapping[str, Any], footage: Path | None, environ: Mapping[str, str] = os.environ) -> Layered:
    """Put the layers together.

    Args:
        given: the values of the command line, by option name.
        footage: the source, in whose folder ``vidsr.toml`` is looked for; None for none.
        environ: environment variables.

    Raises:
        OptionsError: a variable or a file has an unknown key or a bad value; the message names variable, or file and
            line.
    """
    beside, variables = _beside(footage), _environment(environ)
    upper = {**variables.values, **given}
    chosen = upper.get("preset")
    over = [variables, Layered(values=given, origins=dict.fromkeys(given, Origin("command line")))]
    found = find_preset(str(chosen), EnhanceOptions) if chosen is not None else None
    layers = [*_with_own_preset(beside), *(_preset_layers(found) if found is not None else ()), *over]
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for layer in layers:
        for group in _EXCLUSIVE:
            if set(group) & set(layer.values):
                for name in group:
                    values.pop(name, None)
        values |= layer.values
        origins |= layer.origins
    if found is not None:
        _replace_preset_name(values, origins, found)
    return Layered(values=values, origins={name: origins[name] for name in values})


def _replace_preset_name(values: dict[str, Any], origins: dict[str, Origin], found: Preset) -> None:
    """Replace the name of a preset by the encoder's preset that it names, or by none."""
    inner = found.encoder_preset
    values.pop("preset", None)
    if inner is not None and find_preset(inner, EnhanceOptions) is None:
        values["preset"], origins["preset"] = inner, Origin("preset", found.places["preset"])


def _preset_layers(found: Preset) -> Iterator[Layered]:
    """The material that a preset names, then its own values."""
    if found.encoder_preset is not None and (material := find_preset(found.encoder_preset, EnhanceOptions)) is not None:
        yield from _preset_layers(material)
    origins = {name: Origin("preset", found.places[name]) for name in found.values}
    yield Layered(values=found.values, origins=origins)


def _with_own_preset(beside: Layered) -> Iterator[Layered]:
    """``vidsr.toml``, above the preset that it names."""
    name = beside.values.get("preset")
    found = None if name is None else find_preset(str(name), EnhanceOptions)
    if found is not None:
        yield from _preset_layers(found)
        values, origins = dict(beside.values), dict(beside.origins)
        _replace_preset_name(values, origins, found)
        beside = Layered(values=values, origins=origins)
    yield beside


def footage_folder(source: Path) -> Path:
    """The folder of a source; a folder is its own."""
    return source if source.is_dir() else source.parent


def _beside(footage: Path | None) -> Layered:
    path = None if footage is None else footage_folder(footage) / FILE_NAME
    # Unlike Path.is_file, this is False in a folder that may not be read; what opens the footage says so then.
    if path is None or not os.path.isfile(path):  # noqa: PTH113
        return Layered(values={}, origins={})
    given = read_given(path, EnhanceOptions)
    refused = [name for name in NOT_BESIDE_FOOTAGE if name in given.values]
    if refused:
        raise OptionsError(
            f"{given.places[refused[0]]}: {refused[0]} cannot be set by a file next to footage; give it on the command "
            "line or in a preset"
        )
    preset = given.values.get("preset")
    if preset is not None and (preset.endswith(".toml") or {"/", "\\"} & set(preset)):
        raise OptionsError(f"{given.places['preset']}: preset: name a preset here, not a file")
    values = with_model_beside(given, path.parent)
    return Layered(values=values, origins={name: Origin("file", given.places[name]) for name in values})


def _environment(environ: Mapping[str, str]) -> Layered:
    known = {f.name: (kind, f) for _, kind in groups_of(EnhanceOptions) for f in fields(kind)}
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or not environ[variable]:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name in known:
            kind, f = known[name]
            values[name] = _read_variable(variable, environ[variable], kind, name)
            faults = list(value_faults(describe(f), values[name]))
            if faults:
                raise OptionsError(f"{variable}={environ[variable]}: {faults[0]}")
            origins[name] = Origin("environment", variable)
        elif name.upper() not in OTHER_VARIABLES and (near := difflib.get_close_matches(name, known, 1, 0.65)):
            raise OptionsError(f"{variable}: not an option; did you mean {PREFIX}{near[0].upper()}?")
    return Layered(values=values, origins=origins)


def _read_variable(variable: str, text: str, kind: type[Any], name: str) -> Any:
    """The typed value of a variable."""
    hint = typing.get_type_hints(kind)[name]
    parts = [h for h in typing.get_args(hint) or (hint,) if h is not type(None)]
    value: Any = text
    try:
        if typing.get_origin(hint) is tuple:
            value = shlex.split(text)
        elif bool in parts:
            value = _TRUTH[text.lower()]
        elif int in parts:
            value = int(text)
        elif float in parts and str not in parts and kind.__dataclass_fields__[name].metadata["vidsr"].parse is None:
            value = float(text)
    except (ValueError, KeyError):
        pass  # of the wrong type: named below, with what it must be
    faults: list[str] = []
    typed = typed_values(kind, {name: value}, faults)
    if faults:
        wanted = "must be 1 or 0" if bool in parts else faults[0].split(": ", 1)[-1]
        raise OptionsError(f"{variable}={text}: {wanted}")
    return typed[name]
