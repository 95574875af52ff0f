"""EFDN, a small network for fidelity: it restores what the source supports and invents nothing.

Source: Wang, "Edge-enhanced Feature Distillation Network for Efficient Super-Resolution", CVPRW 2022, in its deployed
form, with each edge-enhanced block merged into one 3×3 convolution; the attention is that of Liu et al., "Residual
Feature Aggregation Network", CVPR 2020. Key names as in the baseline of NTIRE's challenge on efficient
super-resolution, 2025.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidsr.errors import CheckpointError
from vidsr.models import graph
from vidsr.models.architecture import Architecture, Recognised, State, required
from vidsr.models.graph import Graph

# The attention looks at squares of 7 pixels, one every 3, of every second pixel: smaller maps have none.
_POOL_PX, _POOL_STRIDE = 7, 3
_LEAST_PX = 2 * _POOL_PX + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EFDNConfig:
    """Hyper-parameters of an :class:`EFDN`; recognised from a checkpoint's shapes alone."""

    in_channels: int = 3
    out_channels: int = 3
    num_feat: int = 48
    attention_feat: int = 12
    num_cells: int = 4
    scale: int = 4


class _Point(nn.Module):
    """1×1 convolution and PReLU."""

    def __init__(self, feat: int) -> None:
        super().__init__()
        self.conv1x1 = nn.Conv2d(feat, feat, 1)
        self.act = nn.PReLU(feat)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(self.conv1x1(x))
        return out


class _Edge(nn.Module):
    """The edge-enhanced block merged into one 3×3 convolution, and PReLU."""

    def __init__(self, feat: int) -> None:
        super().__init__()
        self.rep_conv = nn.Conv2d(feat, feat, 3, padding=1)
        self.act = nn.PReLU(feat)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(self.rep_conv(x))
        return out


class _Attention(nn.Module):
    """Enhanced spatial attention: a mask made at a sixth of the size multiplies the features."""

    def __init__(self, feat: int, inner: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(feat, inner, 1)
        self.conv_f = nn.Conv2d(inner, inner, 1)
        self.conv_max = nn.Conv2d(inner, inner, 3, padding=1)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=2)
        self.conv3 = nn.Conv2d(inner, inner, 3, padding=1)
        self.conv3_ = nn.Conv2d(inner, inner, 3, padding=1)
        self.conv4 = nn.Conv2d(inner, feat, 1)

    def forward(self, x: Tensor) -> Tensor:
        near = self.conv1(x)
        far = F.max_pool2d(self.conv2(near), _POOL_PX, _POOL_STRIDE)
        far = self.conv3_(F.relu(self.conv3(F.relu(self.conv_max(far)))))
        far = F.interpolate(far, x.shape[-2:], mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.conv4(far + self.conv_f(near)))


