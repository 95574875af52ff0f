"""YuNet, a small network that finds faces: their boxes and five landmarks.

Source: Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20, 2023, sections
3 and 4, in the form of the released model of March 2023: a backbone of pointwise and depthwise convolutions, a feature
pyramid of three levels, and at each place of each level the logits of "face" and "object", a box and five points.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidsr.errors import CheckpointError
from vidsr.models import checkpoint, zoo

#: Pixels of the picture between two places of each level, from fine to coarse.
STRIDES = (8, 16, 32)
#: Both sides of the input are multiples of this.
MULTIPLE_PX = 32
#: Landmarks in the order in which the network gives them; left and right are those of the picture.
LANDMARKS = ("left eye", "right eye", "nose", "left corner of the mouth", "right corner of the mouth")
_POINTS = len(LANDMARKS)
#: Channels in and out of the units of the backbone, and of those with a pooling ahead of them.
_UNITS = ((16, 16), (16, 16), (16, 32), (32, 32), (32, 64), (64, 64), (64, 64), (64, 64), (64, 64), (64, 64), (64, 64))
_POOLED = (1, 5, 7, 9)
#: The units of the backbone whose results go into the pyramid.
_LEVELS = (6, 8, 10)
_WIDTH = 64


class Unit(nn.Module):
    """A pointwise and a depthwise convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.point = nn.Conv2d(in_channels, out_channels, 1)
        self.depth = nn.Conv2d(out_channels, out_channels, 3, 1, 1, groups=out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """``[N, in, h, w]`` to ``[N, out, h, w]``, not rectified."""
        made: Tensor = self.depth(self.point(features))
        return made


@dataclass(frozen=True, slots=True)
class Level:
    """What the network says at each place of one level, ``[N, C, h, w]``.

    ``score`` (C = 1, 0 to 1) is the geometric mean of the probabilities of a face and of an object; ``boxes`` (C = 4)
    left, top, width and height and ``points`` (C = 10) x and y of each landmark, in pixels of the input.
    """

    score: Tensor
    boxes: Tensor
    points: Tensor


class YuNet(nn.Module):
    """The network."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, _UNITS[0][0], 3, 2, 1)
        self.backbone = nn.ModuleList(Unit(*channels) for channels in _UNITS)
        self.neck = nn.ModuleList(Unit(_WIDTH, _WIDTH) for _ in STRIDES)  # from coarse to fine
        self.face = nn.ModuleList(Unit(_WIDTH, 1) for _ in STRIDES)
        self.box = nn.ModuleList(Unit(_WIDTH, 4) for _ in STRIDES)
        self.object = nn.ModuleList(Unit(_WIDTH, 1) for _ in STRIDES)
        self.landmarks = nn.ModuleList(Unit(_WIDTH, 2 * _POINTS) for _ in STRIDES)

    def forward(self, pictures: Tensor) -> list[Level]:
        """What is seen at each level, from fine to coarse, of ``pictures`` ``[N, 3, H, W]``: BGR in 0..255, sides
        multiples of :data:`MULTIPLE_PX`."""
        return [self._level(number, features) for number, features in enumerate(self._pyramid(pictures))]

    def _pyramid(self, pictures: Tensor) -> list[Tensor]:
        features = F.relu(self.stem(pictures))
        levels = []
        for number, unit in enumerate(self.backbone):
            if number in _POOLED:
                features = F.max_pool2d(features, 2)
            features = F.relu(unit(features))
            if number in _LEVELS:
                levels.append(features)
        made = [F.relu(self.neck[0](levels[-1]))]
        for unit, finer in zip(list(self.neck)[1:], reversed(levels[:-1]), strict=True):
            made.append(F.relu(unit(finer + F.interpolate(made[-1], scale_factor=2.0, mode="nearest"))))
        return made[::-1]

    def _level(self, number: int, features: Tensor) -> Level:
        stride = STRIDES[number]
        score = (torch.sigmoid(self.face[number](features)) * torch.sigmoid(self.object[number](features))).sqrt()
        box, points = self.box[number](features), self.landmarks[number](features)
        rows = torch.arange(features.shape[-2], device=features.device, dtype=features.dtype)
        columns = torch.arange(features.shape[-1], device=features.device, dtype=features.dtype)
        place = torch.stack(torch.meshgrid(columns, rows, indexing="xy"))[None]
        size = box[:, 2:].exp()
        corner = box[:, :2] + place - size / 2
        return Level(
            score=score,
            boxes=torch.cat((corner, size), 1) * stride,
            points=(points + place.repeat(1, _POINTS, 1, 1)) * stride,
        )

    def convolutions(self) -> Iterator[nn.Conv2d]:
        """All convolutions, in the order in which the released model has them."""
        return (module for module in self.modules() if isinstance(module, nn.Conv2d))


def load() -> YuNet:
    """The network with the weights of :data:`vidsr.models.zoo.FACES_MODEL`, in fp32, in eval mode.

    Raises:
        ModelError: the weights are not on this machine.
        CheckpointError: the file cannot be read or holds other weights; which faces are found depends on these alone.
    """
    entry = zoo.ZOO[zoo.FACES_MODEL]
    path = zoo.resolve(entry.name)
    if checkpoint.digest(path) != entry.sha256:
        raise CheckpointError(f"{path}: these are not the weights of {entry.name}; remove the file")
    tensors, _ = checkpoint.read_tensors(path)
    network = YuNet()
    network.load_state_dict({name: value.float() for name, value in tensors.items()}, strict=True)
    return network.eval().requires_grad_(False)
