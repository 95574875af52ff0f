"""RRDBNet and SRVGGNetCompact on a CPU in fp32 by Winograd convolutions: see winograd.c.

A network becomes a list of layers over a few NHWC buffers. Residual scales are folded into weights, dense blocks
write their channels in place in one buffer (nothing is concatenated), bias, activation and residuals are part of
the convolution, and enlarging by repetition is part of reading. The tail, which has 16 times the pixels, runs in
strips so that it needs little memory.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidsr.errors import InferenceError
from vidsr.inference.native import Layer, Picture
from vidsr.models.rrdbnet import NEGATIVE_SLOPE, RESIDUAL_SCALE, RRDBNet, pad_to_multiple
from vidsr.models.srvgg import SRVGGNetCompact

Floats = npt.NDArray[np.float32]

#: Tiles of 4x4 pixels that are transformed together; measured best of 12 to 96 on AVX-512 with 2 MiB of L2.
BLOCK_TILES = 24
#: Source rows per strip of the tail, of which one at each inner border is computed twice.
STRIP_ROWS = 24
_STRIP_MARGIN = 1


def transform_matrix() -> npt.NDArray[np.float64]:
    """G ``[6, 3]`` of F(4×4, 3×3) for the points 0, ±1/√2, ±√2, ∞ (Lavin and Gray 2016, section 4.1)."""
    points = [0.0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5)]
    rows = []
    for p in points:
        norm = float(np.prod([p - q for q in points if q != p]))
        rows.append([1 / norm, p / norm, p * p / norm])
    return np.array([*rows, [0.0, 0.0, 1.0]])


@dataclass(frozen=True, slots=True)
class Convolution:
    """One packed 3×3 convolution: Winograd-domain weights, bias and slope of negative values, channels padded."""

    weights: Floats
    bias: Floats
    slope: Floats
    cin: int
    cout: int


def pack(conv: nn.Conv2d, groups: Sequence[int], lanes: int, slope: Any = 1.0, factor: float = 1.0) -> Convolution:
    """A convolution for winograd.c, its result times ``factor``.

    ``groups`` are the true widths of the groups of input channels; in memory each is padded to a multiple of
    2 · lanes (a single first group, the picture itself, of lanes).
    """
    weight = conv.weight.detach().double().cpu().numpy() * factor
    cout = _round_up(len(weight), 2 * lanes)
    step = lanes if len(groups) == 1 and groups[0] < 2 * lanes else 2 * lanes
    parts, start = [], 0
    for width in groups:
        part = weight[:, start : start + width]
        parts.append(np.pad(part, ((0, cout - len(weight)), (0, _round_up(width, step) - width), (0, 0), (0, 0))))
        start += width
    full = np.concatenate(parts, 1)
    g = transform_matrix()
    u = np.einsum("ai,ocij,bj->aboc", g, full, g, optimize=True)
    u = u.reshape(36, cout // (2 * lanes), 2 * lanes, full.shape[1]).transpose(0, 1, 3, 2)
    bias, slopes = np.zeros(cout, np.float32), np.ones(cout, np.float32)
    if conv.bias is not None:
        bias[: len(weight)] = conv.bias.detach().cpu().numpy() * factor
    slopes[: len(weight)] = slope
    return Convolution(np.ascontiguousarray(u, np.float32), bias, slopes, full.shape[1], cout)


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


class Buffer:
    """A picture ``[height, width, channels]`` float32 with a border of zeros as winograd.c wants it."""

    def __init__(self, height: int, width: int, channels: int) -> None:
        self.height, self.width = height, width
        self._all = torch.zeros(_round_up(height, 4) + 2, _round_up(width, 4) + 2, channels)

    def at(self, row: int = 0, channel: int = 0) -> Picture:
        """The address of a row's first pixel, from a channel on."""
        pixels, channels = self._all.shape[1:]
        offset = ((row + 1) * pixels + 1) * channels + channel
        return Picture(self._all.data_ptr() + 4 * offset, pixels, channels)

    @property
    def inner(self) -> Tensor:
        """The picture without its border, a view."""
        return self._all[1 : self.height + 1, 1 : self.width + 1]


@dataclass(slots=True, kw_only=True)
class Step:
    """One convolution over given places; ``residuals`` are added after the activation, times their factor."""

    conv: Convolution
    source: Picture
    target: Picture
    size: tuple[int, int]
    residuals: Sequence[tuple[Picture, float]] = ()
    doubled: bool = False
    stored: int | None = None

    def layer(self) -> Layer:
        """As the C code takes it."""
        conv = self.conv
        layer = Layer(source=self.source, target=self.target, height=self.size[0], width=self.size[1])
        layer.weights, layer.bias, layer.slope = (a.ctypes.data for a in (conv.weights, conv.bias, conv.slope))
        layer.cin, layer.cout, layer.stored = conv.cin, conv.cout, self.stored or conv.cout
        layer.doubled = int(self.doubled)
        for i, (picture, factor) in enumerate(self.residuals):
            layer.residual[i], layer.scale[i] = picture, factor
        return layer


