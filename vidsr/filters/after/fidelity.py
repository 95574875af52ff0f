"""Fidelity: the result, scaled down again, is the source. Back-projection (Irani and Peleg 1991), twice.

What the network changed at the source's own resolution (contrast, texture it took for noise, invented structure) is
measured as the source minus the result averaged down, and added back, enlarged. That is right where the source is
right. A source that was damaged should not be followed all the way: "auto" measures how far, over the whole picture
for what compression took (:func:`intact`), and place by place for noise (:func:`above_noise`).
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.filters.after.correction import Correction, Follow, Source
from vidsr.filters.after.step import StepDescriptor
from vidsr.filters.detect.noise import dct_basis
from vidsr.filters.flow import LUMA, gaussian, gaussian_taps, luma
from vidsr.native import noise_kernels
from vidsr.options.restore_options import RestoreOptions

#: Ratio of fine to middling DCT power up to which a source is not followed at all, and from which it is followed all
#: the way; see docs/restoration.md for where these come from.
DAMAGED = 0.007
INTACT = 0.02
#: Pixels from block to block where they do not overlap.
_GRID = 8
#: Sums of a coefficient's two frequencies (0 to 7), from the first up to below the second: middling and fine detail of
#: :func:`intact`, and what shows noise.
_MIDDLE, _FINE, _FINEST = (2, 5), (11, 15), (10, 15)
#: The finest detail of the blocks at these quantiles shows noise: their ratio is small where it is the same everywhere.
#: Clean pictures whose flattest blocks are still rough have a ratio of 1.3 to 2.2, noisy ones of 1.15 to 1.35.
_QUIETEST, _QUIET = 0.05, 0.2
NOISE_RATIO, TEXTURE_RATIO = 1.29, 1.39
#: The quietest blocks show noise at this share of its strength.
_SHOWN = 0.8
#: The differences of two channels hold next to no fine detail of clean pictures, however textured they are: up to this
#: many code values in the quietest overlapping blocks (measured on some 70 pictures), which show this share of noise.
_COLOUR_DETAIL, _SHOWN_BY_COLOUR = 0.7, 0.68
#: Pictures of up to this many pixels are looked at in blocks that overlap more, or they have too few to tell from.
_SMALL_PX = 1 << 16
#: What differs by this many times the noise's power, on average around a place, is followed half-way and beyond.
_FACTOR = 2.0
_AROUND_PX = 2.0
#: Noise (8-bit code values) at which :func:`trust` has fallen to one half.
HALF_AT_NOISE = 2.0


class Fidelity(Correction):
    """Pulls the result towards the source at the source's own resolution.

    Args:
        amount: 0 (off) to 1 (exact), or None: measured for each frame.
        least: where it is measured, how far a source is known to be whole by other measures than :func:`intact`, which
            cannot tell a soft source from a compressed one.
    """

    def __init__(self, amount: float | None = None, *, least: float = 0.0) -> None:
        self.amount, self.least = amount, least

    def follow(self, source: Source, missing: Tensor, size: tuple[int, int]) -> Follow | None:
        """See :class:`~vidsr.filters.after.correction.Correction`."""
        if size[0] <= source.rgb.shape[-2] or size[1] <= source.rgb.shape[-1]:
            return None  # nothing is finer than the source here
        share = self.amount
        if share is not None:
            return lambda lack: lack * share
        whole = source.measured(intact)
        amount = above_noise(missing, source.measured(noise), whole.clamp(min=self.least) if self.least else whole)
        return lambda lack: lack * amount


def intact(source: Tensor) -> Tensor:
    """How much of its fine structure compression has left each of ``[N, 3, h, w]``: 0 to 1, ``[N]``.

    Lossy codecs spend their bits on coarse structure: what they leave of the finest eighth of the 8×8 DCT, against
    the middle, falls by an order of magnitude long before blocks show.
    """
    if min(source.shape[-2:]) < 32:
        return source.new_ones(source.shape[0])
    made = noise_kernels.intactness(source, _limits())
    if made is not None:
        return made
    grey = luma(source)
    middle, fine = (_block_power(grey, _GRID, *band)[:, 0] for band in (_MIDDLE, _FINE))
    busy = middle >= middle.median(1, keepdim=True).values
    ratio = torch.where(busy, fine / (middle + 0.25), torch.nan).nanmedian(1).values
    return ((ratio - DAMAGED) / (INTACT - DAMAGED)).clamp(0, 1)


def above_noise(missing: Tensor, level: Tensor, share: Tensor) -> Tensor:
    """How far ``missing`` (what the result lacks of the source) is more than noise, times ``share`` ``[N]``.

    ``level`` ``[N, 3]`` is the source's :func:`noise`.

    ``[N, 3, h, w]``, 0 to 1. Around each place the power of what is missing is held against that of the noise, as
    Wiener's filter does: edges and texture that stand out of the noise are followed, grounds on which only noise is
    missing are not.
    """
    floors = _FACTOR * level**2
    made = noise_kernels.above(missing, gaussian_taps(_AROUND_PX), floors, share[:, None].expand_as(floors))
    if made is not None:
        return made
    around = gaussian(missing**2, _AROUND_PX)
    return (1 - floors[..., None, None] / (around + 1e-12)).clamp(0, 1) * share.view(-1, 1, 1, 1)


def trust(source: Tensor) -> Tensor:
    """One share for the whole of each of ``[N, 3, h, w]``, 0 to 1, ``[N]``: for what must treat all of it alike."""
    level = noise(source).mean(1) * 255
    return intact(source) / (1 + (level / HALF_AT_NOISE) ** 2)


def noise(source: Tensor) -> Tensor:
    """Strength of the white noise in each channel of ``[N, 3, h, w]``, 1 being full scale: ``[N, 3]``.

    It shows as a floor of fine detail under all blocks alike; a floor that varies is the picture's own texture. Noise
    that the channels do not share shows more clearly: see :func:`noise_of_colour`.
    """
    if min(source.shape[-2:]) < 32:
        return source.new_zeros(source.shape[0], source.shape[1])
    made = noise_kernels.levels(source, _stride(source), _limits())
    if made is not None:
        return made
    grey = _floor(_block_power(luma(source), _stride(source), *_FINEST))
    even = ((TEXTURE_RATIO - grey[1] / (grey[0] + 0.05)) / (TEXTURE_RATIO - NOISE_RATIO)).clamp(0, 1)
    shared = _floor(_block_power(source, _GRID, *_FINEST))[0] / _SHOWN * even
    return torch.maximum(shared / 255, noise_of_colour(source))


def noise_of_colour(source: Tensor) -> Tensor:
    """Strength of the noise that differs from channel to channel of ``[N, 3, h, w]``, 1 being full scale: ``[N, 1]``.

    Fine texture is nearly the same in all channels; in their differences it is gone and noise of their own stays. That
    of the lightness alone, and of subsampled chroma, cannot be seen there.
    """
    differences = source[:, ::2] - source[:, 1:2]  # red and blue minus green
    power = _block_power(differences, _stride(source), *_FINEST) * 0.5
    floor = _floor(power)[0].mean(1, keepdim=True)
    return (floor**2 - _COLOUR_DETAIL**2).clamp(min=0).sqrt() / _SHOWN_BY_COLOUR / 255


def _block_power(picture: Tensor, stride: int, low: int, high: int) -> Tensor:
    """Mean DCT power of the 8×8 blocks of ``[N, C, h, w]``, ``[N, C, blocks]``, in squared 8-bit code values.

    Taken are the coefficients whose two frequencies (0 to 7) add up to ``low`` ≤ sum < ``high``.
    """
    if picture.device.type != "cpu":
        # As a convolution: the overlapping blocks are never written out, and only these coefficients are computed.
        planes = picture.flatten(0, 1).unsqueeze(1)
        found = F.conv2d(planes, _dct_kernels(low, high, str(picture.device)), stride=stride)
        return found.square_().mean(1).view(*picture.shape[:2], -1)
    basis = dct_basis(picture)
    made = noise_kernels.block_power(picture, stride, low, high, basis)
    if made is not None:
        return made * 255**2
    blocks = (picture * 255).unfold(2, 8, stride).unfold(3, 8, stride).flatten(2, 3)
    power = (basis @ blocks @ basis.T) ** 2
    return power.flatten(-2)[..., _wanted(low, high)].mean(-1)


@lru_cache(maxsize=1)
def _limits() -> noise_kernels.Limits:
    """All of these as the kernels take them."""
    limits = noise_kernels.Limits(
        quietest=_QUIETEST, quiet=_QUIET, noise_ratio=NOISE_RATIO, texture_ratio=TEXTURE_RATIO
    )
    limits.shown, limits.colour_detail, limits.shown_by_colour = _SHOWN, _COLOUR_DETAIL, _SHOWN_BY_COLOUR
    limits.damaged, limits.intact = DAMAGED, INTACT
    limits.middle[:], limits.fine[:], limits.finest[:] = _MIDDLE, _FINE, _FINEST
    limits.luma[:] = LUMA
    limits.basis[:] = dct_basis(torch.empty(0)).flatten().tolist()
    return limits


def _stride(picture: Tensor) -> int:
    """Pixels from block to block."""
    return 2 if picture.shape[-2] * picture.shape[-1] <= _SMALL_PX else 4


def _wanted(low: int, high: int) -> Tensor:
    """Which of the 64 coefficients: boolean ``[64]``, on the CPU."""
    order = torch.arange(8)[:, None] + torch.arange(8)[None]
    return ((order >= low) & (order < high)).flatten()


@lru_cache(maxsize=16)
def _dct_kernels(low: int, high: int, device: str) -> Tensor:
    """The basis pictures of those coefficients, in 8-bit code values: ``[coefficients, 1, 8, 8]``, on the device."""
    basis = dct_basis(torch.empty(0, dtype=torch.float64))
    every = torch.einsum("ui,vj->uvij", basis, basis).reshape(64, 1, 8, 8) * 255
    return every[_wanted(low, high)].float().to(device)


def _floor(power: Tensor) -> tuple[Tensor, Tensor]:
    """Strength ``[N, C]`` of fine detail, of ``power`` ``[N, C, blocks]``, in the quietest blocks and in quiet ones."""
    places = [int(share * (power.shape[-1] - 1)) for share in (_QUIETEST, _QUIET)]
    if power.device.type == "cpu":
        lowest, low = (power.kthvalue(place + 1).values.sqrt() for place in places)
    else:
        levels = power.sort(-1).values.sqrt()
        lowest, low = (levels[..., place] for place in places)
    return lowest, low


def _make(options: RestoreOptions) -> Fidelity | None:
    return Fidelity(options.fidelity) if options.fidelity is None or options.fidelity > 0 else None


STEP = StepDescriptor(option="fidelity", make=_make)
#: The same once more where the stabiliser acts.
AFTER_STABILISE = StepDescriptor(
    option="fidelity", make=lambda options: _make(options) if options.stabilize > 0 else None
)
