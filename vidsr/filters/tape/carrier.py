"""The subcarrier of composite video, as the product of colour and fine luma shows it, moving or not.

A decoder that takes fine luma for colour turns it by the subcarrier's phase at each sample; one that takes colour for
luma turns it back. Multiplied, the two give that phase wherever the picture has detail. So the product has a line in
its spectrum where the subcarrier lies, which is upside down in frames of opposite phase. The product of a picture that
was never composite has none: what is in it moves with the picture.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.filters.detect.tape_findings import System
from vidsr.filters.resample import separable
from vidsr.filters.tape.subcarrier import CompositeFrame

#: How many times as strong as usual a line must be to count as the subcarrier's.
CLEAR = 8.0
#: Cycles a row of a frame at which it lies, always in pairs. Lines of one field are 227.5 (NTSC) or 283.7516 (PAL)
#: cycles apart, those of the other lie half a frame later (SMPTE 170M-2004, ITU-R BT.1700). In NTSC the signs of rows
#: are + − − +; in PAL phases repeat after eight rows, for U and V in opposite order.
_PAIRS: dict[System, tuple[tuple[float, float], ...]] = {
    "ntsc": ((0.25, -0.25),),
    "pal": ((0.125, -0.375), (-0.125, 0.375)),
}
#: Cycles a pixel between which it is looked for: 3.58 MHz on 900 columns a line to 4.43 MHz on 500.
_LEAST, _MOST = 0.2, 0.47
#: Narrower pictures have too few cycles to tell a line from what is around it.
_NARROWEST_PX = 160
#: Bins on each side that say what is usual, and samples of colour whose mean counts as coarse.
_AROUND, _COARSE_COLOUR = 32, 9
#: 8-bit code values above which fine luma and colour count less, so that no single edge outweighs the rest.
_LUMA_KNEE, _COLOUR_KNEE = 2.0, 1.0


def clearness(before: CompositeFrame, now: CompositeFrame, after: CompositeFrame, system: System) -> float:
    """How many times as strong as usual the product's line is, counted where it is opposite in both frames around.

    Chance and pictures that were never composite give a few times, composite video tens to hundreds. 0 in pictures
    narrower than 160 pixels.
    """
    if now.frame.width < _NARROWEST_PX:
        return 0.0
    here = _spectrum(now, system)
    opposed = [-(here * _spectrum(other, system).conj()).real for other in (before, after)]
    line = torch.minimum(*opposed) / (_usual(here) + 1e-6)
    return max(0.0, float(line.amax(3).amin(2).max()))


def _usual(spectrum: Tensor) -> Tensor:
    """The mean power that noise would have whose median is the one around each bin."""
    power = spectrum.abs().square().flatten(1, 3)
    around = F.pad(power, (_AROUND, _AROUND), mode="reflect").unfold(-1, 2 * _AROUND + 1, 1)
    return around.movedim(1, -1).flatten(-2).median(-1).values[:, None, None, None] / math.log(2)


def _spectrum(frame: CompositeFrame, system: System) -> Tensor:
    """``[2, pairs, 2, 3, bins]`` complex: planes of colour, rows' frequencies, those with a bin on each side."""
    known = frame.spectra.get(system)
    if known is not None:
        return known
    fine = _compressed(frame[0] - frame.coarse, _LUMA_KNEE)
    height, width = fine.shape[-2], fine.shape[-1]
    waves = _waves(system, height)
    found = []
    for number in (1, 2):
        detail = frame[number] - separable(frame[number], [1.0], [1 / _COARSE_COLOUR] * _COARSE_COLOUR)
        large = F.interpolate(_compressed(detail, _COLOUR_KNEE), size=(height, width), mode="nearest")
        product = (fine * large)[0, 0] * torch.hann_window(width, periodic=False)
        rows = torch.complex(*(part @ product for part in waves))
        bins = torch.fft.fft(rows)[:, math.ceil(_LEAST * width) : int(_MOST * width) + 1]
        found.append(bins.reshape(len(_PAIRS[system]), 2, 3, -1) / math.sqrt(height * width))
    frame.spectra[system] = torch.stack(found)
    return frame.spectra[system]


def _compressed(values: Tensor, knee: float) -> Tensor:
    return values / (1 + values.abs() / knee)


@lru_cache(maxsize=16)
def _waves(system: System, height: int) -> tuple[Tensor, Tensor]:
    """Real and imaginary parts ``[n, height]`` of what rows are multiplied by."""
    with torch.inference_mode(False):
        cycles = [c + k / height for pair in _PAIRS[system] for c in pair for k in (-1, 0, 1)]
        phases = -2 * math.pi * torch.outer(torch.tensor(cycles, dtype=torch.float64), torch.arange(height).double())
        window = torch.hann_window(height, periodic=False, dtype=torch.float64)
        return (window * phases.cos()).float(), (window * phases.sin()).float()
