"""One GPU for the tests to run on: a real one, or the simulated one, with the same questions answered by both."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

import torch

from tests.support.cuda_simulation import CudaSimulation


class Machine(Protocol):
    """What a test asks of a machine with GPUs. ``real``: whether there is a device behind it."""

    real: bool

    def running(self) -> AbstractContextManager[object]:
        """The context within which ``"cuda"`` can be used."""

    def devices(self) -> int:
        """How many GPUs there are."""

    def start_measuring(self) -> None:
        """Begin to note peak memory."""

    def peak_bytes(self) -> int:
        """Peak memory of the first GPU in bytes since :meth:`start_measuring`."""

    def live_bytes(self) -> int:
        """Memory of the first GPU that tensors hold now."""

    def limited(self, bytes: int) -> AbstractContextManager[None]:
        """The context within which this process may take this much of the first GPU's memory."""

    def waits(self) -> AbstractContextManager[list[str]]:
        """The context that notes each call that made the host wait for the device."""


class RealMachine:
    """The GPUs that PyTorch sees."""

    real = True

    def running(self) -> AbstractContextManager[object]:
        """See :class:`Machine`."""
        return nullcontext()

    def devices(self) -> int:
        """See :class:`Machine`."""
        return torch.cuda.device_count()

    def start_measuring(self) -> None:
        """See :class:`Machine`."""
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()

    def peak_bytes(self) -> int:
        """See :class:`Machine`. What the allocator took, not only what tensors used."""
        return torch.cuda.max_memory_reserved()

    def live_bytes(self) -> int:
        """See :class:`Machine`."""
        return torch.cuda.memory_allocated()

    @contextmanager
    def limited(self, bytes: int) -> Iterator[None]:
        """See :class:`Machine`."""
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(bytes / torch.cuda.get_device_properties(0).total_memory)
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)

    @contextmanager
    def waits(self) -> Iterator[list[str]]:
        """See :class:`Machine`."""
        found: list[str] = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                yield found
            finally:
                torch.cuda.set_sync_debug_mode("default")
        found.extend(f"{w.filename}:{w.lineno}" for w in caught if "synchroniz" in str(w.message))


class SimulatedMachine:
    """Two GPUs that are not there; see :mod:`tests.support.cuda_simulation`."""

    real = False

    def __init__(self) -> None:
        self.cuda = CudaSimulation(devices=2)

    def running(self) -> AbstractContextManager[object]:
        """See :class:`Machine`."""
        return self.cuda

    def devices(self) -> int:
        """See :class:`Machine`."""
        return self.cuda.devices

    def start_measuring(self) -> None:
        """See :class:`Machine`."""
        self.cuda.peak_bytes.clear()

    def peak_bytes(self) -> int:
        """See :class:`Machine`."""
        return self.cuda.peak_bytes[torch.device("cuda:0")]

    def live_bytes(self) -> int:
        """See :class:`Machine`."""
        return self.cuda.live_bytes[torch.device("cuda:0")]

    @contextmanager
    def limited(self, bytes: int) -> Iterator[None]:
        """See :class:`Machine`."""
        before, self.cuda.memory_bytes = self.cuda.memory_bytes, bytes
        try:
            yield
        finally:
            self.cuda.memory_bytes = before

    @contextmanager
    def waits(self) -> Iterator[list[str]]:
        """See :class:`Machine`."""
        found: list[str] = []
        self.cuda.blocking.clear()
        yield found
        found.extend(f"{what} at {where}" for what, where in self.cuda.blocking)