class Program:
    """Layers that run one after the other in C, on PyTorch's number of threads, without the GIL."""

    def __init__(self, library: ctypes.CDLL, steps: Sequence[Step]) -> None:
        self._library = library
        self._steps = steps  # keeps the arrays alive that the layers point into
        self._layers = (Layer * len(steps))(*(step.layer() for step in steps))

    def __call__(self) -> None:
        """Run all layers.

        Raises:
            MemoryError: there is no room for the working memory of a block.
        """
        threads = torch.get_num_threads()
        if self._library.winograd_run(self._layers, len(self._layers), threads, BLOCK_TILES):
            raise MemoryError("out of memory in the Winograd kernels")


class FastRRDBNet:
    """An RRDBNet in this form. ``[N, 3, h, w]`` float32 on the CPU to ``[N, 3, h·scale, w·scale]``."""

    def __init__(self, network: RRDBNet, library: ctypes.CDLL) -> None:
        self._config = c = network.config
        self._library = library
        self._lanes = lanes = int(library.winograd_lanes())
        self._feat, self._grow = _round_up(c.num_feat, 2 * lanes), _round_up(c.num_grow_ch, 2 * lanes)
        self._dense: list[list[Convolution]] = []
        for rrdb in network.body:
            for number in (1, 2, 3):
                rdb = getattr(rrdb, f"rdb{number}")
                last = RESIDUAL_SCALE * (RESIDUAL_SCALE if number == 3 else 1.0)
                convs = [
                    pack(getattr(rdb, f"conv{i}"), [c.num_feat] + [c.num_grow_ch] * (i - 1), lanes, NEGATIVE_SLOPE)
                    for i in range(1, 5)
                ]
                self._dense.append([*convs, pack(rdb.conv5, [c.num_feat] + [c.num_grow_ch] * 4, lanes, factor=last)])
        feat = [c.num_feat]
        self._first = pack(network.conv_first, [c.in_channels * c.unshuffle**2], lanes)
        self._body = pack(network.conv_body, feat, lanes)
        ups = [getattr(network, f"conv_up{i}") for i in range(1, c.upsamplings + 1)]
        self._ups = [pack(up, feat, lanes, NEGATIVE_SLOPE) for up in ups]
        self._hr = pack(network.conv_hr, feat, lanes, NEGATIVE_SLOPE)
        self._last = pack(network.conv_last, feat, lanes)
        self._shape: tuple[int, int] | None = None

    def __call__(self, rgb: Tensor) -> Tensor:
        """Run the network, picture by picture."""
        c = self._config
        height, width = rgb.shape[-2:]
        x = pad_to_multiple(rgb, c.unshuffle)
        x = F.pixel_unshuffle(x, c.unshuffle) if c.unshuffle > 1 else x
        self._prepare(x.shape[-2], x.shape[-1])
        out = torch.empty(len(x), c.out_channels, *(s * 2**c.upsamplings for s in x.shape[-2:]))
        for picture, result in zip(x, out, strict=True):
            self._input.inner[..., : len(picture)] = picture.permute(1, 2, 0)
            self._program()
            for strip, (top, bottom), first in self._strips:
                strip()
                rows = self._output.inner[top - first : bottom - first, :, : c.out_channels]
                result[:, top:bottom] = rows.permute(2, 0, 1)
        return out[..., : height * c.scale, : width * c.scale]

    def bytes_per_pixel(self) -> float:
        """Bytes per source pixel of a batch of one: four dense buffers, the features, and the result twice."""
        c = self._config
        per_step = 4 * (4 * (self._feat + 4 * self._grow) + self._feat) / c.unshuffle**2
        return per_step + 2 * 4 * c.out_channels * c.scale**2

    def _prepare(self, height: int, width: int) -> None:
        """Buffers and programs for one size; kept until another size comes."""
        if self._shape == (height, width):
            return
        self._shape = None
        self._input = Buffer(height, width, self._first.cin)
        # The layers hold addresses only: what they point into lives as long as this.
        self._held = dense = [Buffer(height, width, self._feat + 4 * self._grow) for _ in range(4)]
        self._features = Buffer(height, width, self._feat)
        steps = [Step(conv=self._first, source=self._input.at(), target=dense[0].at(), size=(height, width))]
        steps += self._body_steps(dense, (height, width))
        self._program = Program(self._library, steps)
        self._prepare_tail(height, width)
        self._shape = (height, width)

    def _body_steps(self, dense: Sequence[Buffer], size: tuple[int, int]) -> list[Step]:
        """The blocks, each dense block in the buffer that holds its input; ``dense[0]`` keeps the first features."""
        steps: list[Step] = []
        start = dense[0]
        for block in range(0, len(self._dense), 3):
            a, b = [d for d in dense[1:] if d is not start][:2]
            inputs, targets = (start, a, b), (a, b, a)
            for number, (here, there) in enumerate(zip(inputs, targets, strict=True)):
                residuals = [(here.at(), 1.0)] if number < 2 else [(here.at(), RESIDUAL_SCALE), (start.at(), 1.0)]
                *grown, last = self._dense[block + number]
                for i, conv in enumerate(grown):
                    place = here.at(channel=self._feat + i * self._grow)
                    steps.append(Step(conv=conv, source=here.at(), target=place, size=size))
                steps.append(Step(conv=last, source=here.at(), target=there.at(), size=size, residuals=residuals))
            start = a
        features, skip = self._features.at(), [(dense[0].at(), 1.0)]
        steps.append(Step(conv=self._body, source=start.at(), target=features, size=size, residuals=skip))
        return steps

    def _prepare_tail(self, height: int, width: int) -> None:
        """Strips of the tail: each reads the features where they lie, and keeps only rows that no border spoiled."""
        rows = min(STRIP_ROWS, height)
        ups = [Buffer(rows << i, width << i, self._feat) for i in range(1, len(self._ups) + 1)]
        sharp = Buffer(ups[-1].height, ups[-1].width, self._feat)
        self._output = Buffer(ups[-1].height, ups[-1].width, self._lanes)
        self._held = [*self._held, *ups, sharp]
        factor = 1 << len(ups)
        self._strips = []
        done = 0
        while done < height:
            first = max(0, min(done - _STRIP_MARGIN, height - rows))
            end = height if first + rows >= height else first + rows - _STRIP_MARGIN
            source = self._features.at(row=first)
            steps = []
            for conv, up in zip(self._ups, ups, strict=True):
                size = (up.height, up.width)
                steps.append(Step(conv=conv, source=source, target=up.at(), size=size, doubled=True))
                source = up.at()
            size = (sharp.height, sharp.width)
            steps.append(Step(conv=self._hr, source=source, target=sharp.at(), size=size))
            steps.append(
                Step(conv=self._last, source=sharp.at(), target=self._output.at(), size=size, stored=self._lanes)
            )
            self._strips.append((Program(self._library, steps), (done * factor, end * factor), first * factor))
            done = end


