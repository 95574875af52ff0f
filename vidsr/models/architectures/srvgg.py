"""SRVGGNetCompact, the small plain network of Real-ESRGAN's video models.

Source: Real-ESRGAN (arXiv 2107.10833) and its released realesr-animevideov3 and realesr-general-x4v3.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from vidsr.errors import CheckpointError
from vidsr.models import graph
from vidsr.models.architecture import Architecture, NcnnLayer, Recognised, State
from vidsr.models.graph import Graph


@dataclass(frozen=True, slots=True, kw_only=True)
class SRVGGNetCompactConfig:
    """Hyper-parameters of an :class:`SRVGGNetCompact`; recognised from a checkpoint's shapes alone."""

    in_channels: int = 3
    out_channels: int = 3
    num_feat: int = 64
    num_conv: int = 16
    scale: int = 4
    activation: Literal["prelu", "leakyrelu", "relu"] = "prelu"


class SRVGGNetCompact(nn.Module):
    """A chain of 3×3 convolutions at source size, then a pixel shuffle added to the nearest enlargement.

    Input ``[N, in_channels, H, W]``, RGB in [0, 1], not clamped; output ``[N, out_channels, H·scale, W·scale]``.
    """

    def __init__(self, config: SRVGGNetCompactConfig | None = None) -> None:
        super().__init__()
        c = self.config = config or SRVGGNetCompactConfig()
        layers: list[nn.Module] = [nn.Conv2d(c.in_channels, c.num_feat, 3, padding=1), _activation(c)]
        for _ in range(c.num_conv):
            layers += [nn.Conv2d(c.num_feat, c.num_feat, 3, padding=1), _activation(c)]
        layers.append(nn.Conv2d(c.num_feat, c.out_channels * c.scale**2, 3, padding=1))
        self.body = nn.ModuleList(layers)

    @property
    def scale(self) -> int:
        """Enlargement factor of both sides."""
        return self.config.scale

    def convolutions(self) -> Iterator[tuple[nn.Conv2d, float | Tensor]]:
        """Each convolution with the slope of its activation; see :func:`negative_slope`."""
        layers = [*self.body, None]
        for conv, activation in zip(layers[::2], layers[1::2], strict=True):
            assert isinstance(conv, nn.Conv2d)
            yield conv, negative_slope(activation)

    def forward(self, x: Tensor) -> Tensor:
        feat = x
        for layer in self.body:
            feat = layer(feat)
        base = F.interpolate(x, scale_factor=float(self.scale), mode="nearest")
        return F.pixel_shuffle(feat, self.scale) + base


def _activation(config: SRVGGNetCompactConfig) -> nn.Module:
    if config.activation == "prelu":
        return nn.PReLU(config.num_feat)
    return nn.ReLU() if config.activation == "relu" else nn.LeakyReLU(0.1)


def negative_slope(activation: nn.Module | None) -> float | Tensor:
    """Factor of negative values: one for all channels, or one for each ``[C]`` (PReLU); 1 where there is no activation.

    Raises:
        TypeError: the network has no such activation.
    """
    match activation:
        case None:
            return 1.0
        case nn.PReLU():
            return activation.weight.detach()
        case nn.LeakyReLU():
            return float(activation.negative_slope)
        case nn.ReLU():
            return 0.0
    raise TypeError(f"SRVGGNetCompact has no activation {type(activation).__name__}")


def _recognise(tensors: State, card: Mapping[str, str]) -> Recognised | None:
    if "body.0.weight" not in tensors or not all(re.fullmatch(r"body\.\d+\.(weight|bias)", key) for key in tensors):
        return None
    weights = {int(m[1]): t for key, t in tensors.items() if (m := re.fullmatch(r"body\.(\d+)\.weight", key))}
    convs = [weights[i] for i in sorted(weights) if weights[i].ndim == 4]
    if len(convs) < 2 or any(t.ndim not in (1, 4) for t in weights.values()):
        return None
    channels = convs[0].shape[1]
    scale = math.isqrt(convs[-1].shape[0] // channels)
    if convs[-1].shape[0] != channels * scale**2 or scale not in (1, 2, 3, 4, 8):
        raise CheckpointError(
            f"an SRVGGNetCompact whose last convolution has {convs[-1].shape[0]} outputs for {channels} channels: "
            "expected channels times the square of the scale"
        )
    prelu = any(t.ndim == 1 for t in weights.values())
    activation = "prelu" if prelu else card.get("activation", card.get("act_type", ""))
    if activation not in ("prelu", "relu", "leakyrelu"):
        raise CheckpointError(
            "an SRVGGNetCompact without PReLU slopes: its tensors do not show whether it uses ReLU or leaky ReLU; "
            "a safetensors file may say so in its metadata, activation=relu or leakyrelu"
        )
    config = SRVGGNetCompactConfig(
        in_channels=channels,
        out_channels=channels,
        num_feat=convs[0].shape[0],
        num_conv=len(convs) - 2,
        scale=scale,
        activation=activation,  # type: ignore[arg-type]  # checked just above
    )
    return Recognised("SRVGGNetCompact", config, "BasicSR", dict(tensors))


def _ncnn_names(layers: Sequence[NcnnLayer], count: int) -> list[str] | None:
    shuffles = any(layer.kind == "PixelShuffle" for layer in layers)
    return [f"body.{i}" for i in range(count)] if shuffles else None


def add_body(made: Graph, network: SRVGGNetCompact, layers: range, x: int) -> int:
    """Add these layers of ``network.body`` to a graph, the first of them after operation ``x``; returns the last."""
    for number in layers:
        layer = network.body[number]
        match layer:
            case nn.Conv2d():
                x = made.add(graph.Convolution(f"body.{number}", layer), x)
            case nn.PReLU():
                x = made.add(graph.PReLU(f"body.{number}", layer), x)
            case _:
                slope = negative_slope(layer)
                assert isinstance(slope, float)
                x = made.add(graph.LeakyReLU(slope), x)
    return x


def _graph(network: SRVGGNetCompact) -> Graph:
    c = network.config
    made = Graph(c.in_channels, c.out_channels)
    x = made.add(graph.Shuffle(c.scale), add_body(made, network, range(len(network.body)), 0))
    made.add(graph.Sum(), x, made.add(graph.Enlarge(c.scale), 0))
    return made


SRVGGNET_COMPACT = Architecture(
    name="SRVGGNetCompact",
    known_as="SRVGGNetCompact",
    network=SRVGGNetCompact,
    build=SRVGGNetCompact,
    recognise=_recognise,
    # The overlap with which tiles give whole frames' own result for 16 convolutions.
    overlap_px=lambda network: 48,
    # One pixel per 3x3 convolution: beyond it nothing changes at all.
    reach_px=lambda network: network.config.num_conv + 2,
    # Two layers at once, or the details before and after they are shuffled, the enlarged input, and the sum.
    bytes_per_pixel=lambda network, scale, itemsize: (
        itemsize * (max(2.0 * network.config.num_feat, 4.0 * network.config.out_channels * scale**2) + 3.0)
    ),
    graph=_graph,
    ncnn_names=_ncnn_names,
)
