"""A network as a list of plain operations, from which every exporter writes its file.

An architecture describes itself once, as a :class:`Graph`; the writers (ONNX, ncnn) translate operations and never
look at the network's class. A new operation needs one line in each writer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn


@dataclass(frozen=True, slots=True)
class Convolution:
    """A 2-D convolution with the layer's stride, padding and groups, then a leaky ReLU where ``slope`` is given.

    ``name`` is the layer's prefix in the state dict.
    """

    name: str
    layer: nn.Conv2d
    slope: float | None = None


@dataclass(frozen=True, slots=True)
class StateInput:
    """What the network knows from before: another input, ``[N, channels, H·factor, W·factor]``."""

    name: str
    channels: int
    factor: int


@dataclass(frozen=True, slots=True)
class LeakyReLU:
    """Negative values times ``slope``; 0 is a plain ReLU."""

    slope: float


@dataclass(frozen=True, slots=True)
class PReLU:
    """Negative values times a learned slope per channel."""

    name: str
    layer: nn.PReLU


@dataclass(frozen=True, slots=True)
class GELU:
    """``x · Φ(x)``, the exact form."""


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """``1 / (1 + exp(-x))``."""


@dataclass(frozen=True, slots=True)
class Tanh:
    """The hyperbolic tangent."""


@dataclass(frozen=True, slots=True)
class Clamp:
    """Values below ``low`` become that, those above ``high`` become that."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Concat:
    """All inputs, one after the other along the channels."""


@dataclass(frozen=True, slots=True)
class Channels:
    """The channels from ``start`` up to ``stop``."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Sum:
    """Two inputs times their factors, added."""

    factors: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Multiply:
    """Two inputs, element by element; the second may have one channel, which counts for all."""


@dataclass(frozen=True, slots=True)
class Enlarge:
    """Each pixel repeated ``factor`` × ``factor`` times."""

    factor: int


@dataclass(frozen=True, slots=True)
class Shuffle:
    """``[C·f², H, W]`` to ``[C, H·f, W·f]``, in PyTorch's order of channels."""

    factor: int


@dataclass(frozen=True, slots=True)
class Unshuffle:
    """``[C, H, W]`` to ``[C·f², H/f, W/f]``, in PyTorch's order of channels."""

    factor: int


@dataclass(frozen=True, slots=True)
class MaxPool:
    """The maximum over squares of ``kernel`` pixels, one every ``stride`` pixels, without padding."""

    kernel: int
    stride: int


@dataclass(frozen=True, slots=True)
class ResizeLike:
    """The first input resized bilinearly (half-pixel centres) to the size of the second."""


Operation = (
    Convolution
    | StateInput
    | LeakyReLU
    | PReLU
    | GELU
    | Sigmoid
    | Tanh
    | Clamp
    | Concat
    | Channels
    | Sum
    | Multiply
    | Enlarge
    | Shuffle
    | Unshuffle
    | MaxPool
    | ResizeLike
)


@dataclass(frozen=True, slots=True)
class Node:
    """One operation on values; a value is the number that :meth:`Graph.add` gave, 0 the network's input."""

    operation: Operation
    inputs: tuple[int, ...]


@dataclass(slots=True)
class Graph:
    """Operations in the order in which they can be computed; the last one's value is the result.

    ``in_channels`` and ``out_channels`` are those of the network.
    """

    in_channels: int
    out_channels: int
    nodes: list[Node] = field(default_factory=list)

    def add(self, operation: Operation, *inputs: int) -> int:
        """Append an operation; the number of its value."""
        self.nodes.append(Node(operation, inputs))
        return len(self.nodes)
