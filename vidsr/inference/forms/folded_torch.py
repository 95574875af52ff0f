"""RRDBNet as PyTorch runs it fastest: folded, fused and split into phases.

The form is built from the plain network, which stays as it is. Residual scales are folded into weights, activation
and residual are part of the convolution (oneDNN, on a CPU), enlarging by repetition with its 3×3 convolution is
four 2×2 ones, and everything is channels last. docs/performance.md has what each step gains.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidsr.models.architectures.rrdbnet import NEGATIVE_SLOPE, RESIDUAL_SCALE, DenseBlock, RRDBNet, pad_to_multiple

#: Source pixels per strip of the tail: enough to keep a large GPU busy.
STRIP_PIXELS = 1 << 18
# Rows that a strip's result depends on beyond it: 1.25, by the radius of the four convolutions at their sizes.
_STRIP_MARGIN = 2


class FusedConv(nn.Module):
    """A convolution, then an optional leaky ReLU, then an optional sum, in one pass where the device has it.

    Input ``[N, Cin, H, W]``, output ``[N, Cout, H + 2·padding - k + 1, …]``, channels last.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, *, padding: int = 1, slope: float | None = None) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self._padding = padding
        self._slope = slope

    def forward(self, x: Tensor, plus: Tensor | None = None) -> Tensor:
        if x.device.type == "cpu" and _has_fused_cpu_convolution(x.dtype):
            return self._on_cpu(x, plus)
        y = F.conv2d(x, self.weight, self.bias, padding=self._padding)
        if self._slope is not None:
            y = F.leaky_relu(y, self._slope, inplace=True)
        return y if plus is None else y.add_(plus)

    def _on_cpu(self, x: Tensor, plus: Tensor | None) -> Tensor:
        """oneDNN's convolution with post-operations, as Inductor calls it."""
        ops: Any = torch.ops.mkldnn
        shape: tuple[Any, ...] = ([self._padding] * 2, [1, 1], [1, 1], 1)
        out: Tensor
        if plus is not None and self._slope is None:
            args = (x, plus, self.weight, self.bias, *shape, "add", 1.0, None, [], None)
            out = ops._convolution_pointwise.binary(*args)
            return out
        kind, scalars = ("none", []) if self._slope is None else ("leaky_relu", [self._slope])
        out = ops._convolution_pointwise(x, self.weight, self.bias, *shape, kind, scalars, "")
        return out if plus is None else out.add_(plus)


def _has_fused_cpu_convolution(dtype: torch.dtype) -> bool:
    """Whether oneDNN computes this type here; for half precision it wants certain processors."""
    ops: Any = torch.ops.mkldnn
    if not torch.backends.mkldnn.is_available() or not hasattr(ops, "_convolution_pointwise"):  # type: ignore[no-untyped-call]
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and bool(ops._is_mkldnn_bf16_supported()))


def phase_weights(weight: Tensor) -> Tensor:
    """Weights ``[4·O, I, 2, 2]`` of the four phases of "repeat each pixel 2×2, then convolve 3×3" ``[O, I, 3, 3]``.

    With padding 1, output pixel (2i + a, 2j + b) is pixel (i + a, j + b) of phase 2a + b. Exact, borders included:
    two of three taps fall on the same repeated pixel, so their weights add.
    """

    def along(w: Tensor, axis: int, phase: int) -> Tensor:
        first, middle, last = w.unbind(axis)
        pair = (first, middle + last) if phase == 0 else (first + middle, last)
        return torch.stack(pair, axis)

    return torch.cat([along(along(weight, 2, a), 3, b) for a in (0, 1) for b in (0, 1)])


class PhaseUp(nn.Module):
    """Nearest ×2, 3×3 convolution and leaky ReLU, as one 2×2 convolution to four phases that are interleaved."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        assert conv.bias is not None
        weight = phase_weights(conv.weight.detach().double()).to(conv.weight.dtype)
        self._conv = FusedConv(weight, conv.bias.detach().repeat(4), padding=1, slope=NEGATIVE_SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        phases = self._conv(x).chunk(4, 1)
        size = (len(x), phases[0].shape[1], 2 * height, 2 * width)
        out = torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        for a in (0, 1):
            for b in (0, 1):
                out[:, :, a::2, b::2] = phases[2 * a + b][:, :, a : a + height, b : b + width]
        return out


class FastDenseBlock(nn.Module):
    """A residual dense block with its scale folded in; the result has the type of ``plus``, to which it is added: the
    input's or a wider one."""

    def __init__(self, block: DenseBlock) -> None:
        super().__init__()
        *grown, last = block.convs
        assert last.bias is not None
        self._grown = nn.ModuleList(_plain(conv, NEGATIVE_SLOPE) for conv in grown)
        self._last = FusedConv(last.weight.detach() * block.scale, last.bias.detach() * block.scale)

    def forward(self, x: Tensor, plus: Tensor) -> Tensor:
        features = x
        for conv in self._grown:
            features = torch.cat((features, conv(features)), 1)
        wider = plus.dtype != x.dtype
        out: Tensor = plus + self._last(features) if wider else self._last(features, plus)
        return out


