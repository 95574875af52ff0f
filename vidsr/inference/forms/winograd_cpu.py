"""RRDBNet, SRVGGNetCompact and RecurrentCompact on a CPU in fp32 by Winograd convolutions: see winograd.c.

A network becomes a list of layers over a few NHWC buffers. Residual scales are folded into weights, a dense block's
convolutions share their transformed input (nothing is concatenated), bias, activation and residuals are part of
the convolution, and enlarging by repetition is part of reading. The tail, which has 16 times the pixels, runs in
strips so that it needs little memory.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidsr.frames import Floats
from vidsr.inference.forms.winograd_library import NativeLayer, NativePicture
from vidsr.models.architectures.recurrent_compact import RecurrentCompact
from vidsr.models.architectures.rrdbnet import NEGATIVE_SLOPE, RESIDUAL_SCALE, RRDBNet, pad_to_multiple
from vidsr.models.architectures.srvgg import SRVGGNetCompact

#: Output pixels on a side of a tile.
TILE_PX = 6
#: Products per tile and pair of channels.
TILE_FREQUENCIES = (TILE_PX + 2) ** 2
#: Input channels that are transformed together, so that they, their products and the weights stay in a core's cache.
CHUNK_CHANNELS = 64
#: Source rows per strip of the tail, a multiple of half a tile; one at each inner border is computed twice.
STRIP_ROWS = 24
_STRIP_MARGIN = 1
_LINE = 16  # floats of a cache line


@dataclass(frozen=True, slots=True)
class PackedConvolution:
    """One packed 3×3 convolution: Winograd-domain weights, bias and slope of negative values, channels padded.

    Input channels from ``depth`` on have no weights, and output channels from ``stored`` on are not written.
    """

    weights: Floats
    bias: Floats
    slope: Floats
    cin: int
    depth: int
    cout: int
    stored: int
    chunk: int


class Packer:
    """Makes convolutions for winograd.c, their weights in a few large pieces of memory."""

    _PIECE_FLOATS = 1 << 24

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self.wide = 2 * int(library.winograd_lanes())
        self._piece: Floats = np.empty(0, np.float32)

    def _room(self, floats: int) -> Floats:
        if len(self._piece) < floats:
            self._piece = aligned(max(floats, self._PIECE_FLOATS))
        taken, self._piece = self._piece[:floats], self._piece[floats:]
        return taken

    def __call__(
        self, conv: nn.Conv2d, groups: Sequence[int], slope: float | Tensor = 1.0, factor: float = 1.0
    ) -> PackedConvolution:
        """A convolution, its result times ``factor``.

        ``groups`` are the true widths of the groups of input channels; in memory each is padded to a multiple of
        the kernels' width.
        """
        weight = conv.weight.detach().float().cpu() * factor
        cout, cin = _round_up(len(weight), self.wide), sum(_round_up(width, self.wide) for width in groups)
        taps = torch.zeros(9, cin, cout)
        start = place = 0
        for width in groups:
            part = weight[:, start : start + width].permute(2, 3, 1, 0).flatten(0, 1)
            taps[:, place : place + width, : len(weight)] = part
            start, place = start + width, place + _round_up(width, self.wide)
        chunk = min(CHUNK_CHANNELS, cin)
        packed = self._room(TILE_FREQUENCIES * cin * cout)
        source, target = ctypes.c_void_p(taps.data_ptr()), ctypes.c_void_p(packed.ctypes.data)
        self._library.winograd_pack(source, target, cin, cout, chunk)
        bias, slopes = np.zeros(cout, np.float32), np.ones(cout, np.float32)
        if conv.bias is not None:
            bias[: len(weight)] = conv.bias.detach().cpu().numpy() * factor
        slopes[: len(weight)] = slope.cpu().numpy() if isinstance(slope, Tensor) else slope
        depth = place - _round_up(groups[-1], self.wide) + groups[-1]
        return PackedConvolution(packed, bias, slopes, cin, depth, cout, _round_up(len(weight), self.wide // 2), chunk)


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def aligned(floats: int) -> Floats:
    """Zeros that begin at a cache line, in huge pages where numpy and the system offer them and it is worth it."""
    room = np.zeros(floats + _LINE, np.float32)
    start = -room.ctypes.data // room.itemsize % _LINE
    return room[start : start + floats]


class Buffer:
    """A picture ``[channels, height, width]`` float32 laid out in tiles as winograd.c wants it, zeros around it."""

    def __init__(self, library: ctypes.CDLL, height: int, width: int, channels: int) -> None:
        self.height, self.width = height, width
        self._library, self._lanes = library, int(library.winograd_lanes())
        self._groups = _round_up(channels, self._lanes) // self._lanes
        tiles = -(-height // TILE_PX) * -(-width // TILE_PX)
        self._all = aligned((tiles + 1) * self._groups * self._lanes * TILE_PX**2)

    def at(self, channel: int = 0) -> NativePicture:
        """Where the kernels find it, from a channel on."""
        group = TILE_PX**2 * self._lanes
        place = self._all.ctypes.data + 4 * (channel // self._lanes * group)
        return NativePicture(place, self._groups * group, self.height, self.width)

    def put(self, planes: Tensor, channel: int = 0) -> None:
        """Set channels, from the first of a group on, to ``[C, height, width]``; those that fill up a group to zero."""
        planes = planes.to(torch.float32).contiguous()
        where = self.at(channel)
        self._library.winograd_put(ctypes.byref(where), ctypes.c_void_p(planes.data_ptr()), len(planes))

    def get(self, out: Tensor, base: Tensor | None = None, *, scale: int = 1, first: int = 0) -> None:
        """Write rows of the first channels to ``out`` ``[C, rows · scale, width · scale]``, whose rows are contiguous.

        Args:
            out: float32; may be part of a larger picture.
            base: ``[C, rows, width]`` float32, added with its pixels repeated ``scale`` times each way; may be ``out``.
            scale: so many times so many channels become the pixels of one (pixel shuffle).
            first: the first row.
        """
        where = self.at()
        rows = (len(out), scale, first, out.shape[1] // scale)
        under = (None, ctypes.c_long(0)) if base is None else _planes(base)
        self._library.winograd_get(ctypes.byref(where), *under, *_planes(out), *rows)

    def features(self, channels: int) -> Tensor:
        """The first channels as ``[channels, height, width]``."""
        out = torch.empty(channels, self.height, self.width)
        self.get(out)
        return out


def _planes(picture: Tensor) -> tuple[ctypes.c_void_p, ctypes.c_long]:
    """Where planes with contiguous rows begin, and how many floats lie from one to the next."""
    assert picture.dtype == torch.float32 and picture.stride()[1:] == (picture.shape[2], 1)
    return ctypes.c_void_p(picture.data_ptr()), ctypes.c_long(picture.stride(0))


@dataclass(slots=True, kw_only=True)
class ConvolutionStep:
    """One convolution over given places; ``residuals`` are added after the activation, times their factor.

    ``shuffled``: the output channels are four groups, which become the 2×2 pixels of a target twice as large.
    """

    conv: PackedConvolution
    source: NativePicture
    target: NativePicture
    residuals: Sequence[tuple[NativePicture, float]] = ()
    doubled: bool = False
    skipped: int = 0
    shuffled: bool = False

    def layer(self) -> NativeLayer:
        """As the C code takes it."""
        conv = self.conv
        layer = NativeLayer(source=self.source, target=self.target, doubled=int(self.doubled), skipped=self.skipped)
        layer.shuffled = int(self.shuffled)
        layer.weights, layer.bias, layer.slope = (a.ctypes.data for a in (conv.weights, conv.bias, conv.slope))
        layer.cin, layer.depth, layer.chunk = conv.cin, conv.depth, conv.chunk
        layer.cout, layer.stored = conv.cout, conv.stored
        for i, (picture, factor) in enumerate(self.residuals):
            layer.residual[i], layer.scale[i] = picture, factor
        return layer


class Program:
    """Layers that run one after the other in C, on PyTorch's number of threads, without the GIL."""

    def __init__(self, library: ctypes.CDLL, steps: Sequence[ConvolutionStep]) -> None:
        self._library = library
        self._steps = steps  # keeps the arrays alive that the layers point into
        self._layers = (NativeLayer * len(steps))(*(step.layer() for step in steps))
        library.winograd_scratch_floats.restype = ctypes.c_long
        self._scratch_floats = int(library.winograd_scratch_floats(self._layers, len(steps)))
        self._scratch = aligned(0)

    def __call__(self) -> None:
        """Run all layers.

        Raises:
            MemoryError: there is no room for the working memory of a block.
        """
        threads = torch.get_num_threads()
        if len(self._scratch) < threads * self._scratch_floats:
            self._scratch = aligned(threads * self._scratch_floats)
        scratch = ctypes.c_void_p(self._scratch.ctypes.data)
        if self._library.winograd_run(self._layers, len(self._layers), threads, scratch):
            raise MemoryError("out of memory in the Winograd kernels")


