"""Noise and grain of a picture, measured where the picture itself is flattest; its strength and its spectrum.

Blocks are ranked by the gradient of a *blurred* copy, so that the choice does not favour blocks in which the noise
happens to be weak; each chosen block loses its mean plane, is windowed, and its periodogram is averaged.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.filters.flow import gaussian
from vidsr.frames import Floats

BLOCK = 32
STRIDE = 16
#: Share of the blocks, the flattest, in which :func:`noise_of` measures, and its limit as a multiple of the noise of
#: the finest detail: grain as coarse as that of most film scans keeps a quarter of its strength there.
_FLAT_SHARE, _COARSE_GRAIN = 0.05, 4


@dataclass(frozen=True, slots=True)
class NoiseProfile:
    """Noise of one picture.

    ``spectrum`` is the power density of luma noise ``[BLOCK, BLOCK // 2 + 1]`` on the frequencies of ``rfft2``
    of a ``BLOCK`` × ``BLOCK`` window; its mean over the full plane is the variance. ``sigma`` is its strength,
    1.0 being full scale.
    """

    spectrum: Tensor
    sigma: float


def flat_blocks(picture: Tensor, share: float = 0.25) -> Tensor:
    """Indices of the flattest ``share`` of the blocks of ``picture`` ``[1, 1, h, w]``; at least eight if it has them.

    Blocks that lie almost wholly at black or white are left out, for noise is clipped there.
    """
    smooth = gaussian(picture, 3.0)
    steep = (smooth[..., 1:, :-1] - smooth[..., :-1, :-1]) ** 2 + (smooth[..., :-1, 1:] - smooth[..., :-1, :-1]) ** 2
    steep = F.pad(steep, (0, 1, 0, 1), mode="replicate")
    # The steepest place of a block decides, not its mean: one thin line in a flat block is not noise.
    # Blocks overlap by half: each is four squares of half its side, looked at once.
    score = F.max_pool2d(F.max_pool2d(steep, STRIDE, STRIDE), BLOCK // STRIDE, 1).flatten()
    level = F.avg_pool2d(F.avg_pool2d(picture, STRIDE, STRIDE), BLOCK // STRIDE, 1).flatten()
    clipped = (level < 0.015) | (level > 0.985)
    score = torch.where(clipped, score + 1e3, score)
    count = max(8, int(share * score.numel()))
    order: Tensor = torch.argsort(score, stable=True)
    return order[:count]


def measure(picture: Tensor, blocks: Tensor | None = None) -> NoiseProfile:
    """The noise of luma ``picture`` ``[1, 1, h, w]``, at least ``BLOCK`` pixels each way.

    ``blocks`` are those to look at (:func:`flat_blocks` of the same or of another version of the picture).
    """
    if blocks is None:
        blocks = flat_blocks(picture)
    tiles = picture[0, 0].unfold(0, BLOCK, STRIDE).unfold(1, BLOCK, STRIDE)
    tiles = _without_plane(tiles[blocks // tiles.shape[1], blocks % tiles.shape[1]])
    window = _window(picture)
    power = torch.fft.rfft2(tiles * window).abs() ** 2 / (window**2).sum()
    # Median over the blocks, so that the few that hold real detail have no say; a periodogram's median is ln 2 of
    # its mean (it is exponentially distributed).
    left = _transmission(window)
    spectrum = power.median(0).values / (torch.log(power.new_tensor(2.0)) * left.clamp(min=0.5))
    # The few lowest frequencies went with the plane; their nearest neighbours stand in for them.
    spectrum = torch.where(left < 0.5, spectrum[_ring(left)].mean(), spectrum)
    sigma = float(_full_plane_mean(spectrum).sqrt())
    return NoiseProfile(spectrum, sigma)


def _window(like: Tensor) -> Tensor:
    hann = torch.hann_window(BLOCK, periodic=False, device=like.device, dtype=like.dtype)
    return hann[:, None] * hann[None]


def _transmission(window: Tensor) -> Tensor:
    """The share of white noise's power at each frequency that is left after :func:`_without_plane`.

    Taking out the plane projects away three orthonormal functions; what is lost is their own windowed power.
    """
    n = window.shape[0]
    at = torch.linspace(-1, 1, n, device=window.device, dtype=window.dtype)
    flat = torch.ones_like(window)
    planes = torch.stack((flat, flat * at[None, :], flat * at[:, None]))
    planes = planes / planes.flatten(1).norm(dim=1).view(-1, 1, 1)
    lost = (torch.fft.rfft2(planes * window).abs() ** 2).sum(0) / (window**2).sum()
    left: Tensor = 1 - lost
    return left


def _ring(like: Tensor) -> Tensor:
    """Which frequencies are about two steps from zero."""
    n = like.shape[0]
    down = torch.fft.fftfreq(n, d=1 / n, device=like.device)[:, None]
    across = torch.arange(like.shape[1], device=like.device)[None]
    radius = (down**2 + across**2).sqrt()
    ring: Tensor = (radius > 1.5) & (radius < 2.5)
    return ring


def _without_plane(tiles: Tensor) -> Tensor:
    """Each ``[B, n, n]`` tile minus its least-squares plane."""
    n = tiles.shape[-1]
    at = torch.linspace(-1, 1, n, device=tiles.device, dtype=tiles.dtype)
    norm = (at**2).sum() * n
    slope_x = (tiles * at[None, None, :]).sum((1, 2), keepdim=True) / norm
    slope_y = (tiles * at[None, :, None]).sum((1, 2), keepdim=True) / norm
    mean = tiles.mean((1, 2), keepdim=True)
    return tiles - mean - slope_x * at[None, None, :] - slope_y * at[None, :, None]


def _full_plane_mean(spectrum: Tensor) -> Tensor:
    """Mean over all frequencies of a spectrum given on the half plane of ``rfft2``."""
    twice = spectrum[:, 1:-1].sum() * 2 + spectrum[:, 0].sum() + spectrum[:, -1].sum()
    return twice / (spectrum.shape[0] * spectrum.shape[0])


def fine_floor(picture: Tensor) -> float:
    """Strength of the finest detail in the quietest twentieth of the 8×8 blocks of ``[1, 1, h, w]``.

    White noise shows there at nearly its own strength, texture hardly, as some part of a picture is smooth.
    """
    rows, columns = picture.shape[-2] // 8, picture.shape[-1] // 8
    if not rows or not columns:
        return 0.0
    blocks = picture[0, 0, : rows * 8, : columns * 8].unfold(0, 8, 8).unfold(1, 8, 8).reshape(-1, 8, 8)
    basis = dct_basis(picture)
    order = torch.arange(8, device=picture.device)
    finest = ((basis @ blocks @ basis.T) ** 2)[:, (order[:, None] + order[None]) >= 10].mean(-1)
    return float(torch.quantile(finest.sqrt(), 0.05))


def dct_basis(like: Tensor) -> Tensor:
    """The orthonormal 8-point DCT-II as a matrix."""
    return _basis(like.dtype, str(like.device))


@lru_cache(maxsize=8)
def _basis(dtype: torch.dtype, device: str) -> Tensor:
    with torch.inference_mode(False):  # else a first call from inference would spoil it for training
        k = torch.arange(8, dtype=dtype)
        basis = torch.cos((2 * k[None] + 1) * k[:, None] * (torch.pi / 16)) * 0.5
        basis[0] *= 0.5**0.5
        return basis.to(device)


def noise_of(luma: Floats) -> float:
    """Strength of noise or grain, in the code values of ``luma``; 0 for pictures too small to measure."""
    if min(luma.shape) < 2 * BLOCK:
        return 0.0
    picture = torch.from_numpy(np.ascontiguousarray(luma))[None, None] / 255
    # Use only the flattest blocks, and cap the estimate by the finest detail, so that texture is not taken for noise.
    sigma = measure(picture, flat_blocks(picture, _FLAT_SHARE)).sigma
    return 255 * min(sigma, _COARSE_GRAIN * fine_floor(picture) + 1 / 255)
