"""What arithmetic allows each kernel around the network, beside what it takes, on one core.

    OMP_NUM_THREADS=1 python -m benchmarks.speed.arithmetic [--rounds 15]

``operations`` are multiplications and additions that the kernel's mathematics needs (an operation of a vector counts
once for each of its lanes); ``bytes`` are those of its inputs, read once, and its outputs, written once. The bound is
the longer of two times: operations at the rate of this core's matrix product, and bytes at the rate at which this
core copies arrays of the same size. Medians of CPU seconds; the rates are measured in turn with the kernels.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.filters.after.fidelity import above_noise, intact, noise
from vidsr.filters.flow import gaussian, gaussian_taps, optical_flow, pyramid, warp
from vidsr.filters.resample import area_down, cubic_up, without
from vidsr.frames import Colour
from vidsr.inference import colour
from vidsr.inference.resize import resize
from vidsr.media.pixel_formats import planar_format

#: Side of the matrices whose product gives the rate of operations.
_MATRIX = 512
_SMALL, _LARGE, _FILM = (90, 160), (360, 640), (576, 720)
_FLOAT = 4
_TIMES = 5


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """One kernel on one size of picture.

    Attributes:
        operations: in all.
        traffic: bytes in and out.
    """

    name: str
    call: Callable[[], object]
    operations: float
    traffic: float


def _pixels(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _picture(channels: int, size: tuple[int, int]) -> Tensor:
    """Noise enlarged by 8: as smooth as a picture."""
    small = torch.rand(1, channels, size[0] // 8 + 1, size[1] // 8 + 1)
    return F.interpolate(small, size=size, mode="bicubic").clamp(0, 1)


def _separable(taps: int, pixels: float) -> float:
    """Operations of a filter of so many taps down and across; equal taps on both sides are multiplied once."""
    return 2 * pixels * (taps + taps // 2)


def kernels() -> list[Kernel]:
    """What a default job and the filters along the motion call, at the sizes that the documents name."""
    torch.manual_seed(1)
    return [*_conversions(), *_corrections(), *_resizing(), *_motion()]


def _conversions() -> list[Kernel]:
    form, tags = planar_format("yuv420p"), Colour(matrix="bt709", range="limited", chroma_location="left")
    out, found = _picture(3, _LARGE), []
    planes = colour.planes_from_rgb(_picture(3, _SMALL), form, tags)
    # Each luma pixel: scaled; chroma of twice two taps; a matrix of 3 by 3. Out: the matrix, chroma's mean, scale
    # and dither.
    small, large = _pixels(_SMALL), _pixels(_LARGE)
    read = Kernel(
        name="planes to RGB, 160x90",
        call=lambda: colour.rgb_from_planes(planes, form, tags),
        operations=small * (2 + 2 * 6 + 15),
        traffic=small * (1.5 + 3 * _FLOAT),
    )
    written = Kernel(
        name="RGB to planes, 640x360",
        call=lambda: colour.planes_from_rgb(out, form, tags),
        operations=large * (15 + 2 * (4 / 2 + 4 / 4) + 1.5 * 5),
        traffic=large * (3 * _FLOAT + 1.5 * _FLOAT + 1.5),
    )
    found += [read, written]
    return found


def _corrections() -> list[Kernel]:
    source, out, missing = _picture(3, _SMALL), _picture(3, _LARGE), _picture(3, _SMALL) - 0.5
    small, large = 3 * _pixels(_SMALL), 3 * _pixels(_LARGE)
    one = torch.ones(1)
    blurs = [
        Kernel(
            name=f"Gaussian of {sigma:g} px, 3 channels of 160x90",
            call=lambda s=sigma: gaussian(source, s),
            operations=_separable(len(gaussian_taps(sigma)), small),
            traffic=2 * small * _FLOAT,
        )
        for sigma in (6.0, 2.0)
    ]
    # Blocks of 8x8 pixels, one channel: 8 dot products of 8 across (once a row and frequency), then of 8 down for the
    # coefficients in the band, and their squares.
    blocks = ((_SMALL[0] - 8) // 8 + 1) * ((_SMALL[1] - 8) // 8 + 1)
    bands = [[(u, v) for u in range(8) for v in range(8) if low <= u + v < high] for low, high in ((2, 5), (11, 15))]
    across = sum(len({u for u, _ in band}) for band in bands)
    dct = blocks * (across * 8 * 15 + sum(map(len, bands)) * 17)
    return [
        *blurs,
        Kernel(
            name="averaging, 640x360 to 160x90",
            call=lambda: area_down(out, _SMALL),
            operations=large,
            traffic=(large + small) * _FLOAT,
        ),
        Kernel(
            name="enlarging and adding, 160x90 to 640x360",
            call=lambda: cubic_up(missing, _LARGE, out),
            operations=large * (9 + 9 / 4 + 1),
            traffic=(2 * large + small) * _FLOAT,
        ),
        Kernel(
            name="a round of back-projection, 160x90",
            call=lambda: without(source, missing, _LARGE),
            operations=_separable(5, small) + small,
            traffic=3 * small * _FLOAT,
        ),
        Kernel(
            name="intactness (luma, DCT of blocks), 160x90",
            call=lambda: intact(source),
            operations=_pixels(_SMALL) * 5 + dct,
            traffic=small * _FLOAT,
        ),
        Kernel(
            name="power above the noise, 160x90",
            call=lambda: above_noise(missing, noise(source), one),
            operations=small + _separable(len(gaussian_taps(2.0)), small) + 5 * small + _noise_operations(),
            traffic=3 * small * _FLOAT,
        ),
    ]


def _noise_operations() -> float:
    """Of the noise measure: blocks at every second pixel in the luma and in two differences of channels."""
    blocks = ((_SMALL[0] - 8) // 2 + 1) * ((_SMALL[1] - 8) // 2 + 1)
    band = [(u, v) for u in range(8) for v in range(8) if 10 <= u + v < 15]
    lines = _SMALL[0] * ((_SMALL[1] - 8) // 2 + 1) * len({u for u, _ in band})
    return 3 * (lines * 15 + blocks * len(band) * 17) + _pixels(_SMALL) * 7


def _resizing() -> list[Kernel]:
    found = []
    for inputs, outputs in (((2304, 2880), (1152, 1440)), (_FILM, (1152, 1440))):
        picture = _picture(3, inputs)
        taps = [4 * max(1.0, a / b) for a, b in zip(inputs, outputs, strict=True)]
        down = 3 * outputs[0] * inputs[1] * (2 * taps[0] - 1)
        across = 3 * outputs[0] * outputs[1] * (2 * taps[1] - 1)
        work = Kernel(
            name=f"resizing, {inputs[1]}x{inputs[0]} to {outputs[1]}x{outputs[0]}",
            call=lambda p=picture, size=outputs: resize(p, size),
            operations=down + across,
            traffic=3 * (_pixels(inputs) + _pixels(outputs)) * _FLOAT,
        )
        found.append(work)
    return found


def _motion() -> list[Kernel]:
    picture, flow = _picture(3, _LARGE), F.interpolate(_picture(2, (45, 80)) * 6 - 3, size=_LARGE, mode="bicubic")
    now, before = _picture(1, _FILM), _picture(1, _FILM)
    before = 0.9 * now + 0.1 * before
    pixels, film = _pixels(_LARGE), _pixels(_FILM)
    # Weights of four taps each way: about 20 operations; then 16 taps a channel, first down, then across.
    warped = pixels * (2 * 20 + 3 * (4 * 7 + 7))
    window, smooth = (len(gaussian_taps(sigma)) for sigma in (2.5, 1.0))
    # One correction: the picture carried (one channel), gradients, weights and five products (25), their windows, the
    # solution of two equations (16), the flow smoothed. Four corrections a level; levels add up to 4/3 of the largest.
    step = 2 * 20 + 35 + 25 + 5 * _separable(window, 1) + 16 + 2 * _separable(smooth, 1)
    return [
        Kernel(
            name="warping 3 channels of 640x360",
            call=lambda: warp(picture, flow, mode="bicubic"),
            operations=warped,
            traffic=pixels * (2 + 6) * _FLOAT,
        ),
        Kernel(
            name="flow between frames of 720x576",
            call=lambda: optical_flow(now, before),
            operations=film * 4 / 3 * 4 * step,
            traffic=film * 4 / 3 * 4 * (2 + 4) * _FLOAT,
        ),
        Kernel(
            name="pyramid of a frame of 720x576",
            call=lambda: pyramid(now),
            operations=film * 4 / 3,
            traffic=film * 5 / 3 * _FLOAT,
        ),
    ]


def _seconds(call: Callable[[], object]) -> float:
    """CPU seconds of one call, the mean of a few."""
    begin = time.process_time()
    for _ in range(_TIMES):
        call()
    return (time.process_time() - begin) / _TIMES


def _rates(traffic: float) -> tuple[Callable[[], float], Callable[[], float]]:
    """Operations per second of a matrix product; bytes per second, in and out, of copying ``traffic`` bytes."""
    a, b = torch.rand(_MATRIX, _MATRIX), torch.rand(_MATRIX, _MATRIX)
    source = torch.rand(max(1, int(traffic / 2 / _FLOAT)))
    target = torch.empty_like(source)
    return (
        lambda: 2 * _MATRIX**3 / _seconds(lambda: a @ b),
        lambda: 2 * source.numel() * _FLOAT / _seconds(lambda: target.copy_(source)),
    )


@torch.inference_mode()
def report(rounds: int) -> None:
    """Print the table."""
    heads = f"{'MFLOP':>8s} {'MB':>7s} {'GFLOP/s':>8s} {'GB/s':>6s} {'bound ms':>9s} {'took ms':>8s} {'ratio':>6s}"
    print(f"{'kernel':44s} {heads}")
    for kernel in kernels():
        kernel.call()
        operating, copying = _rates(kernel.traffic)
        measured = [(operating(), copying(), _seconds(kernel.call)) for _ in range(rounds)]
        flops, rate, took = (statistics.median(column) for column in zip(*measured, strict=True))
        bound = max(kernel.operations / flops, kernel.traffic / rate)
        figures = f"{kernel.operations / 1e6:8.2f} {kernel.traffic / 1e6:7.2f} {flops / 1e9:8.0f} {rate / 1e9:6.1f}"
        print(f"{kernel.name:44s} {figures} {1e3 * bound:9.3f} {1e3 * took:8.3f} {took / bound:6.2f}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    torch.set_num_threads(1)
    report(parser.parse_args().rounds)


if __name__ == "__main__":
    main()
