"""Both networks on CUDA by one Triton kernel: a 3×3 convolution that reads and writes slices of NHWC buffers.

What cuDNN under PyTorch does not do: a dense block's results are written where the next convolution reads
them (nothing is concatenated), bias, leaky ReLU and residuals are added while the sums are in registers, and
"repeat 2×2, then convolve" reads the small picture with the four 2×2 phase kernels of ``folded_torch``.

Importing this module imports Triton; with ``TRITON_INTERPRET=1`` it runs, slowly, on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor, nn
from torch.nn import functional as F
from triton.tools.tensor_descriptor import TensorDescriptor

from vidsr.inference.forms.folded_torch import phase_weights
from vidsr.models.architectures.rrdbnet import NEGATIVE_SLOPE, RESIDUAL_SCALE, RRDBNet, pad_to_multiple
from vidsr.models.architectures.srvgg import SRVGGNetCompact

_LEAST_CHANNELS = 16  # what a matrix instruction takes


@dataclass(frozen=True, slots=True)
class Tiling:
    """Pixels (so many of them ``across``) and input channels per step of a program, its warps, and loads in flight.

    ``rows``: a program's pixels lie in one row, which the copy engine of sm_90 and newer loads by tensor descriptors.
    """

    pixels: int = 128
    across: int = 16
    channels: int = 32
    warps: int = 4
    stages: int = 4
    rows: bool = False


#: The tiling for rows: with a longer slice of channels there are fewer loads to wait for.
ROWS = Tiling(channels=64, stages=3, rows=True)
#: The tiling for sm_75, which has no asynchronous copies: other blocks of the multiprocessor work while one waits.
TURING = Tiling(stages=1)


# Sizes and factors are not specialised: another size of a picture needs no other kernel.
@triton.jit(do_not_specialize=["height", "width", "a1", "a2"])  # type: ignore[untyped-decorator, unused-ignore]
def _convolve(  # type: ignore[no-untyped-def]
    x, w, bias, slope, y, r1, r2, height, width, ld_x, ld_y, ld_r1, ld_r2, a1, a2,
    CIN: tl.constexpr, COUT: tl.constexpr, STORED: tl.constexpr, TAPS: tl.constexpr,
    R1: tl.constexpr, R2: tl.constexpr, BM: tl.constexpr, BW: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """One block of BM pixels × COUT channels; the pixels are BM / BW rows of BW.

    TAPS 3 is a 3×3 convolution; TAPS 2 is phase (a, b) = program_id(1) of an enlargement, whose result pixel
    (i, j) goes to (2i + a, 2j + b). Sums are float32, pixel offsets int64.

    Taps and channels are one loop, so that its pipeline of loads fills and drains once, not once per tap. The taps of
    a slice of channels follow each other: the next ones find in L1 what one of them loaded. Of a patch, that is less
    around its pixels than of a row.
    """
    across, down = (width + BW - 1) // BW, (height + BM // BW - 1) // (BM // BW)
    block, pixel = tl.program_id(0), tl.arange(0, BM)
    phase = tl.program_id(1)
    a, b = phase // 2, phase % 2
    row = block // across % down * (BM // BW) + pixel // BW
    column = block % across * BW + pixel % BW
    line = block // across // down * height + row  # of all pictures one below the other
    p = line * width + column
    real = (row < height) & (column < width)
    n, kk = tl.arange(0, COUT), tl.arange(0, BK)
    # Which taps of a pixel lie inside the picture, as one bit each; the first tap is a row up and a column left.
    up, left = row - 1, column - 1
    if TAPS == 2:
        up += a
        left += b
    inside = tl.zeros((BM,), dtype=tl.int32)
    for bit in tl.static_range(TAPS * TAPS):
        i, j = up + bit // TAPS, left + bit % TAPS
        here = (i >= 0) & (i < height) & (j >= 0) & (j < width) & real
        inside |= here.to(tl.int32) << bit
    corner = -width - 1
    if TAPS == 2:
        corner += a * width + b
    pixels = x + (p + corner).to(tl.int64)[:, None] * ld_x + kk[None, :]
    kernels = w + phase * TAPS * TAPS * CIN * COUT + kk[:, None] * COUT + n[None, :]
    sums = tl.zeros((BM, COUT), dtype=tl.float32)
    for step in range(CIN // BK * TAPS * TAPS):
        tap, k = step % (TAPS * TAPS), step // (TAPS * TAPS) * BK
        mask = ((inside >> tap) & 1) != 0
        offset = (tap // TAPS * width + tap % TAPS) * ld_x + k
        values = tl.load(pixels + offset, mask=mask[:, None], other=0.0, cache_modifier=".ca")
        kernel = tl.load(kernels + (tap * CIN + k) * COUT)
        sums = tl.dot(values, kernel, sums)
    sums += tl.load(bias + n)[None, :]
    sums = tl.where(sums > 0, sums, sums * tl.load(slope + n)[None, :])
    keep = real[:, None] & (n < STORED)[None, :]
    if R1:
        sums += a1 * tl.load(r1 + p.to(tl.int64)[:, None] * ld_r1 + n[None, :], mask=keep, other=0.0).to(tl.float32)
    if R2:
        sums += a2 * tl.load(r2 + p.to(tl.int64)[:, None] * ld_r2 + n[None, :], mask=keep, other=0.0).to(tl.float32)
    target = p.to(tl.int64)
    if TAPS == 2:
        target = (line.to(tl.int64) * 2 + a) * (2 * width) + 2 * column + b
    tl.store(y + target[:, None] * ld_y + n[None, :], sums.to(y.dtype.element_ty), mask=keep)


@triton.jit(do_not_specialize=["a1", "a2"])  # type: ignore[untyped-decorator, unused-ignore]
def _convolve_rows(  # type: ignore[no-untyped-def]
    x, w, bias, slope, y, r1, r2, a1, a2,
    CIN: tl.constexpr, COUT: tl.constexpr, R1: tl.constexpr, R2: tl.constexpr, BM: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """BM pixels of one row × COUT channels of a 3×3 convolution; ``x``, ``w``, ``y``, ``r1``, ``r2`` are descriptors.

    The copy engine puts zeros where a block leaves the picture, and stores nothing there: no masks, and no addresses in
    the loop.
    """
    left, row, image = tl.program_id(0) * BM, tl.program_id(1), tl.program_id(2)
    n = tl.arange(0, COUT)
    sums = tl.zeros((BM, COUT), dtype=tl.float32)
    for step in range(CIN // BK * 9):
        tap, k = step % 9, step // 9 * BK
        values = x.load([image, row + tap // 3 - 1, left + tap % 3 - 1, k])
        sums = tl.dot(values.reshape(BM, BK), w.load([tap * CIN + k, 0]), sums)
    sums += tl.load(bias + n)[None, :]
    sums = tl.where(sums > 0, sums, sums * tl.load(slope + n)[None, :])
    if R1:
        sums += a1 * r1.load([image, row, left, 0]).reshape(BM, COUT).to(tl.float32)
    if R2:
        sums += a2 * r2.load([image, row, left, 0]).reshape(BM, COUT).to(tl.float32)
    y.store([image, row, left, 0], sums.to(y.dtype).reshape(1, 1, BM, COUT))


class TritonConv:
    """One packed convolution. Pictures are ``[N, H, W, C]`` tensors or channel slices of such.

    ``slope`` is the factor of negative values, one for all channels or one for each (``[C]``, PReLU); 1 is none.
    """

    def __init__(self, weight: Tensor, bias: Tensor, *, slope: float | Tensor = 1.0, doubled: bool = False) -> None:
        weight = phase_weights(weight.double()).to(weight.dtype) if doubled else weight
        self._phases = 4 if doubled else 1
        self._taps = 2 if doubled else 3
        self._stored = len(weight) // self._phases
        cout = max(_LEAST_CHANNELS, triton.next_power_of_2(self._stored))
        taps = weight.reshape(self._phases, self._stored, *weight.shape[1:]).permute(
            0, 3, 4, 2, 1
        )  # phase, ky, kx, cin, cout
        self._cin, self._cout = weight.shape[1], cout
        self._weight = F.pad(taps, (0, cout - self._stored)).contiguous()
        self._bias = F.pad(bias.float(), (0, cout - self._stored)).contiguous()
        self._slope = torch.ones_like(self._bias)
        self._slope[: self._stored] = slope

    def __call__(self, x: Tensor, y: Tensor, tiling: Tiling, residuals: Sequence[tuple[Tensor, float]] = ()) -> Tensor:
        """Convolve ``x`` into ``y`` (both dense in pixels), add the residuals times their factors, return ``y``."""
        if tiling.rows and self._taps == 3 and self._stored == self._cout:
            return self._by_rows(x, y, tiling, residuals)
        count, height, width, _ = x.shape
        lines = tiling.pixels // tiling.across
        blocks = count * triton.cdiv(height, lines) * triton.cdiv(width, tiling.across)
        (r1, a1), (r2, a2) = (*residuals, (x, 0.0), (x, 0.0))[:2]
        block: Any = _convolve[blocks, self._phases]
        block(
            x, self._weight, self._bias, self._slope, y, r1, r2, height, width,
            x.stride(2), y.stride(2), r1.stride(2), r2.stride(2), a1, a2,
            CIN=self._cin, COUT=self._cout, STORED=self._stored, TAPS=self._taps,
            R1=len(residuals) > 0, R2=len(residuals) > 1,
            BM=tiling.pixels, BW=tiling.across, BK=min(tiling.channels, self._cin & -self._cin),
            num_warps=tiling.warps, num_stages=tiling.stages,
        )  # fmt: skip
        return y

    def _by_rows(self, x: Tensor, y: Tensor, tiling: Tiling, residuals: Sequence[tuple[Tensor, float]]) -> Tensor:
        count, height, width, _ = x.shape
        # Of the two lengths of a block the one that reaches less far beyond the row.
        pixels = min((tiling.pixels, tiling.pixels // 2), key=lambda length: -(-width // length) * length)
        channels = min(tiling.channels, self._cin & -self._cin)

        def rows(picture: Tensor, depth: int) -> TensorDescriptor:
            return TensorDescriptor(picture, list(picture.shape), list(picture.stride()), [1, 1, pixels, depth])

        weight = self._weight.view(9 * self._cin, self._cout)
        kernels = TensorDescriptor(weight, list(weight.shape), list(weight.stride()), [channels, self._cout])
        (r1, a1), (r2, a2) = (*residuals, (y, 0.0), (y, 0.0))[:2]
        block: Any = _convolve_rows[triton.cdiv(width, pixels), height, count]
        block(
            rows(x, channels), kernels, self._bias, self._slope, rows(y, self._cout), rows(r1, self._cout),
            rows(r2, self._cout), a1, a2,
            CIN=self._cin, COUT=self._cout, R1=len(residuals) > 0, R2=len(residuals) > 1, BM=pixels, BK=channels,
            num_warps=tiling.warps, num_stages=tiling.stages,
        )  # fmt: skip
        return y


class TritonRRDBNet:
    """An RRDBNet in this form; its weights must be on the device, in the type to compute in.

    ``num_feat`` and ``num_grow_ch`` must be multiples of 16.
    """

    def __init__(self, network: RRDBNet, tiling: Tiling | None = None) -> None:
        self._config = c = network.config
        if c.num_feat % _LEAST_CHANNELS or c.num_grow_ch % _LEAST_CHANNELS:
            raise ValueError(f"{c.num_feat} and {c.num_grow_ch} channels: the kernel takes multiples of 16")
        self.tiling = tiling or Tiling()
        self._first = network.conv_first
        self._dense: list[list[TritonConv]] = []
        for block in network.dense_blocks():
            *grown, last = block.convs
            assert last.bias is not None
            convs = [_packed(conv, NEGATIVE_SLOPE) for conv in grown]
            self._dense.append([*convs, TritonConv(last.weight * block.scale, last.bias * block.scale)])
        self._body = _packed(network.conv_body)
        self._ups = [_packed(up, NEGATIVE_SLOPE, doubled=True) for up in network.ups]
        self._hr = _packed(network.conv_hr, NEGATIVE_SLOPE)
        self._last = _packed(network.conv_last)

    def __call__(self, x: Tensor) -> Tensor:
        """``[N, 3, h, w]`` to ``[N, 3, h·scale, w·scale]`` in the network's type."""
        c, feat, grow = self._config, self._config.num_feat, self._config.num_grow_ch
        height, width = x.shape[-2:]
        x = pad_to_multiple(x, c.unshuffle)
        x = F.pixel_unshuffle(x, c.unshuffle) if c.unshuffle > 1 else x
        first = self._first(x.contiguous(memory_format=torch.channels_last)).permute(0, 2, 3, 1)
        pixels = first.shape[:3]
        dense = [first.new_empty((*pixels, feat + 4 * grow)) for _ in range(4)]
        dense[0][..., :feat] = first
        start = dense[0]
        for block in range(0, len(self._dense), 3):
            a, b = [d for d in dense[1:] if d is not start][:2]
            inputs, targets = (start, a, b), (a, b, a)
            for number, (here, there) in enumerate(zip(inputs, targets, strict=True)):
                residuals = [(here, 1.0)] if number < 2 else [(here, RESIDUAL_SCALE), (start, 1.0)]
                *grown, last = self._dense[block + number]
                for i, conv in enumerate(grown):
                    conv(here, here[..., feat + i * grow :], self.tiling)
                last(here, there, self.tiling, residuals)
            start = a
        out = self._body(start, first.new_empty((*pixels, feat)), self.tiling, [(dense[0], 1.0)])
        del dense, start, first
        for up in self._ups:
            count, h, w, _ = out.shape
            out = up(out, out.new_empty((count, 2 * h, 2 * w, feat)), self.tiling)
        out = self._hr(out, torch.empty_like(out), self.tiling)
        out = self._last(out, out.new_empty((*out.shape[:3], c.out_channels)), self.tiling)
        return out.permute(0, 3, 1, 2)[..., : height * c.scale, : width * c.scale]


