"""The fast forms of each architecture. A network without one runs as PyTorch runs it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from vidsr.inference.forms.folded_torch import FoldedRRDBNet, bytes_per_pixel
from vidsr.inference.forms.winograd_cpu import WinogradRecurrentCompact, WinogradRRDBNet, WinogradSRVGGNetCompact
from vidsr.models.known_architectures import architecture_of


class CpuForm(Protocol):
    """A network in fp32 on the CPU, outside PyTorch."""

    def __call__(self, rgb: Tensor) -> Tensor:
        """``[N, 3, h, w]`` float32 to ``[N, 3, h·scale, w·scale]`` float32."""

    def bytes_per_pixel(self) -> float:
        """Estimated peak memory in bytes per source pixel of a batch of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forms:
    """The fast forms of one architecture, each made from its plain network.

    ``folded`` is a module for any device and precision; ``winograd`` uses the compiled kernels of winograd.c.
    """

    folded: Callable[[Any], nn.Module] | None = None
    #: (plain network, dtype, (height, width)) → peak bytes per source pixel of the folded form.
    folded_bytes: Callable[[Any, torch.dtype, tuple[int, int]], float] | None = None
    winograd: Callable[[Any, ctypes.CDLL], CpuForm] | None = None


#: Name of the architecture → its forms.
FORMS: dict[str, Forms] = {
    "RRDBNet": Forms(folded=FoldedRRDBNet, folded_bytes=bytes_per_pixel, winograd=WinogradRRDBNet),
    # Nothing to fold: its convolutions follow each other, each with its activation.
    "SRVGGNetCompact": Forms(winograd=WinogradSRVGGNetCompact),
    "RecurrentCompact": Forms(winograd=WinogradRecurrentCompact),
}


def folded_form(network: nn.Module) -> nn.Module:
    """The fastest module for a network: its folded form, or the network itself."""
    make = FORMS.get(architecture_of(network).name, Forms()).folded
    return network if make is None else make(network)


def folded_bytes_per_pixel(network: nn.Module, scale: int, dtype: torch.dtype, size: tuple[int, int]) -> float:
    """Peak bytes per source pixel of :func:`folded_form` for pictures of ``size`` (height, width)."""
    architecture = architecture_of(network)
    count = FORMS.get(architecture.name, Forms()).folded_bytes
    if count is None:
        return architecture.bytes_per_pixel(network, scale, dtype.itemsize)
    return count(network, dtype, size)


def winograd_form(network: nn.Module, library: ctypes.CDLL) -> CpuForm | None:
    """The network by the Winograd kernels, or None where its architecture has no such form."""
    make = FORMS.get(architecture_of(network).name, Forms()).winograd
    return None if make is None else make(network, library)
