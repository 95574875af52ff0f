"""Losses on features of VGG16: LPIPS, and structure and texture as in DISTS. Both read the zoo's ``lpips-vgg16``.

Pictures are ``[N, 3, H, W]``, RGB in 0..1, of at least 32 pixels a side; losses are scalars in fp32.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidsr.quality.lpips import Lpips

#: Added to numerators and denominators of both similarities, as published.
STABLE = 1e-6


class LearnedDistance(nn.Module):
    """L = E LPIPS(x, y) on VGG16: the weighted squared distance of unit-length features; see ``vidsr.quality.lpips``.

    Source: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018, equation
    1. Train with VGG16, measure with AlexNet: a network can please the features that it is trained on alone.

    Raises:
        ModelError: the weights are not on this machine.
        CheckpointError: the file is not LPIPS weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self._distance = Lpips("vgg16")

    def forward(self, result: Tensor, target: Tensor) -> Tensor:
        distance: Tensor = self._distance(result.float(), target.float()).mean()
        return distance


class StructureAndTexture(nn.Module):
    """L = 1 − mean over layers and channels of ½ (l + s).

    With means μ, variances σ² and the covariance over a channel's pixels, l = (2 μx μy + c) / (μx² + μy² + c) compares
    textures and s = (2 σxy + c) / (σx² + σy² + c) structures; c = 1e-6. The layers are the picture itself and relu1_2 …
    relu5_3 of VGG16.

    Source: Ding et al., "Image Quality Assessment: Unifying Structure and Texture Similarity" (DISTS), IEEE TPAMI 2020,
    equations 2 to 6. "Like" it and not it: DISTS learned a weight for every channel, which are not at hand, so all
    channels of a layer, and all layers, count the same. As theirs, the network pools by ℓ2 norms, between convolutions
    that were trained with max pooling.

    Raises:
        ModelError: the weights are not on this machine.
        CheckpointError: the file is not LPIPS weights.
    """

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self._vgg = Lpips("vgg16")
        line = torch.tensor([0.25, 0.5, 0.25])  # a Hann window of five values, without its zeros
        self.register_buffer("window", (line[:, None] * line).view(1, 1, 3, 3))

    def forward(self, result: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self._layers(target.float())
        similar = [_similarity(a, b) for a, b in zip(self._layers(result.float()), wanted, strict=True)]
        return 1 - torch.stack(similar).mean()

    def _layers(self, picture: Tensor) -> list[Tensor]:
        taken, x = [picture], (picture * 2 - 1 - self._vgg.mean) / self._vgg.std
        for layer in self._vgg.features:
            if isinstance(layer, nn.MaxPool2d):
                taken.append(x)
                x = self._pooled(x)
            else:
                x = layer(x)
        return taken

    def _pooled(self, x: Tensor) -> Tensor:
        kernel = self.window.expand(x.shape[1], -1, -1, -1)
        return (F.conv2d(x.square(), kernel, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()


def _similarity(x: Tensor, y: Tensor) -> Tensor:
    mean_x, mean_y = x.mean((2, 3), keepdim=True), y.mean((2, 3), keepdim=True)
    x, y = x - mean_x, y - mean_y
    shared = 2 * (x * y).mean((2, 3)) + STABLE
    structure = shared / (x.square().mean((2, 3)) + y.square().mean((2, 3)) + STABLE)
    texture = (2 * mean_x * mean_y + STABLE) / (mean_x.square() + mean_y.square() + STABLE)
    return (texture.mean() + structure.mean()) / 2
