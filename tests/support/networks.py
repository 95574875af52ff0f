"""Tiny networks: quick to run, or with a result that is known beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from vidsr.models.architectures.rrdbnet import RRDBNet, RRDBNetConfig
from vidsr.models.architectures.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig


@dataclass
class TinyModel:
    """A loaded model with whatever network a test wants."""

    network: nn.Module
    scale: int
    architecture: str = "RRDBNet"


class Identity(nn.Module):
    """Enlarges by repeating pixels; with scale 1 it changes nothing."""

    def __init__(self, scale: int = 1) -> None:
        super().__init__()
        self.scale = scale
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x if self.scale == 1 else F.interpolate(x, scale_factor=float(self.scale), mode="nearest")


def identity(scale: int = 1) -> TinyModel:
    """A model that repeats pixels."""
    return TinyModel(Identity(scale), scale)


def tiny_rrdbnet(scale: int = 4, seed: int = 0) -> TinyModel:
    """A small random RRDBNet whose output stays near its input's range."""
    torch.manual_seed(seed)
    network = RRDBNet(RRDBNetConfig(num_feat=8, num_block=1, num_grow_ch=4, scale=scale)).eval().requires_grad_(False)
    return TinyModel(network, scale)


def identity_model(folder: Path) -> Path:
    """A real model file whose network, all zeros, gives back its input: nearest-neighbour at scale 1."""
    network = SRVGGNetCompact(SRVGGNetCompactConfig(num_feat=4, num_conv=1, scale=1))
    path = folder / "identity.safetensors"
    save_file({name: torch.zeros_like(t) for name, t in network.state_dict().items()}, str(path))
    return path


def tiny_model_file(folder: Path) -> Path:
    """A real RRDBNet file, x4, with few channels and random weights."""
    torch.manual_seed(7)
    network = RRDBNet(RRDBNetConfig(num_feat=8, num_block=1, num_grow_ch=4))
    path = folder / "tiny-x4.safetensors"
    save_file(network.state_dict(), str(path))
    return path
