"""What planes lose on their way through RGB: vidsr's own conversion beside RGB24, as most scripts do it.

    python -m benchmarks.quality.round_trip

Saturated patches in 4:2:0, tagged with each matrix and range, go through a network that changes nothing. Given are the
largest and the mean difference from the planes that went in, in 8-bit code values. "RGB24" is PyAV's ``to_ndarray``
and ``from_ndarray``, then the encoder's pixel format.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import av
import numpy as np
import torch
from torch import Tensor, nn

from vidsr.frames import Colour, Frame, PixelFormat, Plane
from vidsr.inference.colour import planes_from_rgb
from vidsr.inference.upscaler import Upscaler
from vidsr.options.enhance_options import ModelOptions

#: vidsr's name of a matrix → FFmpeg's number.
MATRICES = {"smpte170m": 6, "bt709": 1, "bt2020nc": 9}
RANGES = {"limited": 1, "full": 2}


class Nothing(nn.Module):
    """A network that changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x


@dataclass
class NothingModel:
    """What the upscaler wants to know of it."""

    network: nn.Module
    scale: int = 1
    architecture: str = "nothing"


def patches(format: PixelFormat, colour: Colour) -> Frame:
    """27 colours in patches of 16x16."""
    colours = torch.tensor(list(product((0.0, 0.5, 1.0), repeat=3))).T.reshape(3, 3, 9)
    rgb = colours.repeat_interleave(16, 1).repeat_interleave(16, 2).unsqueeze(0)
    codes = planes_from_rgb(rgb, format, colour)
    planes = tuple(c[0].reshape(c.shape[-2:]).numpy().astype(format.dtype) for c in codes)
    return Frame(planes=planes, format=format, colour=colour, index=0, pts=0, time_base=Fraction(1, 25))


def through_rgb24(frame: Frame) -> Sequence[Plane]:
    """The planes after PyAV's RGB24, back in the frame's own format."""
    picture = av.VideoFrame(frame.width, frame.height, frame.format.name)
    for number, plane in enumerate(frame.planes):
        target = torch.from_dlpack(picture.planes[number])
        target.copy_(torch.from_numpy(plane))
    picture.colorspace, picture.color_range = MATRICES[frame.colour.matrix], RANGES[frame.colour.range]
    back = av.VideoFrame.from_ndarray(picture.to_ndarray(format="rgb24"), format="rgb24")
    planar = back.reformat(format=frame.format.name)
    return [torch.from_dlpack(plane).numpy().copy() for plane in planar.planes]


def gap(frame: Frame, planes: Sequence[Plane]) -> str:
    """Largest and mean difference in 8-bit code values."""
    step = 1 << (frame.format.depth - 8)
    pairs = zip(frame.planes, planes, strict=True)
    off = np.concatenate([np.abs(a.astype(float) - b.astype(float)).ravel() / step for a, b in pairs])
    return f"{off.max():6.2f} {off.mean():6.2f}"


def main() -> None:
    """Print one line for each kind of source."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    upscaler = Upscaler(ModelOptions(device="cpu", precision="fp32", backend="torch"), model=NothingModel(Nothing()))
    print("source                            vidsr max, mean   RGB24 max, mean")
    for name, matrix, range_ in product(("yuv420p", "yuv420p10le"), MATRICES, RANGES):
        format = PixelFormat.parse(name)
        assert format is not None
        frame = patches(format, Colour(matrix=matrix, range=range_, chroma_location="left"))
        (ours,) = upscaler.stream((frame.width, frame.height), format)(iter([frame]))
        print(f"{name:12} {matrix:10} {range_:8}   {gap(frame, ours.planes)}     {gap(frame, through_rgb24(frame))}")


if __name__ == "__main__":
    main()
