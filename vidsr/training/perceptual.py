"""The perceptual loss: distance of two pictures as VGG sees them, before its activations.

Source: ESRGAN, arXiv 1809.00219, section 3.3: features before activation are denser and preserve brightness, unlike
features after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidsr.errors import CheckpointError
from vidsr.models import checkpoint

_COUNTS = {"VGG16": (2, 2, 3, 3, 3), "VGG19": (2, 2, 4, 4, 4)}
_WIDTHS = (64, 128, 256, 512, 512)


def layer_numbers(counts: tuple[int, ...]) -> dict[str, int]:
    """Index of each convolution in torchvision's ``features``: {"conv1_1": 0, "conv1_2": 2, "conv2_1": 5, …}."""
    numbers, place = {}, 0
    for block, count in enumerate(counts, 1):
        for conv in range(1, count + 1):
            numbers[f"conv{block}_{conv}"] = place
            place += 2
        place += 1
    return numbers


class Perceptual(nn.Module):
    """Σ wᵢ · E \\|φᵢ(x) − φᵢ(y)\\|, where φᵢ is VGG's i-th convolution before its activation.

    ``forward(result, target)`` takes ``[N, 3, H, W]``, RGB in 0..1, and gives a scalar in fp32; ``target`` gets no
    gradient. The weights are frozen.

    Args:
        path: a VGG16 or VGG19 file with torchvision's names (``features.0.weight``, …), safetensors or .pth.
        layers: weight of each layer compared, such as ``{"conv5_4": 1.0}``.

    Raises:
        CheckpointError: the file is not a VGG16 or VGG19, or lacks the requested layers.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, path: Path, layers: Mapping[str, float]) -> None:
        super().__init__()
        tensors, _ = checkpoint.read_tensors(path)
        kind, counts = _recognise(path, tensors)
        numbers = layer_numbers(counts)
        unknown = [name for name in layers if name not in numbers]
        if unknown:
            raise CheckpointError(f"{path}: is {kind}, without {', '.join(unknown)}; its last is conv5_{counts[4]}")
        self.weights = {numbers[name]: weight for name, weight in layers.items() if weight}
        self.convolutions = nn.ModuleDict()
        self._pool_before = {sum(counts[:b]) * 2 + b for b in range(1, 5)}
        channels = 3
        widths = [w for w, count in zip(_WIDTHS, counts, strict=True) for _ in range(count)]
        for place, width in zip(numbers.values(), widths, strict=True):
            if place > max(self.weights, default=-1):
                break
            conv = nn.Conv2d(channels, width, 3, padding=1)
            conv.load_state_dict({k: tensors[f"features.{place}.{k}"].float() for k in ("weight", "bias")})
            self.convolutions[str(place)] = conv
            channels = width
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, result: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.features(target)
        loss = torch.zeros((), device=result.device)
        for place, found in self.features(result).items():
            loss = loss + self.weights[place] * F.l1_loss(found.float(), wanted[place].float())
        return loss

    def features(self, picture: Tensor) -> dict[int, Tensor]:
        """The compared layers' values before activation, by their place in torchvision's ``features``."""
        x = (picture - self.mean) / self.std
        found = {}
        for name, conv in self.convolutions.items():
            place = int(name)
            if place in self._pool_before:
                x = F.max_pool2d(x, 2)
            x = conv(x)
            if place in self.weights:
                found[place] = x
            x = F.relu(x)
        return found


def _recognise(path: Path, tensors: Mapping[str, Tensor]) -> tuple[str, tuple[int, ...]]:
    for kind, counts in _COUNTS.items():
        numbers = layer_numbers(counts).values()
        widths = [w for w, count in zip(_WIDTHS, counts, strict=True) for _ in range(count)]
        shapes = [getattr(tensors.get(f"features.{n}.weight"), "shape", (0,))[0] for n in numbers]
        if shapes == widths and f"features.{max(numbers)}.bias" in tensors:
            return kind, counts
    raise CheckpointError(
        f"{path}: is not a VGG16 or VGG19 with torchvision's names (features.0.weight … without batch norm)"
    )
