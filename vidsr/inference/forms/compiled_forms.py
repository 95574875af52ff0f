"""Forms whose code is generated at first use: vidsr's own Triton kernels, and slower starters for those who ask.

Wrong code on a GPU can end the process. So each is tried in a process of its own before it runs in the job's
(:mod:`vidsr.inference.forms.trial_process`).
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from vidsr.inference.backends.backend import placed
from vidsr.inference.forms.trial_process import Maker
from vidsr.models.architectures.rrdbnet import RRDBNet
from vidsr.models.architectures.srvgg import SRVGGNetCompact

if TYPE_CHECKING:
    from vidsr.inference.forms.triton_convolution import Tiling


def compiled(network: nn.Module, device: torch.device, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """The plain network by ``torch.compile``, for fixed shapes."""
    made = torch.compile(placed(deepcopy(network), device, dtype), dynamic=False)
    return lambda rgb: made(rgb.to(dtype=dtype, memory_format=torch.channels_last))


def kernels(network: nn.Module, device: torch.device, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """The network by vidsr's own Triton kernels.

    Raises:
        ValueError: the network's channels do not fit the kernel.
        RuntimeError: on sm_75, if this Triton cannot be made to use its matrix instructions.
    """
    return _by_triton(network, device, dtype, tiling_on(device))


def tiling_on(device: torch.device) -> Tiling:
    """The tiling of the own kernels on this GPU; for sm_75, Triton is made to use its matrix instructions.

    Raises:
        RuntimeError: this Triton cannot be made to.
    """
    from vidsr.inference.forms.triton_convolution import TURING, Tiling

    if torch.cuda.get_device_capability(device) != (7, 5):
        return Tiling()
    from vidsr.inference.forms import turing

    turing.install()
    return TURING


def row_kernels(network: nn.Module, device: torch.device, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """The same, most of it by the kernels that load rows of a picture by tensor descriptors.

    Raises:
        ValueError: the network's channels do not fit the kernel.
    """
    from vidsr.inference.forms.triton_convolution import ROWS

    return _by_triton(network, device, dtype, ROWS)


def _by_triton(
    network: nn.Module, device: torch.device, dtype: torch.dtype, tiling: Tiling
) -> Callable[[Tensor], Tensor]:
    from vidsr.inference.forms.triton_convolution import TritonRRDBNet, TritonSRVGGNetCompact

    there = placed(deepcopy(network), device, dtype)
    made: Callable[[Tensor], Tensor]
    made = TritonRRDBNet(there, tiling) if isinstance(there, RRDBNet) else TritonSRVGGNetCompact(there, tiling)  # type: ignore[arg-type]
    return lambda rgb: made(rgb.to(dtype=dtype, memory_format=torch.channels_last))


def compiled_forms(
    network: nn.Module, capability: tuple[int, int], dtype: torch.dtype, *, asked: bool
) -> dict[str, Maker]:
    """Name → maker of the forms that may be tried on a GPU of this compute capability, simplest first.

    The own kernels take half precision (on sm_75 fp16 alone) and matrix instructions; those by rows take the copy
    engine of sm_90 and newer. ``asked``: rows and ``torch.compile`` too. What rows read from L2 bounds them to two
    fifths of what the other kernels can reach (docs/performance.md), so that they are no default.
    """
    found: dict[str, Maker] = {}
    fits = isinstance(network, RRDBNet | SRVGGNetCompact) and (
        dtype == torch.float16 if capability == (7, 5) else dtype != torch.float32 and capability >= (8, 0)
    )
    if fits and find_spec("triton") is not None:
        found["kernels"] = kernels
        if asked and capability >= (9, 0):
            found["row kernels"] = row_kernels
    if asked:
        found["compiled"] = compiled
    return found
