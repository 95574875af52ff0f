"""RRDBNet, the generator of ESRGAN, in its plain form: what training uses and every fast form is tested against.

Source: Wang et al., "ESRGAN", arXiv 1809.00219, figures 3 and 4; key names as in BasicSR.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NEGATIVE_SLOPE = 0.2
RESIDUAL_SCALE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class RRDBNetConfig:
    """Hyper-parameters of an :class:`RRDBNet`; recognised from a checkpoint's shapes alone.

    ``folding`` is the factor of the pixel-unshuffle before the first convolution; None takes Real-ESRGAN's
    choice, 4 for x1, 2 for x2 and 1 above. Older x1 and x2 models have 1.
    """

    in_channels: int = 3
    out_channels: int = 3
    num_feat: int = 64
    num_block: int = 23
    num_grow_ch: int = 32
    scale: int = 4
    folding: int | None = None

    @property
    def unshuffle(self) -> int:
        """Factor of the pixel-unshuffle before the first convolution; 1 is none."""
        return {1: 4, 2: 2}.get(self.scale, 1) if self.folding is None else self.folding

    @property
    def upsamplings(self) -> int:
        """Number of nearest ×2 steps in the tail."""
        return (self.scale * self.unshuffle).bit_length() - 1


class ResidualDenseBlock(nn.Module):
    """Five densely connected 3×3 convolutions; the output, times 0.2, is added to the input.

    Input and output: ``[N, num_feat, H, W]``.
    """

    conv5: nn.Conv2d

    def __init__(self, num_feat: int, num_grow_ch: int) -> None:
        super().__init__()
        for i in range(1, 6):
            out = num_feat if i == 5 else num_grow_ch
            setattr(self, f"conv{i}", nn.Conv2d(num_feat + (i - 1) * num_grow_ch, out, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for i in range(1, 5):
            conv = getattr(self, f"conv{i}")
            features.append(F.leaky_relu(conv(torch.cat(features, 1)), NEGATIVE_SLOPE))
        out: Tensor = self.conv5(torch.cat(features, 1)) * RESIDUAL_SCALE + x
        return out


class RRDB(nn.Module):
    """Residual in residual dense block: three dense blocks, their result times 0.2 added to the input."""

    def __init__(self, num_feat: int, num_grow_ch: int) -> None:
        super().__init__()
        self.rdb1 = ResidualDenseBlock(num_feat, num_grow_ch)
        self.rdb2 = ResidualDenseBlock(num_feat, num_grow_ch)
        self.rdb3 = ResidualDenseBlock(num_feat, num_grow_ch)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.rdb3(self.rdb2(self.rdb1(x))) * RESIDUAL_SCALE + x
        return out


class RRDBNet(nn.Module):
    """The ESRGAN generator.

    Input ``[N, in_channels, H, W]``, RGB in [0, 1], not clamped; output ``[N, out_channels, H·scale, W·scale]``.
    Models for scale 1 and 2 first fold 4×4 or 2×2 pixels into channels (pixel-unshuffle, as Real-ESRGAN does),
    so H and W must be multiples of that factor; :meth:`forward` pads by reflection and crops where they are not.
    """

    def __init__(self, config: RRDBNetConfig | None = None) -> None:
        super().__init__()
        c = self.config = config or RRDBNetConfig()
        feat = c.num_feat
        self.conv_first = nn.Conv2d(c.in_channels * c.unshuffle**2, feat, 3, padding=1)
        self.body = nn.Sequential(*(RRDB(feat, c.num_grow_ch) for _ in range(c.num_block)))
        self.conv_body = nn.Conv2d(feat, feat, 3, padding=1)
        for i in range(1, c.upsamplings + 1):
            setattr(self, f"conv_up{i}", nn.Conv2d(feat, feat, 3, padding=1))
        self.conv_hr = nn.Conv2d(feat, feat, 3, padding=1)
        self.conv_last = nn.Conv2d(feat, c.out_channels, 3, padding=1)

    @property
    def scale(self) -> int:
        """Enlargement factor of both sides."""
        return self.config.scale

    def forward(self, x: Tensor) -> Tensor:
        c = self.config
        height, width = x.shape[-2:]
        x = pad_to_multiple(x, c.unshuffle)
        feat = self.conv_first(F.pixel_unshuffle(x, c.unshuffle) if c.unshuffle > 1 else x)
        feat = feat + self.conv_body(self.body(feat))
        for i in range(1, c.upsamplings + 1):
            conv = getattr(self, f"conv_up{i}")
            feat = F.leaky_relu(conv(F.interpolate(feat, scale_factor=2.0, mode="nearest")), NEGATIVE_SLOPE)
        out: Tensor = self.conv_last(F.leaky_relu(self.conv_hr(feat), NEGATIVE_SLOPE))
        return out[..., : height * c.scale, : width * c.scale]


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Pad the right and lower edge of ``[N, C, H, W]`` to multiples of ``multiple``, by reflection.

    Frames too small to reflect are padded by repeating the edge.
    """
    height, width = x.shape[-2:]
    bottom, right = -height % multiple, -width % multiple
    if not bottom and not right:
        return x
    mode = "reflect" if bottom < height and right < width else "replicate"
    return F.pad(x, (0, right, 0, bottom), mode=mode)
