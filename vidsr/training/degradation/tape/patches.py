"""Defects of analogue tape and broadcast on single patches.

Combing, chroma bleed, streaky noise and line jitter are made here, the others by
:func:`vidsr.training.degradation.tape.faults.damaged`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.inference.colour import rgb_matrix
from vidsr.training.degradation.options import TapeOptions
from vidsr.training.degradation.tape.faults import TapeFaults, damaged

# ITU-R BT.601, luma and colour differences scaled to ±0.5.
_TO_RGB = rgb_matrix("smpte170m")
_TO_YUV = torch.linalg.inv(_TO_RGB.double()).float()

#: Width of the whole line that a patch is taken for a part of.
LINE_PX = 720


def play(x: Tensor, options: TapeOptions, rng: np.random.Generator) -> Tensor:
    """``[3, H, W]`` in 0..1 as played back from a tape; each defect with its own probability."""
    if rng.random() < options.interlace_chance:
        x = combed(x, float(rng.uniform(*options.interlace_shift)) * float(rng.choice([-1, 1])))
    if rng.random() < options.bleed_chance:
        x = bled(x, float(rng.uniform(*options.bleed)))
    if rng.random() < options.noise_chance:
        x = streaked(x, float(rng.uniform(*options.noise)) / 255, rng)
    if rng.random() < options.jitter_chance:
        x = shaken(x, float(rng.uniform(*options.jitter)), rng)
    # Nothing is drawn for faults that are off, so that other defects stay the same for a seed.
    if options.composite_chance and rng.random() < options.composite_chance:
        x = worn(x, TapeFaults(composite=str(rng.choice(["ntsc", "pal"])), line_width=LINE_PX), rng)
    if options.ringing_chance and rng.random() < options.ringing_chance:
        x = worn(x, TapeFaults(ringing=float(rng.uniform(*options.ringing)), line_width=LINE_PX), rng)
    if options.dropout_chance and rng.random() < options.dropout_chance:
        x = worn(x, TapeFaults(dropouts=float(rng.uniform(*options.dropouts)), line_width=LINE_PX), rng)
    return x


def worn(x: Tensor, faults: TapeFaults, rng: np.random.Generator) -> Tensor:
    """``[3, H, W]`` in 0..1 with the faults of a clip of one frame."""
    clip = x.movedim(0, -1)[None].contiguous().numpy()
    made = damaged(clip, faults, int(rng.integers(2**32))).clip[0]
    return torch.from_numpy(made).movedim(-1, 0).contiguous()


def combed(x: Tensor, shift: float) -> Tensor:
    """Every second line moved by ``shift`` px: two fields of a moving picture woven into one frame."""
    shifts = torch.zeros(x.shape[1])
    shifts[1::2] = shift
    return _lines_moved(x, shifts)


def bled(x: Tensor, length: float) -> Tensor:
    """Colour smeared to the right over about ``length`` px, by a decaying tail; brightness keeps its edges."""
    taps = int(np.ceil(length * 3)) + 1
    tail = torch.exp(-torch.arange(taps, dtype=torch.float32) / length)
    tail = (tail / tail.sum()).flip(0)
    yuv = torch.einsum("ij,jhw->ihw", _TO_YUV, x)
    colour = F.pad(yuv[1:, None], (taps - 1, 0, 0, 0), mode="replicate")
    colour = F.conv2d(colour, tail.view(1, 1, 1, -1))[:, 0]
    return torch.einsum("ij,jhw->ihw", _TO_RGB, torch.cat([yuv[:1], colour])).clamp(0, 1)


def streaked(x: Tensor, sigma: float, rng: np.random.Generator) -> Tensor:
    """Noise that runs along the lines: about 4 px long in brightness, 12 px and stronger in colour."""
    noise = torch.from_numpy(rng.standard_normal((3, *x.shape[1:]), dtype=np.float32))
    luma, colour = _along(noise[:1], 4), _along(noise[1:], 12)
    yuv = torch.einsum("ij,jhw->ihw", _TO_YUV, x) + torch.cat([luma * sigma, colour * sigma * 1.5])
    return torch.einsum("ij,jhw->ihw", _TO_RGB, yuv).clamp(0, 1)


def _along(noise: Tensor, length: int) -> Tensor:
    """A running mean along the lines, rescaled to unit variance."""
    padded = F.pad(noise[:, None], (length - 1, 0, 0, 0), mode="circular" if noise.shape[2] >= length else "replicate")
    return F.conv2d(padded, torch.full((1, 1, 1, length), length**-0.5))[:, 0]


def shaken(x: Tensor, sigma: float, rng: np.random.Generator) -> Tensor:
    """Every line moved by a random distance of standard deviation ``sigma`` px: time-base error."""
    return _lines_moved(x, torch.from_numpy(rng.standard_normal(x.shape[1]).astype(np.float32)) * sigma)


def _lines_moved(x: Tensor, shifts: Tensor) -> Tensor:
    """Line y of ``[3, H, W]`` moved right by ``shifts[y]`` px, linearly interpolated, the edge repeated."""
    width = x.shape[2]
    source = (torch.arange(width, dtype=torch.float32)[None] - shifts[:, None]).clamp(0, width - 1)
    left = source.floor().long()
    part = source - left
    right = (left + 1).clamp(max=width - 1)
    index_left, index_right = (i.expand(3, *i.shape) for i in (left, right))
    return torch.lerp(x.gather(2, index_left), x.gather(2, index_right), part.expand(3, *part.shape))
