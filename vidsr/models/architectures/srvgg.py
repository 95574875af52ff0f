"""SRVGGNetCompact, the small plain network of Real-ESRGAN's video models.

Source: Real-ESRGAN (arXiv 2107.10833) and its released realesr-animevideov3 and realesr-general-x4v3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F


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
        TypeError: it is none of the network's activations.
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
    raise TypeError(f"{type(activation).__name__} is no activation of SRVGGNetCompact")
