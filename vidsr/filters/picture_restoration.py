"""Restoration of one still picture: what of the filters and steps for video makes sense without time.

Deblocking and grey are those of video. Video is denoised along the motion; a still is compared with itself instead:
non-local means (Buades, Coll and Morel, "A non-local algorithm for image denoising", CVPR 2005), with the noise's own
share of the distances taken off as in their IPOL article of 2011. The steps after the network are the very same.

Pictures are float32 ``[h, w, channels]``, 0 to 1, of one channel or three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.filters.after.fidelity import trust
from vidsr.filters.after.post import PostSettings, post_steps
from vidsr.filters.before.static import smooth_edges
from vidsr.filters.detect import statistics
from vidsr.filters.detect.inspection import GREY, VERY_NOISY, noise_of
from vidsr.filters.detect.noise import BLOCK, flat_blocks, measure
from vidsr.frames import Colour, Frame, PixelFormat

Array = npt.NDArray[Any]

#: Filters ahead of the network that one picture can have; the others compare a frame with its neighbours in time.
STILL_FILTERS = ("deblock", "denoise", "grey")
#: Source pixels around a pixel that denoising looks at: search window and patch.
_SEARCH, _PATCH = 5, 2
#: Width of the weights, in shares of the noise, at strength 1.
_WIDTH = 0.8
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
#: From this on (see :func:`vidsr.filters.detect.statistics.blocking`) a picture should be deblocked.
_BLOCKY = 0.35
_DEFAULT_DEBLOCK, _DEFAULT_DENOISE = 0.5, 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class StillLook:
    """What samples of a picture show: ``trust`` 0 to 1 (see :func:`vidsr.filters.after.fidelity.trust`), ``noise``
    of full scale, and the filters that it should have."""

    trust: float
    noise: float
    recommended: tuple[str, ...]


@torch.inference_mode()
def look(samples: Sequence[Array]) -> StillLook:
    """Look at parts of one picture, each beginning on its 8×8 grid."""
    lumas = [np.ascontiguousarray(s.mean(2)) * np.float32(255) for s in samples]
    spread = [float(np.percentile(np.abs(s - s[..., :1]), 99)) * 255 for s in samples if s.shape[2] == 3]
    found = {
        "deblock": float(np.median([statistics.blocking(luma) for luma in lumas])) > _BLOCKY,
        "denoise": float(np.median([noise_of(luma) for luma in lumas])) > VERY_NOISY,
        "grey": bool(spread) and max(spread) <= GREY,
    }
    return StillLook(
        trust=float(np.median([float(trust(_tensor(s))) for s in samples])),
        noise=float(np.median([_noise(s) for s in samples])),
        recommended=tuple(name for name, wanted in found.items() if wanted),
    )


def _noise(picture: Array) -> float:
    """Strength of the noise in the middle one of the channels, 1 being full scale."""
    if min(picture.shape[:2]) < BLOCK:
        return 0.0
    planes = [torch.from_numpy(np.ascontiguousarray(picture[..., c]))[None, None] for c in range(picture.shape[2])]
    return float(np.median([measure(p, flat_blocks(p, 0.1)).sigma for p in planes]))


class StillFilters:
    """Filters ahead of the network.

    Args:
        named: (filter, parameter) in the order in which they act; "" is no parameter.
        noise: strength of the picture's noise, 1 being full scale.
    """

    def __init__(self, named: Sequence[tuple[str, str]], noise: float) -> None:
        self._named = named
        self._noise = noise

    @torch.inference_mode()
    def __call__(self, picture: Array, origin: tuple[int, int]) -> Array:
        """A part of the picture whose first pixel is at ``origin`` = (x, y) of the whole."""
        for name, parameter in self._named:
            if name == "deblock":
                picture = _deblocked(picture, float(parameter or _DEFAULT_DEBLOCK), origin)
            elif name == "denoise":
                width = _WIDTH * float(parameter or _DEFAULT_DENOISE) * self._noise
                picture = picture if width <= 0 else _denoised(picture, self._noise, width)
            elif picture.shape[2] == 3:
                picture = np.repeat((picture @ _LUMA)[..., None], 3, axis=2)
        return picture


def _deblocked(picture: Array, strength: float, origin: tuple[int, int]) -> Array:
    planes = []
    for plane in np.moveaxis(picture * np.float32(255), 2, 0):
        across = smooth_edges(plane, 24 * strength, -origin[0] % 8)
        planes.append(smooth_edges(across.T, 24 * strength, -origin[1] % 8).T)
    return np.dstack(planes) / np.float32(255)


def _denoised(picture: Array, sigma: float, width: float) -> Array:
    """Each pixel the mean of those around it whose surroundings look alike."""
    own = _tensor(picture, 1 if picture.shape[2] == 1 else 3)
    reach = _SEARCH + _PATCH
    padded = F.pad(own, (reach, reach, reach, reach), mode="replicate")
    height, columns = own.shape[-2:]
    near = padded[..., _SEARCH:-_SEARCH, _SEARCH:-_SEARCH]
    total, weights = own.clone(), torch.ones_like(own[:, :1])
    for dy in range(-_SEARCH, _SEARCH + 1):
        for dx in range(-_SEARCH, _SEARCH + 1):
            if dy == 0 and dx == 0:
                continue
            y, x = _SEARCH + dy, _SEARCH + dx
            other = padded[..., y : y + height + 2 * _PATCH, x : x + columns + 2 * _PATCH]
            apart = F.avg_pool2d(((other - near) ** 2).mean(1, keepdim=True), 2 * _PATCH + 1, 1)
            weight = torch.exp(-(apart - 2 * sigma**2).clamp(min=0) / width**2)
            total += weight * other[..., _PATCH:-_PATCH, _PATCH:-_PATCH]
            weights += weight
    return np.asarray((total / weights)[0].movedim(0, -1).numpy())


class StillSteps:
    """The steps after the network, on parts of one picture; each part draws grain of its own."""

    def __init__(self, settings: PostSettings, device: torch.device | str = "cpu") -> None:
        self._steps = post_steps(settings)
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


def _tensor(picture: Array, channels: int = 3) -> Tensor:
    """``[h, w, c]`` as ``[1, channels, h, w]``."""
    return torch.from_numpy(np.array(picture, np.float32)).movedim(-1, 0).expand(channels, -1, -1)[None]


def _numbered(number: int) -> Frame:
    """What a step that asks for a frame's number gets."""
    return Frame(
        planes=(np.zeros((1, 1), np.uint8),),
        format=PixelFormat("gray", "gray", 8),
        colour=Colour(),
        index=number,
        pts=number,
        time_base=Fraction(1),
    )
