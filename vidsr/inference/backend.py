"""What runs a network: the protocol that every backend follows, and the PyTorch one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from copy import deepcopy
from typing import Protocol

import torch
from torch import Tensor, nn

from vidsr.inference.device import DTYPES, Precision
from vidsr.inference.forms.cuda_graphs import Graphed
from vidsr.inference.forms.form_table import folded_form
from vidsr.models.known_architectures import architecture_of

# Root mean square by which a compiled network may differ from an uncompiled one (50 dB): half precision's own.
_COMPILE_TOLERANCE = 10 ** (-50 / 20)


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
    """A network ready to run on a device."""

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
    """The network in the fastest form that PyTorch has for it, in the precision asked for, channels last.

    On CUDA its kernels are recorded as a graph for each shape. On a CPU pictures are computed one by one, so that the
    result does not depend on the batch; batches are no faster there. With ``compiled`` the plain network goes through
    ``torch.compile`` instead; its first result is compared with the plain one's, and where they differ, the
    uncompiled form is used.
    """

    name = "torch"

    def __init__(self, model: Model, device: torch.device, precision: Precision, *, compiled: bool = False) -> None:
        self._plain = model.network
        self._scale = model.scale
        self._device = device
        self._dtype = DTYPES[precision]
        self._graph: Graphed | None = None
        network = self._placed(folded_form(deepcopy(model.network).eval().requires_grad_(False)))
        self._run: Callable[[Tensor], Tensor] = network
        self._compiled: Callable[[Tensor], Tensor] | None = None
        self._trusted = False
        if compiled:
            self._compiled = torch.compile(self._placed(deepcopy(model.network).eval().requires_grad_(False)))
        elif device.type == "cuda":
            self._run = self._graph = Graphed(network)
        self._architecture = architecture_of(model.network)

    def _placed(self, network: nn.Module) -> nn.Module:
        placed: nn.Module = network.to(device=self._device, dtype=self._dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return placed

    def __call__(self, rgb: Tensor) -> Tensor:
        """See :class:`Backend`."""
        if self._device.type == "cpu" and len(rgb) > 1:
            return torch.cat([self(one) for one in torch.split(rgb, 1)])
        x = rgb.to(dtype=self._dtype, memory_format=torch.channels_last)
        if self._compiled is not None:
            return self._checked(x)
        try:
            return self._run(x).float()
        except BaseException:
            if self._graph is not None:
                self._graph.forget()
            raise

    def _checked(self, x: Tensor) -> Tensor:
        """The compiled network's result, compared with the uncompiled one's the first time."""
        assert self._compiled is not None
        out = self._compiled(x).float()
        if not self._trusted:
            expected = self._run(x).float()
            self._trusted = bool(((out - expected).square().mean() < _COMPILE_TOLERANCE**2).item())
            if not self._trusted:
                logging.getLogger(__name__).warning("torch.compile gave another result than PyTorch: not used")
                self._compiled = None
                return expected
        return out

    def exact(self, rgb: Tensor) -> Tensor:
        """See :class:`Backend`."""
        self._plain.to(self._device)
        out: Tensor = self._plain(rgb.float())
        return out

    def bytes_per_pixel(self) -> float:
        """See :class:`Backend`."""
        return self._architecture.bytes_per_pixel(self._plain, self._scale, self._dtype.itemsize)