class WinogradRRDBNet:
    """An RRDBNet in this form. ``[N, 3, h, w]`` float32 on the CPU to ``[N, 3, h·scale, w·scale]``."""

    def __init__(self, network: RRDBNet, library: ctypes.CDLL) -> None:
        self._config = c = network.config
        self._library = library
        pack = Packer(library)
        self._feat, self._grow = _round_up(c.num_feat, pack.wide), _round_up(c.num_grow_ch, pack.wide)
        self._dense: list[list[PackedConvolution]] = []
        for block in network.dense_blocks():
            *grown, last = block.convs
            widths = [c.num_feat] + [c.num_grow_ch] * 4
            convs = [pack(conv, widths[:i], NEGATIVE_SLOPE) for i, conv in enumerate(grown, 1)]
            self._dense.append([*convs, pack(last, widths, factor=block.scale)])
        feat = [c.num_feat]
        self._first = pack(network.conv_first, [c.in_channels * c.unshuffle**2])
        self._body = pack(network.conv_body, feat)
        self._ups = [pack(up, feat, NEGATIVE_SLOPE) for up in network.ups]
        self._hr = pack(network.conv_hr, feat, NEGATIVE_SLOPE)
        self._last = pack(network.conv_last, feat)
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
            self._input.put(picture)
            self._program()
            for strip, (top, bottom), first in self._strips:
                strip()
                self._output.get(result[:, top:bottom], first=top - first)
        return out[..., : height * c.scale, : width * c.scale]

    def bytes_per_pixel(self) -> float:
        """Bytes per source pixel of a batch of one: four dense buffers, the features, and the result twice."""
        c = self._config
        per_step = 4 * (4 * (self._feat + 4 * self._grow) + self._feat) / c.unshuffle**2
        return per_step + 2 * 4 * c.out_channels * c.scale**2

    def _buffer(self, height: int, width: int, channels: int) -> Buffer:
        return Buffer(self._library, height, width, channels)

    def _prepare(self, height: int, width: int) -> None:
        """Buffers and programs for one size; kept until another size comes."""
        if self._shape == (height, width):
            return
        self._shape = None
        self._input = self._buffer(height, width, self._first.depth)
        # The layers hold addresses only: this keeps the memory they point to alive.
        self._held = dense = [self._buffer(height, width, self._feat + 4 * self._grow) for _ in range(4)]
        self._features = self._buffer(height, width, self._feat)
        steps = [ConvolutionStep(conv=self._first, source=self._input.at(), target=dense[0].at())]
        steps += self._body_steps(dense)
        self._program = Program(self._library, steps)
        self._prepare_tail(height, width)
        self._shape = (height, width)

    def _body_steps(self, dense: Sequence[Buffer]) -> list[ConvolutionStep]:
        """The blocks, each dense block in the buffer that holds its input; ``dense[0]`` keeps the first features."""
        steps: list[ConvolutionStep] = []
        start = dense[0]
        for block in range(0, len(self._dense), 3):
            a, b = [d for d in dense[1:] if d is not start][:2]
            inputs, targets = (start, a, b), (a, b, a)
            for number, (here, there) in enumerate(zip(inputs, targets, strict=True)):
                residuals = [(here.at(), 1.0)] if number < 2 else [(here.at(), RESIDUAL_SCALE), (start.at(), 1.0)]
                *grown, last = self._dense[block + number]
                for i, conv in enumerate(grown):
                    place = here.at(channel=self._feat + i * self._grow)
                    steps.append(ConvolutionStep(conv=conv, source=here.at(), target=place))
                steps.append(ConvolutionStep(conv=last, source=here.at(), target=there.at(), residuals=residuals))
            start = a
        features, skip = self._features.at(), [(dense[0].at(), 1.0)]
        steps.append(ConvolutionStep(conv=self._body, source=start.at(), target=features, residuals=skip))
        return steps

    def _prepare_tail(self, height: int, width: int) -> None:
        """Strips of the tail: each reads the features where they lie, and keeps only rows that no border spoiled."""
        rows = min(STRIP_ROWS, height)
        ups = [self._buffer(rows << i, width << i, self._feat) for i in range(1, len(self._ups) + 1)]
        sharp = self._buffer(ups[-1].height, ups[-1].width, self._feat)
        self._output = self._buffer(ups[-1].height, ups[-1].width, self._config.out_channels)
        self._held = [*self._held, *ups, sharp]
        factor = 1 << len(ups)
        self._strips = []
        done = 0
        while done < height:
            first = max(0, min(done - _STRIP_MARGIN, height - rows))
            end = height if first + rows >= height else first + rows - _STRIP_MARGIN
            source, skipped = self._features.at(), first
            steps = []
            for conv, up in zip(self._ups, ups, strict=True):
                steps.append(ConvolutionStep(conv=conv, source=source, target=up.at(), doubled=True, skipped=skipped))
                source, skipped = up.at(), 0
            steps.append(ConvolutionStep(conv=self._hr, source=source, target=sharp.at()))
            steps.append(ConvolutionStep(conv=self._last, source=sharp.at(), target=self._output.at()))
            self._strips.append((Program(self._library, steps), (done * factor, end * factor), first * factor))
            done = end


