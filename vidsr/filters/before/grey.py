"""Grey: the colour of black-and-white material made exactly neutral."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from vidsr.filters.before.descriptor import FilterDescriptor, StillForm, StillPart
from vidsr.filters.before.filter import quantised, with_planes
from vidsr.frames import Frame, luma_weights

_RED, _GREEN, _BLUE = luma_weights("bt709")
_LUMA = np.array([_RED, _GREEN, _BLUE], np.float32)


class Grey:
    """Makes the colour of black-and-white material exactly neutral: tints and colour noise of the transfer go."""

    name = "grey"
    lookaround = (0, 0)

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            planes = list(frame.planes)
            if frame.format.family == "yuv":
                neutral = 1 << (frame.format.depth - 1)
                for number in (1, 2):
                    planes[number] = np.full_like(planes[number], neutral)
            elif frame.format.family == "rgb":
                green, blue, red = (p.astype(np.float32) for p in planes[:3])
                planes[:3] = [quantised(_RED * red + _GREEN * green + _BLUE * blue, frame)] * 3
            yield with_planes(frame, planes)


def _still(picture: npt.NDArray[Any], _: None, part: StillPart) -> npt.NDArray[Any]:
    return picture if picture.shape[2] != 3 else np.repeat((picture @ _LUMA)[..., None], 3, axis=2)


FILTER: FilterDescriptor[None] = FilterDescriptor(
    name="grey",
    help="makes chroma exactly neutral",
    make=lambda _: Grey(),
    recommended=lambda found: found.grey,
    families=("yuv", "rgb"),
    still=StillForm(apply=_still, recommended=lambda seen: seen.grey),
)