class TritonSRVGGNetCompact:
    """An SRVGGNetCompact in this form: each convolution and its activation are one kernel, over two buffers in turn.

    Its weights must be on the device, in the type to compute in; ``num_feat`` must be a multiple of 16.
    """

    def __init__(self, network: SRVGGNetCompact, tiling: Tiling | None = None) -> None:
        self._config = c = network.config
        if c.num_feat % _LEAST_CHANNELS:
            raise ValueError(f"{c.num_feat} channels: the kernel takes multiples of {_LEAST_CHANNELS}")
        self.tiling = tiling or Tiling()
        self._convs: list[TritonConv] = []
        for conv, slope in network.convolutions():
            assert conv.bias is not None
            weight = F.pad(conv.weight, (0, 0, 0, 0, 0, -conv.in_channels % _LEAST_CHANNELS))
            self._convs.append(TritonConv(weight, conv.bias, slope=slope))

    def __call__(self, x: Tensor) -> Tensor:
        """``[N, 3, h, w]`` to ``[N, 3, h·scale, w·scale]`` in the network's type."""
        c = self._config
        feat = F.pad(x.permute(0, 2, 3, 1), (0, -c.in_channels % _LEAST_CHANNELS)).contiguous()
        buffers = [feat.new_empty((*feat.shape[:3], c.num_feat)) for _ in range(2)]
        *hidden, last = self._convs
        for i, conv in enumerate(hidden):
            feat = conv(feat, buffers[i % 2], self.tiling)
        detail = last(feat, feat.new_empty((*feat.shape[:3], c.out_channels * c.scale**2)), self.tiling)
        base = F.interpolate(x, scale_factor=float(c.scale), mode="nearest")
        return F.pixel_shuffle(detail.permute(0, 3, 1, 2), c.scale) + base


def _packed(conv: nn.Conv2d, slope: float = 1.0, *, doubled: bool = False) -> TritonConv:
    assert conv.bias is not None
    return TritonConv(conv.weight, conv.bias, slope=slope, doubled=doubled)