class FastSRVGGNetCompact:
    """An SRVGGNetCompact in this form. ``[N, 3, h, w]`` float32 on the CPU to ``[N, 3, h·scale, w·scale]``."""

    def __init__(self, network: SRVGGNetCompact, library: ctypes.CDLL) -> None:
        self._config = c = network.config
        self._library = library
        lanes = int(library.winograd_lanes())
        layers = list(network.body)
        self._convs = []
        for i in range(0, len(layers), 2):
            conv, slope = layers[i], _slope(layers[i + 1] if i + 1 < len(layers) else None)
            assert isinstance(conv, nn.Conv2d)
            self._convs.append(pack(conv, [c.in_channels if i == 0 else c.num_feat], lanes, slope))
        self._shape: tuple[int, int] | None = None

    def __call__(self, rgb: Tensor) -> Tensor:
        """Run the network, picture by picture."""
        c = self._config
        self._prepare(rgb.shape[-2], rgb.shape[-1])
        out = F.interpolate(rgb, scale_factor=float(c.scale), mode="nearest")
        for picture, result in zip(rgb, out, strict=True):
            self._input.inner[..., : c.in_channels] = picture.permute(1, 2, 0)
            self._program()
            folded = self._output.inner[..., : c.out_channels * c.scale**2].permute(2, 0, 1)
            result.add_(F.pixel_shuffle(folded, c.scale))
        return out

    def bytes_per_pixel(self) -> float:
        """Bytes per source pixel of a batch of one: two buffers of the widest layer, and the result twice."""
        return 4.0 * (2 * max(c.cout for c in self._convs) + 2 * self._config.out_channels * self._config.scale**2)

    def _prepare(self, height: int, width: int) -> None:
        if self._shape == (height, width):
            return
        self._shape = None
        self._input = here = Buffer(height, width, self._convs[0].cin)
        self._held = spare = [Buffer(height, width, max(c.cout for c in self._convs)) for _ in range(2)]
        steps = []
        for i, conv in enumerate(self._convs):
            there = spare[i % 2]
            steps.append(Step(conv=conv, source=here.at(), target=there.at(), size=(height, width)))
            here = there
        self._output = here
        self._program = Program(self._library, steps)
        self._shape = (height, width)


def _slope(activation: nn.Module | None) -> Any:
    """Factor of negative values per channel."""
    if activation is None:
        return 1.0
    if isinstance(activation, nn.PReLU):
        return activation.weight.detach().cpu().numpy()
    if isinstance(activation, nn.LeakyReLU):
        return activation.negative_slope
    if isinstance(activation, nn.ReLU):
        return 0.0
    raise InferenceError(f"no fast form has the activation {type(activation).__name__}")


def fast_form(network: nn.Module, library: ctypes.CDLL) -> FastRRDBNet | FastSRVGGNetCompact | None:
    """The network in this form, or None if it is of another architecture."""
    if isinstance(network, RRDBNet):
        return FastRRDBNet(network, library)
    return FastSRVGGNetCompact(network, library) if isinstance(network, SRVGGNetCompact) else None
