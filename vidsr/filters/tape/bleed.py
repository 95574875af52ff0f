"""Smeared colour of tape: sharpened by the edges of luma that it follows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vidsr.filters.before.descriptor import FilterDescriptor, write_number
from vidsr.filters.before.filter import with_planes
from vidsr.filters.detect.inspection import Inspection
from vidsr.frames import Frame

if TYPE_CHECKING:
    from torch import Tensor

_DEFAULT, _WIDEST = 4.5, 16.0
#: Rows that are judged together, and columns, in widths of the smear.
_DOWN, _ACROSS = 3, 3
#: Least variance, in squared 8-bit code values, to which the relation of colour and luma is fitted.
_FLOOR = 4.0
#: Share of the local changes of colour that luma must account for: from which on it counts, and at which wholly.
_COUNTS, _WHOLLY = 0.1, 0.5


class Bleed:
    """Adds to smeared colour what the same smear takes from luma, as far as colour follows luma there.

    In a small area, colour is fitted by luma smeared in the same way; the slope times what luma lost to that smear is
    what colour lost. The result stays within the colours that are found nearby along the line (compare the guided
    filter, He, Sun and Tang, ECCV 2010). Luma is not touched.

    Args:
        width: standard deviation of the smear along the line, luma px.
    """

    name = "bleed"
    lookaround = (0, 0)

    def __init__(self, width: float) -> None:
        self.width = width

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        import torch

        from vidsr.filters.before.motion import plane_of, unit
        from vidsr.filters.detect.chroma_delay import luma_on_chroma_grid

        for frame in frames:
            if frame.format.family != "yuv":
                yield frame
                continue
            scale = 255 / frame.format.max_code
            with torch.inference_mode():
                luma = torch.from_numpy(luma_on_chroma_grid(frame))[None, None] * scale
                planes = list(frame.planes)
                for number in (1, 2):
                    made = sharpened(unit(frame, number) * 255, luma, self.width / (1 << frame.format.log2_chroma_w))
                    planes[number] = plane_of(made / 255, frame)
            yield with_planes(frame, planes)


def sharpened(colour: Tensor, luma: Tensor, width: float) -> Tensor:
    """``colour`` ``[1, 1, h, w]`` sharpened by ``luma`` of the same size; ``width`` in samples, all in 8-bit codes."""
    from torch.nn import functional as F

    from vidsr.filters.resample import separable

    smeared = separable(luma, [1.0], smear(width))
    across = 2 * math.ceil(_ACROSS * width / 2) + 1
    down, taps = [1 / _DOWN] * _DOWN, [1 / across] * across

    def mean(values: Tensor) -> Tensor:
        return separable(values, down, taps)

    # Around their middle, so that the differences of squares keep their digits.
    x, y = smeared - 128, colour - 128
    of_x, of_y = mean(x), mean(y)
    common = mean(x * y) - of_x * of_y
    in_luma, in_colour = mean(x * x) - of_x**2, mean(y * y) - of_y**2
    followed = common**2 / ((in_luma + _FLOOR) * (in_colour + _FLOOR))
    share = ((followed - _COUNTS) / (_WHOLLY - _COUNTS)).clamp(0, 1)
    made = colour + share * common / (in_luma + _FLOOR) * (luma - smeared)
    reach = math.ceil(2.5 * width)
    padded = F.pad(colour, (reach, reach, 0, 0), mode="replicate")
    highest = F.max_pool2d(padded, (1, 2 * reach + 1), 1)
    lowest = -F.max_pool2d(-padded, (1, 2 * reach + 1), 1)
    return made.clamp(lowest, highest)


def smear(width: float) -> list[float]:
    """Taps of a Gaussian of this standard deviation; an odd number of them."""
    reach = max(1, math.ceil(3 * width))
    taps = [math.exp(-0.5 * (n / width) ** 2) for n in range(-reach, reach + 1)]
    return [tap / sum(taps) for tap in taps]


def _parse(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= _WIDEST:
        raise ValueError(f"give the width of the smear in pixels, up to {_WIDEST:g}; colour of VHS has 4.5")
    return value


def _find(found: Inspection) -> float | None:
    return found.tape.bleed or None


FILTER: FilterDescriptor[float] = FilterDescriptor(
    name="bleed",
    help="sharpens smeared colour by the edges of luma",
    syntax="PIXELS",
    parse=_parse,
    write=write_number,
    make=lambda width: Bleed(width or _DEFAULT),
    find=_find,
    absent="no smeared colour was found; give its width, for example bleed=4.5",
    recommended=lambda found: found.tape.bleed > 0,
)