class FoldedRRDBNet(nn.Module):
    """The whole network in this form, with the interface of the plain one."""

    def __init__(self, network: RRDBNet) -> None:
        super().__init__()
        self._config = network.config
        self._first = _plain(network.conv_first)
        self._blocks = nn.ModuleList(FastDenseBlock(block) for block in network.dense_blocks())
        self._body = _plain(network.conv_body)
        self._ups = nn.ModuleList(PhaseUp(conv) for conv in network.ups)
        self._hr = _plain(network.conv_hr, NEGATIVE_SLOPE)
        self._last = _plain(network.conv_last)

    def forward(self, x: Tensor) -> Tensor:
        c = self._config
        height, width = x.shape[-2:]
        x = pad_to_multiple(x, c.unshuffle)
        x = F.pixel_unshuffle(x, c.unshuffle) if c.unshuffle > 1 else x
        first = feat = self._first(x.contiguous(memory_format=torch.channels_last))
        # bfloat16 has 8 bits of precision: 138 sums in a row would cost more of it than all convolutions.
        feat = feat.float() if x.dtype == torch.bfloat16 else feat
        for i in range(0, len(self._blocks), 3):
            one, two, three = self._blocks[i : i + 3]
            middle = one(feat.to(x.dtype), feat)
            middle = two(middle.to(x.dtype), middle)
            feat = three(middle.to(x.dtype), torch.add(feat, middle, alpha=RESIDUAL_SCALE))
        out = self._tail_in_strips(self._body(feat.to(x.dtype), first))
        return out[..., : height * c.scale, : width * c.scale]

    def _tail_in_strips(self, feat: Tensor) -> Tensor:
        """The tail, which has 16 times the pixels, strip by strip where the frame is large: a fraction of the memory,
        and the same result, because each strip also reads the neighbouring rows that it depends on."""
        height, width = feat.shape[-2:]
        rows = max(_STRIP_MARGIN, STRIP_PIXELS // width)
        if height <= rows:
            return self._tail(feat)
        factor = 1 << len(self._ups)
        size = (len(feat), self._config.out_channels, height * factor, width * factor)
        out = torch.empty(size, dtype=feat.dtype, device=feat.device, memory_format=torch.channels_last)
        for start in range(0, height, rows):
            first, end = max(0, start - _STRIP_MARGIN), min(height, start + rows)
            strip = self._tail(feat[..., first : min(height, end + _STRIP_MARGIN), :])
            inner = slice((start - first) * factor, (end - first) * factor)
            out[..., start * factor : end * factor, :] = strip[..., inner, :]
        return out

    def _tail(self, feat: Tensor) -> Tensor:
        for up in self._ups:
            feat = up(feat)
        out: Tensor = self._last(self._hr(feat))
        return out


def bytes_per_pixel(network: RRDBNet, dtype: torch.dtype, size: tuple[int, int]) -> float:
    """Peak bytes per source pixel of :class:`FoldedRRDBNet`, for pictures of ``size`` (height, width).

    Counted from the tensors that exist at once: in a dense block its growing features, their copy, and the three sums
    that go on; in the tail what the last enlargement reads, its four phases and its result, of the whole picture or of
    one strip. What cuDNN allocates for itself is unknown; callers leave a margin for it.
    """
    c, (height, width) = network.config, size
    item, factor = dtype.itemsize, 1 << len(network.ups)
    sums = 4 * (4 - item) if dtype == torch.bfloat16 else 0
    block = item * (2 * c.num_feat + 7 * c.num_grow_ch + 4 * c.num_feat)
    rows = max(_STRIP_MARGIN, STRIP_PIXELS // max(1, width // c.unshuffle))
    inner = -(-height // c.unshuffle)
    share = 1.0 if inner <= rows else min(1.0, (rows + 2 * _STRIP_MARGIN) / inner)
    whole = 0 if inner <= rows else c.out_channels * factor**2
    border = (1 + 1 / max(1, height)) * (1 + 1 / max(1, width))
    tail = 2.25 * factor**2 * c.num_feat * share if factor > 1 else 2.0 * c.num_feat
    own = max(block, item * (tail * border + 4 * c.num_feat + whole)) + sums * c.num_feat // 2
    return own / c.unshuffle**2 + item * c.in_channels


def _plain(conv: nn.Conv2d, slope: float | None = None) -> FusedConv:
    assert conv.bias is not None
    return FusedConv(conv.weight.detach(), conv.bias.detach(), slope=slope)
