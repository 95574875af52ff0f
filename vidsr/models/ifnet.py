"""IFNet, the network of RIFE: flows from the moment of a new frame into the two frames around it, and how to mix these.

Source: Huang et al., "Real-Time Intermediate Flow Estimation for Video Frame Interpolation", ECCV 2022, section 3.2 and
figure 4, in the form of the released model 4.0: four stages from coarse to fine, PReLU, any moment between the frames
as an input plane, and no refinement after the flows.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidsr.errors import CheckpointError
from vidsr.models import checkpoint, zoo

#: Channels of each stage, and by how much its picture is reduced.
_STAGES = ((192, 8), (128, 4), (96, 2), (64, 1))
#: Flows of both directions and the mask.
_OUT = 5
#: Convolutions between the two that reduce a stage's picture and the one that enlarges its result.
_DEPTH = 8
#: Both sides of the input are multiples of this: the coarsest stage and its two strided convolutions.
MULTIPLE_PX = 32


class Stage(nn.Module):
    """One stage: what is known at a scale becomes a correction of the flows and of the mask."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.down = nn.Sequential(*_activated(in_channels, channels // 2, 2), *_activated(channels // 2, channels, 2))
        self.body = nn.Sequential(*(layer for _ in range(_DEPTH) for layer in _activated(channels, channels, 1)))
        self.up = nn.ConvTranspose2d(channels, _OUT, 4, 2, 1)

    def forward(self, known: Tensor, flows: Tensor | None, scale: int) -> Tensor:
        """``known`` ``[N, C, H, W]`` and ``flows`` ``[N, 4, H, W]`` in pixels to corrections ``[N, 5, H, W]``."""
        size = known.shape[-2:]
        small = _resized(known, (size[0] // scale, size[1] // scale))
        if flows is not None:
            small = torch.cat((small, _resized(flows, (size[0] // scale, size[1] // scale)) / scale), 1)
        features = self.down(small)
        out = _resized(self.up(self.body(features) + features), (size[0], size[1]))
        return torch.cat((out[:, :4] * (2 * scale), out[:, 4:]), 1)


def _activated(in_channels: int, channels: int, stride: int) -> Iterator[nn.Module]:
    yield nn.Conv2d(in_channels, channels, 3, stride, 1)
    yield nn.PReLU(channels)


def _resized(picture: Tensor, size: tuple[int, int]) -> Tensor:
    if picture.shape[-2:] == size:
        return picture
    return F.interpolate(picture, size=size, mode="bilinear", align_corners=False)


class IFNet(nn.Module):
    """The network."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(Stage(7 if n == 0 else 12, channels) for n, (channels, _) in enumerate(_STAGES))

    def forward(self, before: Tensor, after: Tensor, share: float) -> tuple[Tensor, Tensor]:
        """Flows and mask of the moment ``share`` of the way between two pictures.

        Args:
            before, after: ``[N, 3, H, W]``, RGB in 0..1, sides multiples of :data:`MULTIPLE_PX`.
            share: 0 to 1.

        Returns:
            ``[N, 4, H, W]``: x and y in pixels of each pixel's place in ``before``, then in ``after``, as it moves; and
            ``[N, 1, H, W]``, 0 to 1: the weight of ``before``.
        """
        moment = torch.full_like(before[:, :1], share)
        known = torch.cat((before, after, moment), 1)
        flows = mask = None
        for stage, (_, scale) in zip(self.stages, _STAGES, strict=True):
            change = stage(known, flows, scale)
            flows = change[:, :4] if flows is None else flows + change[:, :4]
            mask = change[:, 4:] if mask is None else mask + change[:, 4:]
            warped = _moved(before, flows[:, :2]), _moved(after, flows[:, 2:])
            known = torch.cat((*warped, moment, mask), 1)
        assert flows is not None and mask is not None
        return flows, torch.sigmoid(mask)


def _moved(picture: Tensor, flow: Tensor) -> Tensor:
    """``picture`` sampled bilinearly at each pixel's place plus ``flow``; places outside repeat the border."""
    height, width = picture.shape[-2:]
    x = torch.arange(width, device=flow.device, dtype=flow.dtype).view(1, 1, width) + flow[:, 0]
    y = torch.arange(height, device=flow.device, dtype=flow.dtype).view(1, height, 1) + flow[:, 1]
    grid = torch.stack((x * (2 / max(width - 1, 1)) - 1, y * (2 / max(height - 1, 1)) - 1), -1)
    return F.grid_sample(picture, grid.to(picture.dtype), mode="bilinear", padding_mode="border", align_corners=True)


def load() -> IFNet:
    """The network with the weights of :data:`vidsr.models.zoo.BETWEEN_MODEL`, in fp32, in eval mode.

    Raises:
        ModelError: the weights are not on this machine.
        CheckpointError: the file cannot be read or holds other weights; what is made depends on these alone.
    """
    entry = zoo.ZOO[zoo.BETWEEN_MODEL]
    path = zoo.resolve(entry.name)
    if checkpoint.digest(path) != entry.sha256:
        raise CheckpointError(f"{path}: these are not the weights of {entry.name}; remove the file")
    tensors, _ = checkpoint.read_tensors(path)
    network = IFNet()
    network.load_state_dict({name: value.float() for name, value in tensors.items()}, strict=True)
    return network.eval().requires_grad_(False)
