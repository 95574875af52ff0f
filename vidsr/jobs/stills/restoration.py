"""What ``--restore``, ``--fidelity`` and their kin mean for one picture: settled once, then done block by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vidsr.media.pictures.types import Array, Picture
from vidsr.restore_options import RestoreOptions

if TYPE_CHECKING:
    from vidsr.filters.picture_restoration import StillFilters, StillSteps


#: Pictures up to this many pixels are looked at whole, larger ones in places of this many pixels a side.
_WHOLE_PX = 1 << 20
_PLACE_PX = 512
_PLACES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoring:
    """The filters and steps for one picture."""

    filters: StillFilters
    steps: StillSteps


def needs_time(options: RestoreOptions) -> list[str]:
    """What of the options a single picture cannot have, by name."""
    from vidsr.filters.picture_restoration import STILL_FILTERS

    names = [name for name, _ in options.named() if name not in STILL_FILTERS]
    if options.fields == "double":
        names.append("--fields")
    if options.stabilize > 0:
        names.append("--stabilize")
    return names


def left_out_note(names: list[str]) -> str:
    """One sentence about what :func:`needs_time` found."""
    return f"left out: {', '.join(names)} (for video only)"


def settle(picture: Picture, options: RestoreOptions, device: Any = "cpu") -> Restoring:
    """Look at a picture where the options leave something open; what it cannot have goes into its notes.

    Raises:
        OptionsError: a filter's parameter is no share.
    """
    from vidsr.filters.after.post import PostSettings
    from vidsr.filters.picture_restoration import STILL_FILTERS, StillFilters, StillLook, StillSteps, look

    left_out = needs_time(options)
    if left_out:
        picture.notes.append(left_out_note(left_out))
    named = [(name, parameter) for name, parameter in options.named() if name in STILL_FILTERS]
    _check(named)
    share = options.fidelity_share()
    seen = StillLook(trust=1.0, noise=0.0, recommended=())
    if options.restore == "auto" or share is None or any(name == "denoise" for name, _ in named):
        seen = look(_samples(picture))
    if options.restore == "auto":
        named = [(name, "") for name in seen.recommended]
        picture.notes.append(f"--restore auto: {', '.join(seen.recommended) or 'nothing to do'}")
    settings = PostSettings(
        fidelity=seen.trust if share is None else share,
        strength=options.strength,
        colour_lock=options.colour_lock,
        grain=options.grain,
    )
    return Restoring(filters=StillFilters(named, seen.noise), steps=StillSteps(settings, device))


def _check(named: list[tuple[str, str]]) -> None:
    from vidsr.filters.before.chain import make_filter

    for name, parameter in named:
        make_filter(name, parameter)


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
