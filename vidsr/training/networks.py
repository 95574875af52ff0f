"""The generator that the options describe, its initialisation, and the moving average of its weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vidsr.errors import TrainingError
from vidsr.models.architecture import NetworkT
from vidsr.models.architectures.basicvsr import BasicVSRConfig, ResidualBlock
from vidsr.models.architectures.efdn import EFDNConfig
from vidsr.models.architectures.recurrent_compact import NEW_LAYERS, RecurrentCompact, from_still
from vidsr.models.architectures.rrdbnet import ResidualDenseBlock, RRDBNetConfig
from vidsr.models.architectures.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig
from vidsr.models.known_architectures import ARCHITECTURES
from vidsr.models.zoo import load_model
from vidsr.training.options import GeneratorOptions


def placed(network: NetworkT, device: torch.device, layout: torch.memory_format) -> NetworkT:
    """The network on a device, with its weights in a memory format."""
    return network.to(device).to(memory_format=layout)  # type: ignore[call-overload,no-any-return]


def generator_of(options: GeneratorOptions) -> nn.Module:
    """The network that the options describe: with fresh weights, or those of the model to start from.

    Raises:
        ModelError: there is no such model.
        TrainingError: the model has another structure.
    """
    config = _config(options)
    network: nn.Module = ARCHITECTURES[options.architecture].build(config)
    if not options.start_from:
        initialise(network, options.init_scale)
        return network
    found = load_model(options.start_from)
    source: nn.Module = found.network
    if type(source) is SRVGGNetCompact and isinstance(network, RecurrentCompact):
        source = from_still(source)
    if type(source) is not type(network) or found.config != config:
        raise TrainingError(
            f"{found.path}: is {found.architecture} {found.config}, "
            f"[generator] asks for {options.architecture} {config}"
        )
    network.load_state_dict(source.state_dict())
    return network


def _config(o: GeneratorOptions) -> object:
    match o.architecture:
        case "RRDBNet":
            return RRDBNetConfig(num_feat=o.num_feat, num_block=o.num_block, num_grow_ch=o.num_grow_ch, scale=o.scale)
        case "EFDN":
            return EFDNConfig(num_feat=o.num_feat, num_cells=o.num_block, attention_feat=o.num_grow_ch, scale=o.scale)
        case "BasicVSR":
            return BasicVSRConfig(num_feat=o.num_feat, num_block=o.num_block)
    return SRVGGNetCompactConfig(num_feat=o.num_feat, num_conv=o.num_block, scale=o.scale)


def parameter_groups(network: nn.Module, new_rate: float) -> list[dict[str, object]]:
    """Groups of weights for an optimiser, each with its ``multiple`` of the learning rate.

    The layers that a RecurrentCompact has beyond SRVGGNetCompact begin at zero and may learn faster than the others.
    """
    new = [p for name, p in network.named_parameters() if name.split(".")[0] in NEW_LAYERS]
    if not isinstance(network, RecurrentCompact) or new_rate == 1:
        return [{"params": list(network.parameters()), "multiple": 1.0}]
    old = [p for name, p in network.named_parameters() if name.split(".")[0] not in NEW_LAYERS]
    return [{"params": old, "multiple": 1.0}, {"params": new, "multiple": new_rate}]


def initialise(network: nn.Module, scale: float = 0.1, generator: torch.Generator | None = None) -> None:
    """Kaiming (MSRA) normal weights and zero biases in all convolutions; those of dense and residual blocks times
    ``scale``. The layers that make a compact network recurrent stay as they are.

    Small initial residuals keep a deep network without batch norm stable (ESRGAN, section 3.1 and supplement).
    The paper scales every layer; as in the published training code, only the dense blocks are scaled here: with
    all layers at a tenth, the signal of the plain tail vanishes and the first hundreds of steps are lost.
    """
    dense = {
        id(conv)
        for block in network.modules()
        if isinstance(block, ResidualDenseBlock | ResidualBlock)
        for conv in block.modules()
        if isinstance(conv, nn.Conv2d)
    }
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and name not in NEW_LAYERS:
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