class WinogradSRVGGNetCompact:
    """An SRVGGNetCompact in this form. ``[N, 3, h, w]`` float32 on the CPU to ``[N, 3, h·scale, w·scale]``."""

    def __init__(self, network: SRVGGNetCompact, library: ctypes.CDLL) -> None:
        self._config = network.config
        self._library = library
        pack = Packer(library)
        self._convs = [pack(conv, [conv.in_channels], slope) for conv, slope in network.convolutions()]
        self._shape: tuple[int, int] | None = None

    def __call__(self, rgb: Tensor) -> Tensor:
        """Run the network, picture by picture."""
        c = self._config
        self._prepare(rgb.shape[-2], rgb.shape[-1])
        rgb = rgb.to(torch.float32).contiguous()
        out = torch.empty(len(rgb), c.out_channels, *(side * c.scale for side in rgb.shape[-2:]))
        for picture, result in zip(rgb, out, strict=True):
            self._input.put(picture)
            self._program()
            self._output.get(result, picture, scale=c.scale)
        return out

    def bytes_per_pixel(self) -> float:
        """Bytes per source pixel of a batch of one: two buffers of the widest layer, and the result twice."""
        return 4.0 * (2 * max(c.stored for c in self._convs) + 2 * self._config.out_channels * self._config.scale**2)

    def _prepare(self, height: int, width: int) -> None:
        if self._shape == (height, width):
            return
        self._shape = None
        self._input = here = Buffer(self._library, height, width, self._convs[0].depth)
        widest = max(c.stored for c in self._convs)
        self._held = spare = [Buffer(self._library, height, width, widest) for _ in range(2)]
        steps = []
        for i, conv in enumerate(self._convs):
            there = spare[i % 2]
            steps.append(ConvolutionStep(conv=conv, source=here.at(), target=there.at()))
            here = there
        self._output = here
        self._program = Program(self._library, steps)
        self._shape = (height, width)


