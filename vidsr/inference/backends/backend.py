"""What runs a network: the protocol that every backend follows, and the PyTorch one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from copy import deepcopy
from typing import Protocol

import torch
from torch import Tensor, nn

from vidsr.inference.device import DTYPES, Precision
from vidsr.inference.forms.form_table import folded_bytes_per_pixel, folded_form

# Root mean square by which a compiled network may differ from an uncompiled one (50 dB): as much as half precision.
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

    notes: list[str]
    """What the user should know: one sentence for each fallback."""

    def __call__(self, rgb: Tensor) -> Tensor:
        """``[N, 3, h, w]`` float32 to ``[N, 3, h·scale, w·scale]`` float32, both on the backend's device.

        May raise any out-of-memory error that ``device.is_out_of_memory`` knows; then nothing is lost.
        """

    def exact(self, rgb: Tensor) -> Tensor:
        """The same in fp32 arithmetic, slower: for frames that overflow in half precision."""

    def release(self) -> None:
        """Release memory that is kept only for speed."""

    def bytes_per_pixel(self, height: int, width: int) -> float:
        """Estimated peak memory of the network in bytes per source pixel, for pictures (or tiles) of this size."""


class TorchBackend:
    """The network by PyTorch on a CPU, an Apple GPU or an Intel GPU: folded, channels last, in the precision asked for.

    On a CPU pictures are computed one by one, so that the result does not depend on the batch; batches are no faster
    there. With ``compiled`` the plain network goes through ``torch.compile`` instead; its first result is compared with
    the plain one's, and where they differ, the uncompiled form is used.
    """

    name = "torch"

    def __init__(self, model: Model, device: torch.device, precision: Precision, *, compiled: bool = False) -> None:
        self._plain = model.network
        self._scale = model.scale
        self._device = device
        self._dtype = DTYPES[precision]
        self._run = as_folded(model.network, device, self._dtype)
        self._exact: nn.Module | None = self._run if self._dtype == torch.float32 else None
        self._compiled: Callable[[Tensor], Tensor] | None = None
        self._trusted = False
        if compiled:
            self._compiled = torch.compile(placed(deepcopy(model.network), device, self._dtype))
        self.notes: list[str] = []

    def __call__(self, rgb: Tensor) -> Tensor:
        """See :class:`Backend`."""
        if self._device.type == "cpu" and len(rgb) > 1:
            return torch.cat([self(one) for one in torch.split(rgb, 1)])
        x = rgb.to(dtype=self._dtype, memory_format=torch.channels_last)
        if self._compiled is not None:
            return self._checked(x)
        out: Tensor = self._run(x).float()
        return out

    def _checked(self, x: Tensor) -> Tensor:
        """The compiled network's result, compared with the uncompiled one's the first time."""
        assert self._compiled is not None
        out = self._compiled(x).float()
        if not self._trusted:
            expected: Tensor = self._run(x).float()
            self._trusted = bool(((out - expected).square().mean() < _COMPILE_TOLERANCE**2).item())
            if not self._trusted:
                logging.getLogger(__name__).warning("torch.compile gave a different result than PyTorch: not used")
                self._compiled = None
                return expected
        return out

    def exact(self, rgb: Tensor) -> Tensor:
        """See :class:`Backend`."""
        if self._exact is None:
            self._exact = as_folded(self._plain, self._device, torch.float32)
        out: Tensor = self._exact(rgb.float())
        return out

    def release(self) -> None:
        """See :class:`Backend`."""
        if self._dtype != torch.float32:
            self._exact = None

    def bytes_per_pixel(self, height: int, width: int) -> float:
        """See :class:`Backend`."""
        return folded_bytes_per_pixel(self._plain, self._scale, self._dtype, (height, width))


def as_folded(network: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """A copy of a plain network in its folded form, channels last, on a device."""
    return placed(folded_form(deepcopy(network)), device, dtype)


def placed(network: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """A network ready to run on a device, channels last."""
    network = network.eval().requires_grad_(False)
    there: nn.Module = network.to(device=device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return there
