"""Restoration options for one still picture: settled once for the whole, then applied block by block."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vidsr.frames import Array
from vidsr.media.pictures.types import Picture
from vidsr.options.filter_choices import FilterSelection
from vidsr.options.restore_options import RestoreOptions

if TYPE_CHECKING:
    from vidsr.filters.picture_restoration import StillFilters, StillSteps


#: Pictures up to this many pixels are looked at whole, larger ones at nine places of this many pixels a side.
_WHOLE_PX = 1 << 20
_PLACE_PX = 512
_PLACES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoring:
    """The filters and steps for one picture."""

    filters: StillFilters
    steps: StillSteps


def needs_time(options: RestoreOptions) -> list[str]:
    """Names of the filters and flags that a single picture cannot have."""
    from vidsr.filters.after.post import STEPS
    from vidsr.filters.before.descriptor import descriptor

    names = [choice.name for choice in options.restore.choices if descriptor(choice.name).still is None]
    if options.fields == "double":
        names.append("--fields")
    if options.rate is not None:
        names.append("--rate")
    if options.multiframe:  # "auto" silently leaves it out of a still picture
        names.append("--multiframe")
    names += [f"--{name}" for name in ("faces", "text") if getattr(options, name) == "hold"]
    return names + [f"--{step.option}" for step in STEPS if step.needs_time and step.make(options) is not None]


def left_out_note(names: list[str]) -> str:
    """One sentence about the names that :func:`needs_time` gave."""
    return f"left out: {', '.join(names)} (for video only)"


def settle(picture: Picture, options: RestoreOptions, device: Any = "cpu") -> Restoring:
    """Look at a picture where the options leave something open; its notes say what it cannot have."""
    from vidsr.filters.before.descriptor import descriptor
    from vidsr.filters.picture_restoration import StillFilters, StillLook, StillSteps, look

    left_out = needs_time(options)
    if left_out:
        picture.notes.append(left_out_note(left_out))
    stills = [(choice, descriptor(choice.name).still) for choice in options.restore.choices]
    choices = [choice for choice, still in stills if still is not None]
    seen = StillLook(trust=1.0, noise=0.0, recommended=FilterSelection())
    uses_noise = any(still is not None and still.uses_noise for _, still in stills)
    if options.restore.auto or options.fidelity is None or uses_noise:
        seen = look(_samples(picture))
    if options.restore.auto:
        choices = list(seen.recommended.choices)
        picture.notes.append(f"--restore auto: {', '.join(c.name for c in choices) or 'nothing to do'}")
    steps = replace(options, fidelity=seen.trust if options.fidelity is None else options.fidelity, stabilize=0.0)
    steps = replace(steps, faces="free", text="free")
    return Restoring(filters=StillFilters(choices, seen.noise), steps=StillSteps(steps, device))


def _samples(picture: Picture) -> list[Array]:
    """Parts of a picture's colour in 0..1, each from a place on its 8×8 grid."""
    width, height = picture.size
    if width * height <= _WHOLE_PX:
        windows = [picture.pixels[0:height, 0:width]]
    else:
        side_x, side_y = min(_PLACE_PX, width), min(_PLACE_PX, height)
        corners = {
            (int((width - side_x) * a) // 8 * 8, int((height - side_y) * b) // 8 * 8) for a in _PLACES for b in _PLACES
        }
        windows = [picture.pixels[y : y + side_y, x : x + side_x] for x, y in sorted(corners)]
    low, high = picture.value_range
    colours = 1 if picture.mode in ("L", "LA") else 3
    units = [(np.nan_to_num(w[..., :colours].astype(np.float32)) - low) / (high - low) for w in windows]
    return [np.asarray(u.clip(0, 1), np.float32) for u in units]
