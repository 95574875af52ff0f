"""What runs a network: the protocol that every engine follows, and the PyTorch one."""

from __future__ import annotations

from copy import deepcopy
from typing import Protocol

import torch
from torch import Tensor, nn

from vidsr.inference.device import DTYPES, Precision


class Model(Protocol):
    """What inference needs of a loaded model; ``models.checkpoint.LoadedModel`` is one."""

    @property
    def network(self) -> nn.Module:
        """The plain fp32 network in eval mode: ``[N, 3, h, w]`` to ``[N, 3, h·scale, w·scale]``."""

    @property
    def architecture(self) -> str:
        """Name of the architecture, for messages."""

    @property
    def scale(self) -> int:
        """Enlargement factor of both sides."""


class Backend(Protocol):
    """An engine with a network in it."""

    @property
    def name(self) -> str:
        """Name for messages and reports, for example "torch"."""

    def __call__(self, rgb: Tensor) -> Tensor:
        """``[N, 3, h, w]`` float32 to ``[N, 3, h·scale, w·scale]`` float32, both on the backend's device.

        May raise any out-of-memory error that ``device.is_out_of_memory`` knows; then nothing is lost.
        """

    def exact(self, rgb: Tensor) -> Tensor:
        """The same in fp32 arithmetic, slower: for frames that overflow in half precision."""

    def bytes_per_pixel(self) -> float:
        """Estimated peak memory in bytes per source pixel of a batch."""


class TorchBackend:
    """The network as PyTorch runs it, in the precision asked for, channels last."""

    name = "torch"

    def __init__(self, model: Model, device: torch.device, precision: Precision, *, compiled: bool = False) -> None:
        self._plain = model.network
        self._scale = model.scale
        self._device = device
        self._dtype = DTYPES[precision]
        network = deepcopy(model.network).eval().requires_grad_(False)
        network = network.to(device=device, dtype=self._dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._run = torch.compile(network) if compiled else network
        self._features = _widest_features(model.network)

    def __call__(self, rgb: Tensor) -> Tensor:
        """See :class:`Backend`."""
        x = rgb.to(dtype=self._dtype, memory_format=torch.channels_last)
        out: Tensor = self._run(x)
        return out.float()

    def exact(self, rgb: Tensor) -> Tensor:
        """See :class:`Backend`."""
        self._plain.to(self._device)
        out: Tensor = self._plain(rgb.float())
        return out

    def bytes_per_pixel(self) -> float:
        """See :class:`Backend`. Three tensors of all features at the output's size are alive at the peak."""
        return 3.0 * self._features * self._dtype.itemsize * self._scale**2


def _widest_features(network: nn.Module) -> int:
    """Output channels of the widest convolution."""
    return max((m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)), default=64)