class WinogradRecurrentCompact(WinogradSRVGGNetCompact):
    """A RecurrentCompact in this form: ``[N, 3, h, w]`` or ``[N, 3 + state, h, w]`` float32 on the CPU.

    Its two first layers are one over all channels of the input, its two last ones one with the channels of both.
    """

    def __init__(self, network: RecurrentCompact, library: ctypes.CDLL) -> None:
        super().__init__(network, library)
        pack, convs = Packer(library), list(network.convolutions())
        (first, slope), (last, _) = convs[0], convs[-1]
        trust = torch.zeros(len(first.weight), 1, 3, 3)  # the first layer does not read it
        weight = torch.cat((first.weight.detach(), network.carry.weight.detach(), trust), 1)
        self._convs[0] = pack(_convolution(weight, first.bias), [weight.shape[1]], slope)
        weight = torch.cat((last.weight.detach(), network.gate.weight.detach()))
        biases = [conv.bias for conv in (last, network.gate) if conv.bias is not None]
        self._convs[-1] = pack(_convolution(weight, torch.cat(biases)), [weight.shape[1]])
        self._network = network

    def __call__(self, rgb: Tensor) -> Tensor:
        """Run the network, picture by picture."""
        self._prepare(rgb.shape[-2], rgb.shape[-1])
        wanted = self._config.in_channels + self._network.state_channels
        known = rgb.shape[1] == wanted
        padded = F.pad(rgb.to(torch.float32), (0, 0, 0, 0, 0, wanted - rgb.shape[1])).contiguous()
        results = []
        for picture, given in zip(padded, rgb, strict=True):
            self._input.put(picture)
            self._program()
            out = self._output.features(self._convs[-1].stored)[None]
            details = out[:, : self._config.out_channels * self._config.scale**2]
            gate = out[:, details.shape[1] : details.shape[1] + self._config.scale**2]
            results.append(self._network.blended(given[None], details, gate if known else None))
        return torch.cat(results)


def _convolution(weight: Tensor, bias: Tensor | None) -> nn.Conv2d:
    made = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1, bias=bias is not None)
    made.load_state_dict({"weight": weight} | ({} if bias is None else {"bias": bias.detach()}))
    return made
