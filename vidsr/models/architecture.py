"""What vidsr needs to know about an architecture: the descriptor that each file of ``architectures/`` ends with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from torch import Tensor, nn

from vidsr.errors import CheckpointError
from vidsr.models.graph import Graph

State = dict[str, Tensor]


class Config(Protocol):
    """Hyper-parameters of a network: a frozen dataclass with at least these fields."""

    @property
    def in_channels(self) -> int:
        """Channels of the input."""

    @property
    def out_channels(self) -> int:
        """Channels of the output."""

    @property
    def scale(self) -> int:
        """Enlargement factor of both sides."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """A checkpoint whose architecture is known.

    ``state`` has the names that the network uses and the dtypes of the file; ``layout`` names the key layout found.
    """

    architecture: str
    config: Any
    layout: str
    state: State


class NcnnLayer(Protocol):
    """A layer of an ncnn ``.param`` file, as far as names are derived from it."""

    @property
    def kind(self) -> str:
        """Its type, for example "Convolution"."""

    @property
    def params(self) -> Mapping[int, str]:
        """Its parameters by number."""


NetworkT = TypeVar("NetworkT", bound=nn.Module)


def _no_multiple(_: nn.Module) -> int:
    return 1


def bytes_by_widest_convolution(network: nn.Module, scale: int, itemsize: int) -> float:
    """Bytes per source pixel of a network of which six tensors of its widest layer exist at once, or at the output's
    size three of a quarter of its channels."""
    features = max((m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)), default=64)
    return float(itemsize) * max(6.0 * features, 3.0 * features * scale**2 / 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture(Generic[NetworkT]):
    """One architecture: the code outside its file goes by these fields alone.

    A network maps ``[N, in_channels, H, W]`` in 0..1 to ``[N, out_channels, H·scale, W·scale]``; one with
    ``state_channels`` also takes a frame with what is known from the last result,
    ``[N, in_channels + state_channels, H, W]``; a ``recurrent`` one maps a whole sequence
    ``[N, T, in_channels, H, W]`` to ``[N, T, out_channels, H·scale, W·scale]``. ``network.config`` is
    what ``build`` takes, a frozen dataclass (see :class:`Config`).
    """

    #: Name in cards, messages and the zoo.
    name: str
    #: The name and, in brackets, the projects whose files have it, for messages.
    known_as: str
    #: Class of the networks.
    network: type[NetworkT]
    #: Config → network with fresh weights.
    build: Callable[[Any], NetworkT]
    #: (tensors, metadata of the file) → what it is; None if it is another architecture. Raises CheckpointError if
    #: it is this one and tensors are missing or have impossible shapes.
    recognise: Callable[[State, Mapping[str, str]], Recognised | None]
    #: Source pixels that neighbouring tiles share.
    overlap_px: Callable[[NetworkT], int]
    #: Distance in source pixels up to which a source pixel changes the result by more than is tolerated.
    reach_px: Callable[[NetworkT], int]
    #: The sides of the input must be multiples of this; networks pad by themselves, exported files do not.
    multiple: Callable[[NetworkT], int] = _no_multiple
    #: (network, scale, bytes of a number) → peak bytes per source pixel of a batch in PyTorch.
    bytes_per_pixel: Callable[[NetworkT, int, int], float] = bytes_by_widest_convolution
    #: Whether fp16 keeps all intermediate values of its usual models in range; else ``auto`` does not choose it.
    half: bool = True
    recurrent: bool = False
    #: Channels of the input after the frame's own where the last result is known; None: it sees single frames only.
    state_channels: Callable[[NetworkT], int] | None = None
    #: The network as operations, for the exporters; None if it cannot be exported.
    graph: Callable[[NetworkT], Graph] | None = None
    #: (layers of an ncnn file, number of those with weights) → prefixes of their tensors in order; None if the file
    #: is another architecture's.
    ncnn_names: Callable[[Sequence[NcnnLayer], int], list[str] | None] | None = None


def required(state: State, key: str) -> Tensor:
    """A tensor that the architecture cannot do without.

    Raises:
        CheckpointError: it is missing.
    """
    if key not in state:
        raise CheckpointError(f"the tensor {key} is missing: the file is incomplete")
    return state[key]
