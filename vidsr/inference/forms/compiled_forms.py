"""Forms whose code is generated at first use: by ``torch.compile``, and vidsr's own Triton kernels.

Wrong code on a GPU can end the process. So each is tried in a process of its own before it runs in the job's
(:mod:`vidsr.inference.forms.trial_process`), and only where the user asked for compiled forms.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from vidsr.inference.backend import placed
from vidsr.inference.forms.trial_process import Maker
from vidsr.models.architectures.rrdbnet import RRDBNet
from vidsr.models.architectures.srvgg import SRVGGNetCompact


def compiled(network: nn.Module, device: torch.device, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """The plain network by ``torch.compile``, for fixed shapes."""
    made = torch.compile(placed(deepcopy(network), device, dtype), dynamic=False)
    return lambda rgb: made(rgb.to(dtype=dtype, memory_format=torch.channels_last)).float()


def kernels(network: nn.Module, device: torch.device, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """The network by vidsr's own Triton kernels.

    Raises:
        ValueError: the network's channels do not fit the kernel.
    """
    from vidsr.inference.forms.triton_convolution import TritonRRDBNet, TritonSRVGGNetCompact

    there = placed(deepcopy(network), device, dtype)
    made: Callable[[Tensor], Tensor]
    made = TritonRRDBNet(there) if isinstance(there, RRDBNet) else TritonSRVGGNetCompact(there)  # type: ignore[arg-type]
    return lambda rgb: made(rgb.to(dtype=dtype, memory_format=torch.channels_last)).float()


def compiled_forms(network: nn.Module, capability: tuple[int, int], dtype: torch.dtype) -> dict[str, Maker]:
    """Name → maker of the forms that may be tried on a GPU of this compute capability, simplest first.

    The own kernels take half precision, and the asynchronous copies of sm_80 and newer.
    """
    found: dict[str, Maker] = {"compiled": compiled}
    fits = isinstance(network, RRDBNet | SRVGGNetCompact) and dtype != torch.float32 and capability >= (8, 0)
    if fits and find_spec("triton") is not None:
        found["kernels"] = kernels
    return found