class EFDNCell(nn.Module):
    """Three convolutions in a row; their input and results, distilled, are fused, weighted and added to the input."""

    def __init__(self, feat: int, inner: int) -> None:
        super().__init__()
        self.conv1 = _Point(feat)
        self.conv2 = _Edge(feat)
        self.conv3 = _Edge(feat)
        self.fuse = nn.Conv2d(2 * feat, feat, 1)
        self.att = _Attention(feat, inner)
        self.branch = nn.ModuleList(nn.Conv2d(feat, feat // 2, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv1(x)
        second = self.conv2(first)
        features = (x, first, second, self.conv3(second))
        distilled = [branch(feature) for branch, feature in zip(self.branch, features, strict=True)]
        out: Tensor = self.att(self.fuse(torch.cat(distilled, 1))) + x
        return out


class EFDN(nn.Module):
    """The edge-enhanced feature distillation network.

    Input ``[N, in_channels, H, W]``, RGB in [0, 1], not clamped; output ``[N, out_channels, H·scale, W·scale]``.
    What exceeds [0, 1] (chroma that no display shows) goes around the network, its pixels repeated: training held no
    such input, and inside it grows to specks many times as strong.
    Frames with a side below 15 px are padded by repetition and cropped, since the attention has no pixel there.
    """

    def __init__(self, config: EFDNConfig | None = None) -> None:
        super().__init__()
        c = self.config = config or EFDNConfig()
        self.head = nn.Conv2d(c.in_channels, c.num_feat, 3, padding=1)
        self.cells = nn.ModuleList(EFDNCell(c.num_feat, c.attention_feat) for _ in range(c.num_cells))
        self.local_fuse = nn.ModuleList(nn.Conv2d(2 * c.num_feat, c.num_feat, 1) for _ in range(c.num_cells - 1))
        self.tail = nn.Sequential(
            nn.Conv2d(c.num_feat, c.out_channels * c.scale**2, 3, padding=1), nn.PixelShuffle(c.scale)
        )

    @property
    def scale(self) -> int:
        """Enlargement factor of both sides."""
        return self.config.scale

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        right, bottom = max(0, _LEAST_PX - width), max(0, _LEAST_PX - height)
        if right or bottom:
            x = F.pad(x, (0, right, 0, bottom), mode="replicate")
        inside = x.clamp(0, 1)
        first = self.head(inside)
        outputs: list[Tensor] = []
        feat = first
        for number, cell in enumerate(self.cells):
            outputs.append(cell(feat))
            feat = outputs[-1]
            if number:
                feat = self.local_fuse[number - 1](torch.cat((outputs[_partner(number)], feat), 1))
        out: Tensor = self.tail(feat + first) + F.interpolate(x - inside, scale_factor=self.scale, mode="nearest")
        return out[..., : height * self.scale, : width * self.scale]


def _partner(cell: int) -> int:
    """The earlier cell whose result is fused with that of ``cell``: the first for the second, then the second."""
    return min(cell - 1, 1)


def _recognise(tensors: State, card: Mapping[str, str]) -> Recognised | None:
    cells = {int(m[1]) for key in tensors if (m := re.match(r"cells\.(\d+)\.conv2\.rep_conv\.", key))}
    if not cells or "head.weight" not in tensors:
        return None
    head, tail = tensors["head.weight"], required(tensors, "tail.0.weight")
    inner = required(tensors, "cells.0.att.conv1.weight")
    if {head.ndim, tail.ndim, inner.ndim} != {4} or cells != set(range(len(cells))) or len(cells) < 2:
        raise CheckpointError("an EFDN whose convolutions are not two-dimensional, or whose cells are not all there")
    channels = head.shape[1]
    scale = math.isqrt(tail.shape[0] // channels)
    if scale not in (1, 2, 3, 4, 8) or tail.shape[0] != channels * scale**2:
        raise CheckpointError(
            f"an EFDN whose last convolution has {tail.shape[0]} outputs for {channels} channels: expected channels "
            "times the square of the scale"
        )
    config = EFDNConfig(
        in_channels=channels,
        out_channels=channels,
        num_feat=head.shape[0],
        attention_feat=inner.shape[0],
        num_cells=len(cells),
        scale=scale,
    )
    return Recognised("EFDN", config, "NTIRE 2025", dict(tensors))


def _graph(network: EFDN) -> Graph:
    c = network.config
    made, layers = Graph(c.in_channels, c.out_channels), dict(network.named_modules())

    def conv(name: str, x: int, slope: float | None = None) -> int:
        layer = layers[name]
        assert isinstance(layer, nn.Conv2d)
        return made.add(graph.Convolution(name, layer, slope), x)

    def activated(name: str, convolution: str, x: int) -> int:
        act = layers[f"{name}.act"]
        assert isinstance(act, nn.PReLU)
        return made.add(graph.PReLU(f"{name}.act", act), conv(f"{name}.{convolution}", x))

    def attention(name: str, x: int) -> int:
        near = conv(f"{name}.conv1", x)
        far = made.add(graph.MaxPool(_POOL_PX, _POOL_STRIDE), conv(f"{name}.conv2", near))
        far = conv(f"{name}.conv3_", conv(f"{name}.conv3", conv(f"{name}.conv_max", far, 0.0), 0.0))
        mixed = made.add(graph.Sum(), made.add(graph.ResizeLike(), far, x), conv(f"{name}.conv_f", near))
        return made.add(graph.Multiply(), x, made.add(graph.Sigmoid(), conv(f"{name}.conv4", mixed)))

    def cell(name: str, x: int) -> int:
        first = activated(f"{name}.conv1", "conv1x1", x)
        second = activated(f"{name}.conv2", "rep_conv", first)
        features = (x, first, second, activated(f"{name}.conv3", "rep_conv", second))
        distilled = [conv(f"{name}.branch.{i}", feature) for i, feature in enumerate(features)]
        fused = conv(f"{name}.fuse", made.add(graph.Concat(), *distilled))
        return made.add(graph.Sum(), attention(f"{name}.att", fused), x)

    inside = made.add(graph.Clamp(0.0, 1.0), 0)
    first = feat = conv("head", inside)
    outputs: list[int] = []
    for number in range(c.num_cells):
        outputs.append(cell(f"cells.{number}", feat))
        feat = outputs[-1]
        if number:
            joined = made.add(graph.Concat(), outputs[_partner(number)], feat)
            feat = conv(f"local_fuse.{number - 1}", joined)
    out = made.add(graph.Shuffle(c.scale), conv("tail.0", made.add(graph.Sum(), feat, first)))
    beyond = made.add(graph.Sum((1.0, -1.0)), 0, inside)
    made.add(graph.Sum(), out, made.add(graph.Enlarge(c.scale), beyond))
    return made


def _overlap_px(network: EFDN) -> int:
    """Measured on a photograph: tiles are 57 to 58 dB from whole frames with 32 px and no closer with 80, since the
    attention's grid lies differently in each tile."""
    return 48


EFDN_ARCHITECTURE = Architecture(
    name="EFDN",
    known_as="EFDN",
    network=EFDN,
    build=EFDN,
    recognise=_recognise,
    overlap_px=_overlap_px,
    # The attention reaches across small frames; beyond this it changes results only slightly.
    reach_px=lambda network: _overlap_px(network) // 2,
    # A cell holds its input, three results, what is distilled of them twice, and the fused one.
    bytes_per_pixel=lambda network, scale, itemsize: itemsize * (12.0 * network.config.num_feat + 6.0 * scale**2),
    graph=_graph,
)
