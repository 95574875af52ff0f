"""LPIPS, the learned perceptual distance, on AlexNet or VGG16 features.

Source: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018, version
0.1 of its weights. The networks are written out here, so torchvision is not needed.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from vidsr.errors import CheckpointError
from vidsr.models import checkpoint, zoo

Backbone = Literal["alex", "vgg16"]

# torchvision's numbering of `features`: (out, kernel, stride, padding) for a convolution, "relu", and
# (kernel, stride) for a max-pooling. Features are taken after the ReLUs listed in _TAPS.
_ALEX: tuple[object, ...] = (
    (64, 11, 4, 2), "relu", (3, 2), (192, 5, 1, 2), "relu", (3, 2),
    (384, 3, 1, 1), "relu", (256, 3, 1, 1), "relu", (256, 3, 1, 1), "relu",
)  # fmt: skip
_VGG16: tuple[object, ...] = tuple(
    item
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
    for item in (*(part for _ in range(count) for part in ((width, 3, 1, 1), "relu")), (2, 2))
)
_NETS: dict[Backbone, tuple[object, ...]] = {"alex": _ALEX, "vgg16": _VGG16}
_TAPS: dict[Backbone, tuple[int, ...]] = {"alex": (1, 4, 7, 9, 11), "vgg16": (3, 8, 15, 22, 29)}
_MEAN, _STD = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class Lpips(nn.Module):
    """``Lpips("alex")(a, b)`` is the distance ``[N]`` of pictures ``[N, 3, H, W]``, RGB in 0..1; 0 where equal.

    Weights come from the zoo's ``lpips-alex`` or ``lpips-vgg16``, wherever they lie on this machine. The
    distance is differentiable, so that it serves as a training loss too; its own weights are frozen.

    Raises:
        ModelError: the weights are not on this machine; the message says how to fetch them.
        CheckpointError: the file is not LPIPS weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone = "alex") -> None:
        super().__init__()
        path = zoo.resolve(f"lpips-{backbone}")
        try:
            tensors, _ = checkpoint.read_tensors(path)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from error
        self._taps = _TAPS[backbone]
        self.features = _network(_NETS[backbone])
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1))
        wanted = {f"features.{k}": v for k, v in self.features.state_dict().items()}
        heads = {f"lin{i}.model.1.weight" for i in range(len(self._taps))}
        missing = sorted((wanted.keys() | heads) - tensors.keys())
        if missing:
            raise CheckpointError(f"{path}: no LPIPS weights for {backbone}: {missing[0]} is missing")
        self.features.load_state_dict({k: tensors[f"features.{k}"].float() for k in self.features.state_dict()})
        for i in range(len(self._taps)):
            self.register_buffer(f"head{i}", tensors[f"lin{i}.model.1.weight"].float())
        self.eval().requires_grad_(False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        total = torch.zeros(a.shape[0], device=a.device)
        pairs = zip(self._activations(a), self._activations(b), strict=True)
        for i, (of_a, of_b) in enumerate(pairs):
            squared = (_unit(of_a) - _unit(of_b)) ** 2
            total = total + nn.functional.conv2d(squared, getattr(self, f"head{i}")).mean((1, 2, 3))
        return total

    def _activations(self, picture: Tensor) -> list[Tensor]:
        x = (picture * 2 - 1 - self.mean) / self.std
        taken = []
        for number, layer in enumerate(self.features):
            x = layer(x)
            if number in self._taps:
                taken.append(x)
            if number == self._taps[-1]:
                break
        return taken


def _unit(features: Tensor) -> Tensor:
    """Features of unit length across channels; the small constant is the one of the published code."""
    return features / (features.square().sum(1, keepdim=True).sqrt() + 1e-10)


def _network(plan: tuple[object, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for item in plan:
        match item:
            case (int(out), int(kernel), int(stride), int(padding)):
                layers.append(nn.Conv2d(channels, out, kernel, stride, padding))
                channels = out
            case (int(kernel), int(stride)):
                layers.append(nn.MaxPool2d(kernel, stride))
            case _:
                layers.append(nn.ReLU())
    return nn.Sequential(*layers)
