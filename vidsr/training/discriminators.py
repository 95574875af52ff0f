"""The discriminators: ESRGAN's VGG-style one for 128 px, Real-ESRGAN's U-Net for any size, and one of clips."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from vidsr.errors import TrainingError
from vidsr.filters.flow import luma, optical_flow, resize_flow, warp
from vidsr.training.distributed import SharedBatchNorm

SLOPE = 0.2


class Vgg128(nn.Module):
    """``[N, 3, 128, 128]`` to one logit each, ``[N, 1]``.

    Pairs of a 3×3 and a 4×4 stride-2 convolution, 64 to 512 channels over five halvings, batch norm after every
    convolution but the first, then two linear layers. Source: ESRGAN, arXiv 1809.00219 (from SRGAN's).
    """

    def __init__(self, feat: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for number, width in enumerate((feat, feat * 2, feat * 4, feat * 8, feat * 8)):
            first = number == 0
            layers.append(nn.Conv2d(channels, width, 3, padding=1, bias=first))
            layers += [] if first else [SharedBatchNorm(width)]
            layers += [nn.LeakyReLU(SLOPE)]
            layers += [nn.Conv2d(width, width, 4, stride=2, padding=1, bias=False), SharedBatchNorm(width)]
            layers += [nn.LeakyReLU(SLOPE)]
            channels = width
        self.features = nn.Sequential(*layers)
        self.linear1 = nn.Linear(channels * 4 * 4, 100)
        self.linear2 = nn.Linear(100, 1)

    def forward(self, picture: Tensor) -> Tensor:
        if picture.shape[-2:] != (128, 128):
            raise TrainingError(f"the vgg128 discriminator takes 128x128 px, got {tuple(picture.shape[-2:])}")
        flat = self.features(picture).flatten(1)
        out: Tensor = self.linear2(F.leaky_relu(self.linear1(flat), SLOPE))
        return out


class UNet(nn.Module):
    """``[N, channels, H, W]`` to a map of logits ``[N, 1, H, W]``; H and W multiples of 8.

    Three halvings and three bilinear doublings with additive skips, spectral norm on all but the first and the
    last convolution. Source: Real-ESRGAN, arXiv 2107.10833, section 3.3; spectral norm: arXiv 1802.05957.
    """

    def __init__(self, feat: int = 64, channels: int = 3) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(channels, feat, 3, padding=1)
        self.down = nn.ModuleList(
            spectral_norm(nn.Conv2d(feat << i, feat << (i + 1), 4, stride=2, padding=1, bias=False)) for i in range(3)
        )
        self.up = nn.ModuleList(
            spectral_norm(nn.Conv2d(feat << (i + 1), feat << i, 3, padding=1, bias=False)) for i in (2, 1, 0)
        )
        self.last = nn.ModuleList(spectral_norm(nn.Conv2d(feat, feat, 3, padding=1, bias=False)) for _ in range(2))
        self.out = nn.Conv2d(feat, 1, 3, padding=1)

    def forward(self, picture: Tensor) -> Tensor:
        x = F.leaky_relu(self.conv0(picture), SLOPE)
        skips = []
        for down in self.down:
            skips.append(x)
            x = F.leaky_relu(down(x), SLOPE)
        for up in self.up:
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = F.leaky_relu(up(x), SLOPE) + skips.pop()
        for conv in self.last:
            x = F.leaky_relu(conv(x), SLOPE)
        out: Tensor = self.out(x)
        return out


class Triplets(nn.Module):
    """Clips ``[N, T, 3, H, W]`` and what they were made from ``[N, T, 3, h, w]`` to maps of logits ``[N·(T − 2), 1, H,
    W]``.

    Three frames in a row are judged together, by what makes time visible: as they are; with the outer two carried to
    the middle one's place along the motion of the low-resolution frames, where what is steady lies on top of itself;
    and beside those low-resolution frames, enlarged. T is at least 3; H and W are multiples of 8.

    Source: TecoGAN (Chu et al., ACM TOG 39(4), 2020), section 4.1 and figure 3, whose network of strided convolutions
    is replaced by the U-Net here, which judges each pixel.
    """

    def __init__(self, feat: int = 64) -> None:
        super().__init__()
        self.critic = UNet(feat, channels=27)

    def forward(self, clip: Tensor, low: Tensor) -> Tensor:
        before, now, after = (frames.flatten(0, 1) for frames in (clip[:, :-2], clip[:, 1:-1], clip[:, 2:]))
        triplet = [low[:, i : low.shape[1] - 2 + i].flatten(0, 1) for i in range(3)]
        size = (clip.shape[-2], clip.shape[-1])
        carried = [
            warp(frames.float(), _enlarged_motion(triplet[1], triplet[place], size)).to(clip.dtype)
            for frames, place in ((before, 0), (after, 2))
        ]
        seen = F.interpolate(torch.cat(triplet, 1), size=size, mode="bicubic", align_corners=False).to(clip.dtype)
        logits: Tensor = self.critic(torch.cat((before, now, after, carried[0], now, carried[1], seen), 1))
        return logits


@torch.no_grad()
def _enlarged_motion(now: Tensor, other: Tensor, size: tuple[int, int]) -> Tensor:
    return resize_flow(optical_flow(luma(now.float()), luma(other.float())), size, "bicubic")


#: name → class; all but "triplets" judge single pictures.
DISCRIMINATORS: dict[str, type[Vgg128 | UNet | Triplets]] = {"vgg128": Vgg128, "unet": UNet, "triplets": Triplets}
