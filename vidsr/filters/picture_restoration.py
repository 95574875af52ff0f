"""Restoration of one still picture: the filters and steps for video that make sense without time.

Each filter's form for stills is in its own module; the steps after the network are those of video.
Pictures are float32 ``[h, w, channels]``, 0 to 1, of one channel or three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from vidsr.filters.after.fidelity import trust
from vidsr.filters.after.post import post_steps
from vidsr.filters.before.descriptor import StillMeasures, StillPart, descriptor, descriptors
from vidsr.filters.detect import statistics
from vidsr.filters.detect.inspection import GREY
from vidsr.filters.detect.noise import BLOCK, flat_blocks, measure, noise_of
from vidsr.frames import Array, Colour, Frame, PixelFormat
from vidsr.options.filter_choices import FilterChoice, FilterSelection
from vidsr.options.restore_options import RestoreOptions

#: Share of the blocks of a picture, the flattest, that its noise is measured in.
_FLAT_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class StillLook:
    """What samples of a picture show: ``trust`` 0 to 1 (see :func:`vidsr.filters.after.fidelity.trust`), ``noise``
    of full scale, and the filters that it should have."""

    trust: float
    noise: float
    recommended: FilterSelection


@torch.inference_mode()
def look(samples: Sequence[Array]) -> StillLook:
    """Look at parts of one picture, each beginning on its 8×8 grid."""
    lumas = [np.ascontiguousarray(s.mean(2)) * np.float32(255) for s in samples]
    spread = [float(np.percentile(np.abs(s - s[..., :1]), 99)) * 255 for s in samples if s.shape[2] == 3]
    seen = StillMeasures(
        blocking=float(np.median([statistics.blocking(luma) for luma in lumas])),
        noise=float(np.median([noise_of(luma) for luma in lumas])),
        grey=bool(spread) and max(spread) <= GREY,
    )
    return StillLook(
        trust=float(np.median([float(trust(_tensor(s))) for s in samples])),
        noise=float(np.median([_noise(s) for s in samples])),
        recommended=FilterSelection.of(
            FilterChoice(d.name) for d in descriptors() if d.still is not None and d.still.recommended(seen)
        ),
    )


def _noise(picture: Array) -> float:
    """Strength of the noise, the median over the channels, 1 being full scale."""
    if min(picture.shape[:2]) < BLOCK:
        return 0.0
    planes = [torch.from_numpy(np.ascontiguousarray(picture[..., c]))[None, None] for c in range(picture.shape[2])]
    return float(np.median([measure(p, flat_blocks(p, _FLAT_SHARE)).sigma for p in planes]))


class StillFilters:
    """Filters ahead of the network.

    Args:
        choices: filters that have a form for stills, in the order in which they act.
        noise: strength of the picture's noise, 1 being full scale.
    """

    def __init__(self, choices: Sequence[FilterChoice], noise: float) -> None:
        self._choices = choices
        self._noise = noise

    def __call__(self, picture: Array, origin: tuple[int, int]) -> Array:
        """A part of the picture whose first pixel is at ``origin`` = (x, y) of the whole."""
        part = StillPart(origin=origin, noise=self._noise)
        for choice in self._choices:
            still = descriptor(choice.name).still
            assert still is not None, f"{choice.name} is for video only"
            picture = still.apply(picture, choice.parameter, part)
        return picture


class StillSteps:
    """The steps after the network, on parts of one picture; each part draws grain of its own."""

    def __init__(self, options: RestoreOptions, device: torch.device | str = "cpu") -> None:
        self._steps = post_steps(options)
        self._device = device
        self._parts = 0

    @torch.inference_mode()
    def __call__(self, source: Array, out: Array) -> Array:
        """``source`` as it went into the network, and what came out of it at the size of the result."""
        if not self._steps:
            return out
        small, large = _tensor(source).to(self._device), _tensor(out).to(self._device)
        frame = _numbered(self._parts)
        self._parts += 1
        for step in self._steps:
            large = step(small, large, [frame])
        result = large[0].movedim(0, -1).cpu().numpy()
        return np.asarray(result if out.shape[2] == 3 else result.mean(2, keepdims=True))


def _tensor(picture: Array) -> Tensor:
    """``[h, w, c]`` as ``[1, 3, h, w]``."""
    return torch.from_numpy(np.array(picture, np.float32)).movedim(-1, 0).expand(3, -1, -1)[None]


def _numbered(number: int) -> Frame:
    """A frame that stands for a part, for steps that ask for a frame's number."""
    return Frame(
        planes=(np.zeros((1, 1), np.uint8),),
        format=PixelFormat("gray", "gray", 8),
        colour=Colour(),
        index=number,
        pts=number,
        time_base=Fraction(1),
    )
