"""From names and parameters to filters: ``crop=8:0:704:576,deinterlace=tff,denoise=0.5``."""

from __future__ import annotations

from collections.abc import Sequence

from vidsr.errors import OptionsError
from vidsr.filters.before.base import Filter
from vidsr.filters.before.deinterlace import Deinterlace
from vidsr.filters.before.motion_compensated import Denoise, Dust
from vidsr.filters.before.static import Crop, Deblock, Deflicker, Grey


def make_filter(name: str, parameter: str) -> Filter:
    """One filter by name. ``parameter`` is what stands behind its ``=``, "" if nothing does.

    Raises:
        OptionsError: the parameter cannot be understood.
    """
    try:
        if name == "crop":
            left, top, width, height = (int(part) for part in parameter.split(":"))
            return Crop(left, top, width, height)
        if name == "deinterlace":
            return Deinterlace(parameter)
        if name in ("denoise", "deblock"):
            kind = Denoise if name == "denoise" else Deblock
            return kind(_share(parameter)) if parameter else kind()
        if name == "dust":
            return Dust(float(parameter)) if parameter else Dust()
        if not parameter:
            return Grey() if name == "grey" else Deflicker()
    except ValueError as error:
        raise OptionsError(f"--restore {name}={parameter}: {error}") from error
    raise OptionsError(f"--restore {name}={parameter}: {name} takes no parameter")


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise ValueError("give a number above 0, up to 1")
    return value


def lookaround(filters: Sequence[Filter]) -> tuple[int, int]:
    """Frames before and after that a row of filters needs together: each looks at what the one before it made."""
    return sum(f.lookaround[0] for f in filters), sum(f.lookaround[1] for f in filters)
