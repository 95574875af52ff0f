"""API routes about presets: list them, save one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from vidsr.errors import JobError, OptionsError
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.presets import save_preset, saved_presets
from vidsr.web.option_fields import checked_options, preset_infos
from vidsr.web.routes_files import settings_of
from vidsr.web.routes_jobs import CONFLICT
from vidsr.web.schemas import NewPreset, PresetInfo, Problem

router = APIRouter(
    prefix="/api/v1",
    tags=["presets"],
    responses={code: {"model": Problem} for code in (400, 401, 403, 404, 422)},
)
PresetName = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="The name of a preset.")]


@router.get("/presets")
def presets() -> list[PresetInfo]:
    """The materials, and the presets saved on this machine."""
    return list(preset_infos())


@router.put("/presets/{name}", responses=CONFLICT)
def new_preset(request: Request, name: PresetName, wanted: NewPreset) -> list[PresetInfo]:
    """Save options as a preset, for this page and for `vidsr enhance --preset`; the presets there are then. Options of
    one run, such as the part of a video, are left out."""
    options = checked_options(wanted.options, settings_of(request).roots)
    saved = {path.stem for path in saved_presets()}
    if wanted.options.get("preset") in saved:
        raise OptionsError("a preset cannot name another saved preset: give the options themselves")
    if not wanted.overwrite and name in saved:
        raise JobError(f"a preset named {name} exists")
    try:
        save_preset(name, _values(options, wanted.options), EnhanceOptions, overwrite=wanted.overwrite)
    except OptionsError as error:
        raise OptionsError(str(error).removeprefix(f"--save-preset {name}: ")) from error
    return list(preset_infos())


def _values(options: EnhanceOptions, named: dict[str, Any]) -> dict[str, Any]:
    """The typed values of the options that a request names; ``null`` stands for the default."""
    groups = options.to_json()
    places = {field: group for group, values in groups.items() for field in values}
    values = {field: getattr(getattr(options, places[field]), field) for field in named if named[field] is not None}
    # A preset that the options name is kept by its name, not by what it stands for now.
    return values | ({"preset": named["preset"]} if named.get("preset") is not None else {})
