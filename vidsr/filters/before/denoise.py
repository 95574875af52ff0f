"""Denoising: along the motion in video, by self-similarity in stills.

A still is compared with itself: non-local means (Buades, Coll and Morel, "A non-local algorithm for image denoising",
CVPR 2005), with the noise's own share of the distances taken off as in their IPOL article of 2011.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vidsr.filters.before.descriptor import FilterDescriptor, StillForm, StillPart, parse_share, write_number
from vidsr.filters.before.filter import windowed, with_planes
from vidsr.filters.detect.inspection import VERY_NOISY
from vidsr.frames import Frame
from vidsr.native import motion_kernels

if TYPE_CHECKING:
    from torch import Tensor

    from vidsr.filters.before.motion import Planes

DEFAULT_STRENGTH = 0.7
#: Share of the blocks of a frame, the flattest, that its noise is measured in.
_FLAT_SHARE = 0.1
#: The least noise that is assumed, 8-bit code values.
_LEAST_NOISE = 0.5
#: Radius of the neighbourhood that is compared.
_AROUND_PX = 1.5
#: Stills: pixels around a pixel that are searched, and around each that are compared.
_SEARCH_PX, _PATCH_PX = 5, 2
#: Stills: width of the weights, in shares of the noise, at strength 1.
_WIDTH = 0.8


class Denoise:
    """Averages a frame with its neighbours, carried along the motion, where they differ by no more than the noise.

    Its confidence is how well the neighbours fit on average, 0 to 1.

    Args:
        strength: 0 to 1; 1 takes differences up to three times the measured noise for noise.
    """

    name = "denoise"
    lookaround = (2, 2)

    def __init__(self, strength: float = DEFAULT_STRENGTH) -> None:
        self.strength = strength
        self.least_confidence = 0.0

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        from vidsr.filters.before.motion import Planes

        return windowed(map(Planes, frames), *self.lookaround, self._average)

    def _average(self, window: Sequence[Planes], at: int) -> Frame:
        import torch

        with torch.inference_mode():
            return self._averaged(window, at)

    def _averaged(self, window: Sequence[Planes], at: int) -> Frame:
        import torch

        from vidsr.filters.before.motion import carried, plane_of
        from vidsr.filters.detect.noise import BLOCK, flat_blocks, measure
        from vidsr.filters.resample import area_down

        now = window[at]
        frame = now.frame
        if min(now[0].shape[-2:]) < BLOCK:
            return frame
        sigma = max(measure(now[0], flat_blocks(now[0], _FLAT_SHARE)).sigma, _LEAST_NOISE / 255)
        sums = [now[n].clone() for n in range(len(frame.planes))]
        weights = [torch.ones_like(p) for p in sums]
        averaged = 0
        for n in range(max(0, at - 2), min(len(window), at + 3)):
            if n == at:
                continue
            averaged += 1
            other = carried(now, window[n])
            fit = _agreement(now[0], other[0], 3 * self.strength * sigma)
            shares = {fit.shape: fit}
            for number, plane in enumerate(other):
                if plane.shape not in shares:
                    shares[plane.shape] = area_down(fit, (plane.shape[-2], plane.shape[-1]))
                share = shares[plane.shape]
                if not motion_kernels.add(sums[number], weights[number], plane, share):
                    sums[number] += share * plane
                    weights[number] += share
        made = [s / w for s, w in zip(sums, weights, strict=True)]
        if self.least_confidence and averaged:
            fits = [(w - 1) / averaged for w in weights]
            made = [
                torch.where(fit >= self.least_confidence, new, now[n])
                for n, (fit, new) in enumerate(zip(fits, made, strict=True))
            ]
        return with_planes(frame, [plane_of(values, frame) for values in made])


def _agreement(own: Tensor, moved: Tensor, scale: float) -> Tensor:
    """How well two lumas ``[1, 1, h, w]`` fit, 0 to 1, where ``scale`` is a clear difference."""
    import torch

    from vidsr.filters.flow import gaussian, gaussian_taps

    # Over a small neighbourhood noise averages out and real change does not.
    made = motion_kernels.agreement(own, moved, gaussian_taps(_AROUND_PX), scale)
    if made is not None:
        return made
    change = gaussian((moved - own) ** 2, _AROUND_PX).sqrt()
    return torch.exp(-((change / scale) ** 4))


def _still(picture: npt.NDArray[Any], strength: float | None, part: StillPart) -> npt.NDArray[Any]:
    import torch

    width = _WIDTH * (strength or DEFAULT_STRENGTH) * part.noise
    if width <= 0:
        return picture
    with torch.inference_mode():
        return _similar_means(picture, part.noise, width)


def _similar_means(picture: npt.NDArray[Any], sigma: float, width: float) -> npt.NDArray[Any]:
    """Each pixel the mean of those around it whose surroundings look alike."""
    import torch
    from torch.nn import functional as F

    channels = 1 if picture.shape[2] == 1 else 3
    own = torch.from_numpy(np.array(picture, np.float32)).movedim(-1, 0).expand(channels, -1, -1)[None]
    reach = _SEARCH_PX + _PATCH_PX
    padded = F.pad(own, (reach, reach, reach, reach), mode="replicate")
    height, columns = own.shape[-2:]
    near = padded[..., _SEARCH_PX:-_SEARCH_PX, _SEARCH_PX:-_SEARCH_PX]
    total, weights = own.clone(), torch.ones_like(own[:, :1])
    for dy in range(-_SEARCH_PX, _SEARCH_PX + 1):
        for dx in range(-_SEARCH_PX, _SEARCH_PX + 1):
            if dy == 0 and dx == 0:
                continue
            y, x = _SEARCH_PX + dy, _SEARCH_PX + dx
            other = padded[..., y : y + height + 2 * _PATCH_PX, x : x + columns + 2 * _PATCH_PX]
            apart = F.avg_pool2d(((other - near) ** 2).mean(1, keepdim=True), 2 * _PATCH_PX + 1, 1)
            weight = torch.exp(-(apart - 2 * sigma**2).clamp(min=0) / width**2)
            total += weight * other[..., _PATCH_PX:-_PATCH_PX, _PATCH_PX:-_PATCH_PX]
            weights += weight
    return np.asarray((total / weights)[0].movedim(0, -1).numpy())


FILTER: FilterDescriptor[float] = FilterDescriptor(
    name="denoise",
    help="averages along the motion, as far as the measured noise allows",
    syntax="0..1",
    parse=parse_share,
    write=write_number,
    make=lambda strength: Denoise(strength or DEFAULT_STRENGTH),
    recommended=lambda found: found.noise > VERY_NOISY,
    still=StillForm(apply=_still, recommended=lambda seen: seen.noise > VERY_NOISY, uses_noise=True),
)
