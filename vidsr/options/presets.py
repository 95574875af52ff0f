"""Presets: named sets of options. Those for kinds of material come with vidsr; users keep their own as TOML files.

``kind`` is the options class whose options a preset may set. Callers pass it in: the class itself takes values from
presets, so this module lies below it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from vidsr.codec_table import CODECS
from vidsr.errors import OptionsError
from vidsr.options.restore_options import MATERIALS, RestoreOptions
from vidsr.options.schema import Options, groups_of, typed_values
from vidsr.options.toml import GivenOptions, given_toml, read_given
from vidsr.storage import os_errors, write_atomically

T = TypeVar("T", bound=Options)
#: Options of one run, which a saved preset does not carry on to others.
OF_ONE_RUN = ("overwrite", "restart", "preset", "start", "end", "duration", "frames", "finish_within")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A preset found by name: its values by option name, typed, and where each of them is written.

    ``path`` is None for materials. ``encoder_preset`` is the material, or the speed of the encoder, that a user's
    preset names itself.
    """

    name: str
    path: Path | None
    values: Mapping[str, Any]
    places: Mapping[str, str]
    encoder_preset: str | None = None


def presets_folder() -> Path:
    """Where the user's presets are: ``presets`` in ``VIDSR_CONFIG`` if set, else in the user's configuration folder."""
    chosen = os.environ.get("VIDSR_CONFIG")
    if chosen:
        return Path(chosen) / "presets"
    import platformdirs

    return platformdirs.user_config_path("vidsr") / "presets"


def saved_presets() -> list[Path]:
    """The files of the user's presets, by name."""
    folder = presets_folder()
    return sorted(folder.glob("*.toml")) if folder.is_dir() else []


def find_preset(name: str, kind: type[Options]) -> Preset | None:
    """The material or the user's preset of this name, or the preset in this file; None if it is neither.

    A name that ends in ``.toml`` or has a folder in it is a file. Materials come before the user's presets.

    Raises:
        OptionsError: the file is missing, or holds an unknown key or a bad value.
    """
    if name in MATERIALS:
        values = typed_values(RestoreOptions, MATERIALS[name])
        return Preset(name=name, path=None, values=values, places=dict.fromkeys(values, f"material {name}"))
    is_file = name.endswith(".toml") or bool({os.sep, os.altsep} & set(name))
    path = Path(name).expanduser() if is_file else presets_folder() / f"{name}.toml"
    if not is_file and not path.is_file():
        return None
    given = read_given(path, kind)
    values = with_model_beside(given, path.parent)
    inner = values.pop("preset", None)
    if inner is not None and inner not in MATERIALS and not _is_encoder_preset(inner):
        raise OptionsError(f"{given.places['preset']}: [encode] preset: a preset cannot name another user's preset")
    return Preset(name=name, path=path, values=values, places=given.places, encoder_preset=inner)


def with_model_beside(given: GivenOptions, folder: Path) -> dict[str, Any]:
    """The values of a file; a model that is named relative to the file as the file it is."""
    values = dict(given.values)
    model = values.get("model")
    if isinstance(model, str) and not Path(model).is_absolute() and (folder / model).is_file():
        values["model"] = str((folder / model).absolute())
    return values


def _is_encoder_preset(name: str) -> bool:
    return any(name in (row.presets or ()) or name == row.preset for row in CODECS.values())


def preset_values(name: str, kind: type[Options]) -> dict[str, Any] | None:
    """All values that ``--preset NAME`` stands for, those of a material that it names itself included; None where
    ``name`` is left to the encoder.

    Raises:
        OptionsError: as :func:`find_preset`.
    """
    found = find_preset(name, kind)
    if found is None:
        return None
    inner = {} if found.encoder_preset is None else preset_values(found.encoder_preset, kind)
    under = {"preset": found.encoder_preset} if inner is None else inner
    return {**under, **found.values}


def filled(options: T, under: Mapping[str, Any]) -> T:
    """``options`` with the values ``under`` in place of every value left at its default; ``preset`` always.

    Raises:
        OptionsError: the values contradict each other.
    """
    under = {"preset": None} | dict(under)
    groups: dict[str, Any] = {}
    for group, kind in groups_of(type(options)):
        held = getattr(options, group)
        left = [f for f in fields(kind) if f.name in under]
        taken = {f.name: under[f.name] for f in left if f.name == "preset" or getattr(held, f.name) == f.default}
        groups[group] = replace(held, **taken)
    return replace(options, **groups).check()


def save_preset(name: str, values: Mapping[str, Any], kind: type[Options], *, overwrite: bool = False) -> Path:
    """Write a preset with these values by option name; options of one run are left out.

    Raises:
        OptionsError: the name cannot be used, a preset of this name exists, or no value is left.
        JobError: the file cannot be written.
    """
    if not _NAME.fullmatch(name) or name.endswith(".toml"):
        raise OptionsError(f"--save-preset {name[:80]}: use letters, digits, dots, dashes and underscores")
    if name in MATERIALS or _is_encoder_preset(name):
        raise OptionsError(f"--save-preset {name}: this is a material or a preset of an encoder; choose another name")
    path = presets_folder() / f"{name}.toml"
    if path.exists() and not overwrite:
        raise OptionsError(f"--save-preset {name}: {path} exists; add --overwrite to replace it")
    kept = {option: value for option, value in values.items() if option not in OF_ONE_RUN}
    encoder = values.get("preset")
    kept |= {} if encoder is None else {"preset": encoder}
    if not kept:
        raise OptionsError(f"--save-preset {name}: no option was given to save")
    model = kept.get("model")
    if isinstance(model, str) and Path(model).is_file():
        kept["model"] = str(Path(model).absolute())
    title = f"Preset {name} for vidsr: use it with --preset {name}. Lines that begin with # are not set."
    with os_errors("making", path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, given_toml(kind, kept, title).encode())
    return path
