"""Several processes on one run, as ``torchrun`` starts them: shared gradients, batch statistics and decisions."""

from __future__ import annotations

import contextlib
import warnings
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

PATIENCE = timedelta(hours=2)
"""How long processes wait for each other: meanwhile the first one validates and saves alone."""


def joined() -> bool:
    """Whether this process is one of several."""
    return distributed.is_available() and distributed.is_initialized()


def join(device: torch.device, local_rank: int) -> torch.device:
    """Join the other processes; the device of this one."""
    if joined():
        return device
    if device.type == "cuda":
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    return device


def leave() -> None:
    """Leave the process group; every network that :func:`wrapped` returned must be gone by then.

    Such a wrapper, if it is the last to hold the group, ends gloo's threads while it holds Python's global lock. A
    thread that needs this lock to drop its last operation then waits without end, and so does the process.
    """
    if joined():
        distributed.destroy_process_group()


def wrapped(network: Any) -> Any:
    """The network with gradients averaged over all processes; unchanged if there is only one."""
    if not joined():
        return network
    with warnings.catch_warnings():
        # The newest torch renames this keyword; the old name works in every version that vidsr supports.
        warnings.simplefilter("ignore", FutureWarning)
        # Buffers are not broadcast: with batch norm, two forward passes before one backward pass would fail.
        return DistributedDataParallel(network, broadcast_buffers=False)


def without_exchange(network: Any) -> contextlib.AbstractContextManager[Any]:
    """In this block each process accumulates its gradients locally."""
    return network.no_sync() if isinstance(network, DistributedDataParallel) else contextlib.nullcontext()


class _Mean(torch.autograd.Function):
    """The mean of a tensor over all processes; its gradient is averaged in the same way."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return _averaged(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _averaged(gradients[0])


def _averaged(value: Tensor) -> Tensor:
    total = value.detach().clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(total)
    return total / distributed.get_world_size()


def mean_of_all(value: Tensor) -> Tensor:
    """The mean of ``value`` over all processes, value by value; differentiable."""
    if not joined():
        return value
    result: Tensor = _Mean.apply(value)  # type: ignore[no-untyped-call]
    return result


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm over the batches of all processes, on any device; every process must have the same number.

    torch's own works on GPUs only. Its weights, buffers and running means are those of :class:`nn.BatchNorm2d`.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and joined()):
            return super().forward(x)
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        mean = mean_of_all(x.float().mean((0, 2, 3)))
        centred = x.float() - mean.view(1, -1, 1, 1)
        variance = mean_of_all(centred.square().mean((0, 2, 3)))
        count = x.numel() // x.shape[1] * distributed.get_world_size()
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        factor = self.weight * (variance + self.eps).rsqrt()
        return (centred * factor.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(x.dtype)
