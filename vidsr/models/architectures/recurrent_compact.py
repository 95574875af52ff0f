"""SRVGGNetCompact that also sees its own last result, carried along the motion.

Source: the recurrence is that of FRVSR (Sajjadi et al., "Frame-Recurrent Video Super-Resolution", CVPR 2018, section 3)
and TecoGAN (Chu et al., ACM TOG 2020): the last result, warped to the current frame and folded to the source's size,
joins the input of the first layer. Two things differ. What joins is the difference between the carried result and the
enlarged frame, times the trust in the motion, so that zeros mean that nothing is known. And a gate, one value per
result pixel from the last features, passes the carried result straight to the output, as temporal filters do; without
it, what is seen would have to come through all layers. The weights of both begin at zero: untrained, the network is the
SRVGGNetCompact that it was made from, bit for bit.

The motion is not part of the network; ``vidsr.filters.after.last_result`` carries results along vidsr's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidsr.errors import CheckpointError
from vidsr.models import graph
from vidsr.models.architecture import Architecture, Recognised, State
from vidsr.models.architectures.srvgg import (
    SRVGGNET_COMPACT,
    SRVGGNetCompact,
    SRVGGNetCompactConfig,
    add_body,
)
from vidsr.models.graph import Graph

#: The tensors that SRVGGNetCompact lacks.
NEW_LAYERS = ("carry", "gate")


class RecurrentCompact(SRVGGNetCompact):
    """See the module.

    Input ``[N, 3, H, W]``, RGB in [0, 1]: a frame before which nothing is known; or ``[N, 3 + state, H, W]``: a frame
    and, as :func:`folded` makes it, what is known from before. Output ``[N, 3, H·scale, W·scale]``, not clamped.
    """

    def __init__(self, config: SRVGGNetCompactConfig | None = None) -> None:
        super().__init__(config)
        c = self.config
        self.carry = nn.Conv2d(c.out_channels * c.scale**2, c.num_feat, 3, padding=1, bias=False)
        self.gate = nn.Conv2d(c.num_feat, c.scale**2, 3, padding=1)
        for weights in (self.carry.weight, self.gate.weight, self.gate.bias):
            assert weights is not None
            nn.init.zeros_(weights)

    @property
    def state_channels(self) -> int:
        """Channels of the input after the frame's own: the folded difference, and the trust."""
        return self.config.out_channels * self.config.scale**2 + 1

    def forward(self, x: Tensor) -> Tensor:
        c = self.config
        feat = self.body[0](x[:, : c.in_channels])
        known = x.shape[1] > c.in_channels
        if known:
            feat = feat + self.carry(x[:, c.in_channels : -1])
        for layer in islice(self.body, 1, len(self.body) - 1):
            feat = layer(feat)
        return self.blended(x, self.body[-1](feat), self.gate(feat) if known else None)

    def blended(self, x: Tensor, details: Tensor, gate: Tensor | None) -> Tensor:
        """The result, from the values of the last two layers; ``gate`` is None where nothing is known."""
        c = self.config
        if gate is not None:
            difference, trust = x[:, c.in_channels : -1], x[:, -1:]
            gates = torch.tanh(gate).repeat(1, c.out_channels, 1, 1)
            details = details + gates * (difference - trust * details)
        base = F.interpolate(x[:, : c.in_channels], scale_factor=float(self.scale), mode="nearest")
        return F.pixel_shuffle(details, self.scale) + base


def folded(picture: Tensor, carried: Tensor, trust: Tensor) -> Tensor:
    """What :class:`RecurrentCompact` takes: a frame and what is known from before, ``[N, C + C·s² + 1, h, w]``.

    Args:
        picture: the frame ``[N, C, h, w]``.
        carried: the last result, sampled where each pixel was, ``[N, C, h·s, w·s]``.
        trust: how far that holds, ``[N, 1, h, w]`` in 0..1; 0 at occlusions and cuts.
    """
    scale = carried.shape[-1] // picture.shape[-1]
    difference = F.pixel_unshuffle(carried, scale) - picture.repeat_interleave(scale**2, 1)
    return torch.cat((picture, trust * difference, trust), 1)


def from_still(network: SRVGGNetCompact) -> RecurrentCompact:
    """A recurrent network that computes exactly what ``network`` does until it is trained."""
    made = RecurrentCompact(network.config)
    made.load_state_dict({**made.state_dict(), **network.state_dict()})
    return made


def _recognise(tensors: State, card: Mapping[str, str]) -> Recognised | None:
    new = {key for key in tensors if re.match(r"(carry|gate)\.", key)}
    if not new or "body.0.weight" not in tensors:
        return None
    still = SRVGGNET_COMPACT.recognise({key: value for key, value in tensors.items() if key not in new}, card)
    if still is None or new != {"carry.weight", "gate.weight", "gate.bias"}:
        raise CheckpointError(
            "a RecurrentCompact with missing or unknown tensors: expected those of an SRVGGNetCompact, carry.weight, "
            f"gate.weight and gate.bias; it has {', '.join(sorted(new))}"
        )
    return Recognised("RecurrentCompact", still.config, "vidsr", dict(tensors))


def _graph(network: RecurrentCompact) -> Graph:
    """The state is an input beside the frame: "carried", the last result carried along the motion, and "trust"."""
    c = network.config
    made, last = Graph(c.in_channels, c.out_channels), len(network.body) - 1
    carried = made.add(graph.StateInput("carried", c.out_channels, c.scale))
    trust = made.add(graph.Enlarge(c.scale), made.add(graph.StateInput("trust", 1, 1)))
    base = made.add(graph.Enlarge(c.scale), 0)
    difference = made.add(graph.Multiply(), made.add(graph.Sum((1.0, -1.0)), carried, base), trust)
    old = add_body(made, network, range(1), 0)
    new = made.add(graph.Convolution("carry", network.carry), made.add(graph.Unshuffle(c.scale), difference))
    x = add_body(made, network, range(1, last), made.add(graph.Sum(), old, new))
    details = made.add(graph.Shuffle(c.scale), add_body(made, network, range(last, last + 1), x))
    gate = made.add(graph.Tanh(), made.add(graph.Convolution("gate", network.gate), x))
    gate = made.add(graph.Shuffle(c.scale), gate)
    missing = made.add(graph.Sum((1.0, -1.0)), difference, made.add(graph.Multiply(), details, trust))
    details = made.add(graph.Sum(), details, made.add(graph.Multiply(), missing, gate))
    made.add(graph.Sum(), details, base)
    return made


RECURRENT_COMPACT = Architecture(
    name="RecurrentCompact",
    known_as="RecurrentCompact (vidsr's own)",
    network=RecurrentCompact,
    build=RecurrentCompact,
    recognise=_recognise,
    overlap_px=SRVGGNET_COMPACT.overlap_px,
    reach_px=SRVGGNET_COMPACT.reach_px,
    # As SRVGGNetCompact, with the state and what it is made of.
    bytes_per_pixel=lambda network, scale, itemsize: (
        SRVGGNET_COMPACT.bytes_per_pixel(network, scale, itemsize) + itemsize * 3.0 * network.state_channels
    ),
    state_channels=lambda network: network.state_channels,
    graph=_graph,
)
