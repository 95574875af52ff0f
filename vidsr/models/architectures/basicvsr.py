"""BasicVSR, a recurrent network that sees all frames of a scene: features run through the scene in both directions.

Source: Chan et al., "BasicVSR: The Search for Essential Components in Video Super-Resolution and Beyond", CVPR 2021,
section 3 and figure 2; key names as in the released weights. The motion between frames is an input here, so that any
optical flow can serve: the authors' SpyNet is not part of this module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidsr.errors import CheckpointError
from vidsr.models.architecture import Architecture, Recognised, State, required

NEGATIVE_SLOPE = 0.1
#: Enlargement factor of both sides; the two pixel shuffles of the tail fix it.
SCALE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicVSRConfig:
    """Hyper-parameters of a :class:`BasicVSR`; recognised from a checkpoint's shapes alone."""

    num_feat: int = 64
    num_block: int = 30

    @property
    def in_channels(self) -> int:
        """Channels of the input: always 3."""
        return 3

    @property
    def out_channels(self) -> int:
        """Channels of the output: always 3."""
        return 3

    @property
    def scale(self) -> int:
        """Enlargement factor of both sides: always 4."""
        return SCALE


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with a ReLU between them, added to the input. ``[N, num_feat, H, W]`` in and out."""

    def __init__(self, num_feat: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(num_feat, num_feat, 3, padding=1)
        self.conv2 = nn.Conv2d(num_feat, num_feat, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv2(F.relu(self.conv1(x)))
        return out


class Trunk(nn.Module):
    """One direction's propagation: a frame and the features carried to it become the frame's features."""

    def __init__(self, config: BasicVSRConfig) -> None:
        super().__init__()
        first = nn.Conv2d(3 + config.num_feat, config.num_feat, 3, padding=1)
        blocks = nn.Sequential(*(ResidualBlock(config.num_feat) for _ in range(config.num_block)))
        self.main = nn.Sequential(first, nn.LeakyReLU(NEGATIVE_SLOPE), blocks)

    def forward(self, picture: Tensor, carried: Tensor) -> Tensor:
        """``picture`` ``[N, 3, h, w]`` and ``carried`` ``[N, num_feat, h, w]`` to ``[N, num_feat, h, w]``."""
        out: Tensor = self.main(torch.cat((picture, carried), 1))
        return out


class BasicVSR(nn.Module):
    """The network in its plain form.

    :meth:`forward` takes whole sequences. Callers that keep their own state step through a sequence with
    ``backward_trunk`` and ``forward_trunk``, :func:`carried` and :meth:`enlarge`.
    """

    def __init__(self, config: BasicVSRConfig | None = None) -> None:
        super().__init__()
        c = self.config = config or BasicVSRConfig()
        self.backward_trunk = Trunk(c)
        self.forward_trunk = Trunk(c)
        self.fusion = nn.Conv2d(2 * c.num_feat, c.num_feat, 1)
        self.upconv1 = nn.Conv2d(c.num_feat, 4 * c.num_feat, 3, padding=1)
        self.upconv2 = nn.Conv2d(c.num_feat, 4 * c.num_feat, 3, padding=1)
        self.conv_hr = nn.Conv2d(c.num_feat, c.num_feat, 3, padding=1)
        self.conv_last = nn.Conv2d(c.num_feat, 3, 3, padding=1)

    @property
    def scale(self) -> int:
        """Enlargement factor of both sides."""
        return SCALE

    def no_features(self, picture: Tensor) -> Tensor:
        """The features that a frame ``[N, 3, h, w]`` without a neighbour starts with: zeros ``[N, num_feat, h, w]``."""
        return picture.new_zeros(len(picture), self.config.num_feat, *picture.shape[-2:])

    def enlarge(self, picture: Tensor, backward: Tensor, forward: Tensor) -> Tensor:
        """The result ``[N, 3, 4h, 4w]`` of a frame ``[N, 3, h, w]`` and its features in both directions."""
        feat = _activated(self.fusion(torch.cat((backward, forward), 1)))
        feat = _activated(F.pixel_shuffle(self.upconv1(feat), 2))
        feat = _activated(F.pixel_shuffle(self.upconv2(feat), 2))
        out: Tensor = self.conv_last(_activated(self.conv_hr(feat)))
        return out + base(picture)

    def forward(
        self,
        pictures: Tensor,
        to_next: Sequence[Tensor | None] | None = None,
        to_last: Sequence[Tensor | None] | None = None,
    ) -> Tensor:
        """Enlarge sequences ``[N, T, 3, h, w]``, RGB in [0, 1], to ``[N, T, 3, 4h, 4w]``, not clamped.

        Args:
            pictures: the frames in order.
            to_next: T - 1 motions ``[N, 2, h, w]`` in pixels (x, y): where each pixel of frame t is in frame t + 1.
                An entry is None at a cut; without the argument nothing moves.
            to_last: T - 1 motions: where each pixel of frame t + 1 was in frame t; otherwise like ``to_next``.
        """
        frames = pictures.unbind(1)
        still = [pictures.new_zeros(len(pictures), 2, *pictures.shape[-2:])] * (len(frames) - 1)
        to_next, to_last = still if to_next is None else to_next, still if to_last is None else to_last
        backward: list[Tensor] = []
        for t in reversed(range(len(frames))):
            motion = to_next[t] if t + 1 < len(frames) else None
            features = self.no_features(frames[t]) if motion is None else carried(backward[-1], motion)
            backward.append(self.backward_trunk(frames[t], features))
        backward.reverse()
        results, features = [], self.no_features(frames[0])
        for t, picture in enumerate(frames):
            motion = to_last[t - 1] if t > 0 else None
            features = self.no_features(picture) if motion is None else carried(features, motion)
            features = self.forward_trunk(picture, features)
            results.append(self.enlarge(picture, backward[t], features))
        return torch.stack(results, 1)


def carried(features: Tensor, motion: Tensor) -> Tensor:
    """Features ``[N, C, h, w]`` sampled at each pixel's position plus ``motion`` ``[N, 2, h, w]``; zero outside."""
    height, width = features.shape[-2:]
    motion = motion.to(features.dtype)
    x = torch.arange(width, device=motion.device, dtype=motion.dtype).view(1, 1, width) + motion[:, 0]
    y = torch.arange(height, device=motion.device, dtype=motion.dtype).view(1, height, 1) + motion[:, 1]
    grid = torch.stack((x * (2 / max(width - 1, 1)) - 1, y * (2 / max(height - 1, 1)) - 1), -1)
    return F.grid_sample(features, grid, mode="bilinear", padding_mode="zeros", align_corners=True)


