"""Grain: what the network took away, put back at the new size; as strong and as coarse as it was, and never repeated.

The source's noise spectrum is measured in each frame (:mod:`vidsr.filters.detect.noise`), what the result still has of
it is measured at the same places, and the difference is synthesised: white Gaussian noise, drawn afresh for each frame
from the frame's own number, shaped in the Fourier domain of the whole result. Frequencies are in cycles per picture,
so the grain keeps its size on the screen; above the source's own limit there is none.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.filters.after.step import StepDescriptor
from vidsr.filters.detect.noise import BLOCK, flat_blocks, measure
from vidsr.filters.flow import luma
from vidsr.filters.resample import area_down
from vidsr.frames import Frame

#: Grain fades out towards black and white, where film and sensors have none left to show.
_TOE = 0.06


class Grain:
    """Adds grain up to ``amount`` (0 to 1) of the source's own."""

    warmup = 0
    stateless = False

    def __init__(self, amount: float) -> None:
        self.amount = amount

    def __call__(self, source: Tensor, out: Tensor, frames: Sequence[Frame]) -> Tensor:
        if min(source.shape[-2:]) < BLOCK:
            return out
        added = []
        for i in range(source.shape[0]):
            number = frames[i].index if i < len(frames) else i
            added.append(self._grain(source[i : i + 1], out[i : i + 1], number))
        return out + torch.cat(added)

    def _grain(self, source: Tensor, out: Tensor, number: int) -> Tensor:
        grey = luma(source)
        blocks = flat_blocks(grey)
        low = (source.shape[-2], source.shape[-1])
        have = measure(area_down(luma(out), low), blocks).spectrum
        want = measure(grey, blocks).spectrum * self.amount**2
        missing = (want - have).clamp(min=0)
        size = (out.shape[-2], out.shape[-1])
        light = luma(out)
        room = (torch.minimum(light, 1 - light) / _TOE).clamp(0, 1)
        return shaped_noise(missing, low, size, number) * room

    def reset(self) -> None:
        """Nothing is kept between frames."""


def shaped_noise(spectrum: Tensor, low: tuple[int, int], size: tuple[int, int], number: int) -> Tensor:
    """Noise ``[1, 1, H, W]`` of ``size`` with the given power density, as seen at the source's size ``low``.

    ``spectrum`` is laid out as :class:`vidsr.filters.detect.noise.NoiseProfile` has it. ``number`` seeds the draw.
    """
    generator = torch.Generator(device=spectrum.device).manual_seed(0x9E3779B97F4A7C15 * (number + 1) % (1 << 63))
    white = torch.randn(size, generator=generator, device=spectrum.device, dtype=spectrum.dtype)
    power = _stretch(spectrum, low, size)
    # Power density is per source pixel; a result pixel is smaller by the ratio of the areas.
    area = (size[0] * size[1]) / (low[0] * low[1])
    shaped = torch.fft.irfft2(torch.fft.rfft2(white) * (power * area).sqrt(), s=size)
    noise: Tensor = shaped[None, None]
    return noise


def _stretch(spectrum: Tensor, low: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """The spectrum on the frequencies of ``rfft2`` at ``size``; zero above the Nyquist frequency of ``low``.

    Divided by the response of area averaging, so that the result, averaged down to ``low``, has ``spectrum``.
    """
    device, kind = spectrum.device, spectrum.dtype
    fy = torch.fft.fftfreq(size[0], device=device, dtype=kind) * (size[0] / low[0])  # cycles per source pixel
    fx = torch.fft.rfftfreq(size[1], device=device, dtype=kind) * (size[1] / low[1])
    # Rows of the measured spectrum reordered to -0.5 … 0.5, with the first repeated at the end.
    rows = torch.fft.fftshift(spectrum, dim=0)
    rows = torch.cat((rows, rows[:1]))[None, None]
    x, y = (fx * 4 - 1).expand(fy.numel(), -1), (fy * 2)[:, None].expand(-1, fx.numel())
    grid = torch.stack((x, y), -1)[None]
    power = F.grid_sample(rows, grid, mode="bilinear", padding_mode="border", align_corners=True)[0, 0]
    power = power * ((fy.abs() <= 0.5)[:, None] & (fx <= 0.5)[None])
    response = torch.sinc(fy)[:, None] * torch.sinc(fx)[None]
    return torch.where(power > 0, power / response.clamp(min=0.3) ** 2, power)


STEP = StepDescriptor(option="grain", make=lambda options: Grain(options.grain) if options.grain > 0 else None)
