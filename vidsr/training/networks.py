"""Initialisation of the generator, and the moving average of its weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vidsr.models.architecture import NetworkT
from vidsr.models.architectures.rrdbnet import ResidualDenseBlock


def placed(network: NetworkT, device: torch.device, layout: torch.memory_format) -> NetworkT:
    """The network on a device, with its weights in a memory format."""
    return network.to(device).to(memory_format=layout)  # type: ignore[call-overload,no-any-return]


def initialise(network: nn.Module, scale: float = 0.1, generator: torch.Generator | None = None) -> None:
    """Kaiming (MSRA) normal weights and zero biases in all convolutions; those of dense blocks times ``scale``.

    Small initial residuals keep a deep network without batch norm stable (ESRGAN, section 3.1 and supplement).
    The paper scales every layer; as in the published training code, only the dense blocks are scaled here: with
    all layers at a tenth, the signal of the plain tail vanishes and the first hundreds of steps are lost.
    """
    dense = {
        id(conv)
        for block in network.modules()
        if isinstance(block, ResidualDenseBlock)
        for conv in block.modules()
        if isinstance(conv, nn.Conv2d)
    }
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=0, mode="fan_in", generator=generator)
            if id(module) in dense:
                with torch.no_grad():
                    module.weight *= scale
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class Average:
    """Exponential moving average of a network's weights: a ← d·a + (1 − d)·w after each step.

    The decay starts lower, as min(d, (1 + t) / (10 + t)), so that the first weights lose their influence quickly.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights: dict[str, Tensor] = {k: v.detach().clone() for k, v in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Add the weights after step number ``step``, counted from 0."""
        keep = min(self.decay, (1 + step) / (10 + step)) if self.decay else 0.0
        for name, value in network.state_dict().items():
            self.weights[name].lerp_(value, 1 - keep)