def base(picture: Tensor) -> Tensor:
    """The bilinear enlargement that the network's result is added to: ``[N, 3, h, w]`` to ``[N, 3, 4h, 4w]``."""
    return F.interpolate(picture, scale_factor=float(SCALE), mode="bilinear", align_corners=False)


def _activated(x: Tensor) -> Tensor:
    return F.leaky_relu(x, NEGATIVE_SLOPE)


def _recognise(tensors: State, card: Mapping[str, str]) -> Recognised | None:
    if "backward_trunk.main.0.weight" not in tensors:
        return None
    first = required(tensors, "backward_trunk.main.0.weight")
    numbers = [int(m[1]) for key in tensors if (m := re.match(r"backward_trunk\.main\.2\.(\d+)\.", key))]
    if first.ndim != 4 or first.shape[1] != first.shape[0] + 3 or not numbers:
        raise CheckpointError(
            f"a BasicVSR whose first convolution is {tuple(first.shape)}, with {len(numbers)} tensors in blocks: "
            "expected three input channels more than outputs, and residual blocks"
        )
    if required(tensors, "upconv1.weight").shape[0] != 4 * first.shape[0]:
        raise CheckpointError("a BasicVSR whose tail does not enlarge by 2 twice: only x4 is supported")
    config = BasicVSRConfig(num_feat=first.shape[0], num_block=max(numbers) + 1)
    # The authors' optical flow is left out: vidsr has its own.
    state = {key: tensor for key, tensor in tensors.items() if not key.startswith("spynet.")}
    return Recognised("BasicVSR", config, "BasicSR", state)


BASICVSR = Architecture(
    name="BasicVSR",
    known_as="BasicVSR (x4)",
    network=BasicVSR,
    build=BasicVSR,
    recognise=_recognise,
    # Its windows are whole frames; what a tile would need: one pixel per 3x3 convolution of a trunk and of the tail.
    overlap_px=lambda network: 2 * network.config.num_block + 4,
    reach_px=lambda network: 2 * network.config.num_block + 4,
    recurrent=True,
)
