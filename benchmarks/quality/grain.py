"""How near synthesised grain comes to the grain that was measured: its strength, and its spectrum band by band.

    python -m benchmarks.quality.grain

A soft ramp with grain of known strength and coarseness is the source; the "network" gives the ramp without any grain.
The result is averaged down to the source's size again and compared with the grain that was put in. On flat grey a
pattern would show as a variance that depends on the place inside a source pixel, or as a copy of the grain elsewhere.
"""

from __future__ import annotations

import argparse
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from vidsr.filters.after.grain import Grain
from vidsr.filters.flow import gaussian
from vidsr.filters.resample import area_down, cubic_up
from vidsr.frames import Colour, Frame, PixelFormat

BANDS = ((0.04, 0.12), (0.12, 0.2), (0.2, 0.3), (0.3, 0.4))
SIZE, FRAMES = (288, 352), 8


def frame(number: int) -> Frame:
    """A frame that carries its number only."""
    plane = np.zeros((1, 1), np.uint8)
    return Frame(
        planes=(plane,),
        format=PixelFormat("gray", "gray", 8),
        colour=Colour(),
        index=number,
        pts=number,
        time_base=Fraction(1, 25),
    )


def band(noise: Tensor, low: float, high: float) -> float:
    """Amplitude of ``[1, 1, h, w]`` between two frequencies in cycles per pixel."""
    power = torch.fft.rfft2(noise[0, 0]).abs() ** 2
    radius = torch.fft.fftfreq(noise.shape[-2])[:, None] ** 2 + torch.fft.rfftfreq(noise.shape[-1])[None] ** 2
    return float(power[(radius >= low**2) & (radius < high**2)].mean())


def spectrum(coarse: float, strength: float) -> list[float]:
    """Added against true grain: strength, then the amplitude in each band; mean over the frames."""
    width = SIZE[1]
    ramp = torch.linspace(0.3, 0.7, width).view(1, 1, 1, width).expand(1, 3, *SIZE)
    rows = []
    for number in range(FRAMES):
        noise = torch.randn(1, 1, SIZE[0] + 20, width + 20, generator=torch.Generator().manual_seed(number))
        noise = gaussian(noise, coarse) if coarse else noise
        noise = (noise / noise.std())[..., 10:-10, 10:-10] * strength / 255
        result = Grain(1.0)(ramp + noise, cubic_up(ramp, (2 * SIZE[0], 2 * width)), [frame(number)])
        added = (area_down(result, SIZE) - ramp)[:, :1]
        pairs = [(float(added.var()), float(noise.var())), *((band(added, *b), band(noise, *b)) for b in BANDS)]
        rows.append(pairs)
    sums = np.array(rows).sum(0)
    return [float(np.sqrt(made / true)) for made, true in sums]


def pattern() -> tuple[float, float]:
    """On flat grey: the largest ratio of variances between places in a source pixel, and the highest copy."""
    source = 0.5 + 0.03 * torch.randn(1, 1, 128, 128, generator=torch.Generator().manual_seed(2)).expand(1, 3, 128, 128)
    grain = (Grain(1.0)(source, torch.full((1, 3, 512, 512), 0.5), [frame(0)]) - 0.5)[0, 0]
    phases = torch.stack([grain[y::4, x::4].var() for y in range(4) for x in range(4)])
    copies = torch.fft.irfft2(torch.fft.rfft2(grain).abs() ** 2, s=grain.shape)
    copies = copies / copies[0, 0]
    near = 48
    copies[:near, :near] = copies[-near:, :near] = copies[:near, -near:] = copies[-near:, -near:] = 0
    return float(phases.max() / phases.min()), float(copies.abs().max())


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    heads = "  ".join(f"{low:g}..{high:g}" for low, high in BANDS)
    print(f"coarseness  strength   made/true: strength   by frequency (cycles per source pixel): {heads}")
    for coarse in (0.0, 0.8, 1.5):
        for strength in (3.0, 8.0):
            whole, *bands = spectrum(coarse, strength)
            shown = "  ".join(f"{value:8.3f}" for value in bands)
            print(f"{coarse:>10g}  {strength:>8g}   {whole:19.3f}   {'':41}{shown}")
    ratio, copy = pattern()
    print(f"flat grey: variance by place in a pixel differs by at most x {ratio:.3f}, highest copy {copy:.3f}")


if __name__ == "__main__":
    main()
