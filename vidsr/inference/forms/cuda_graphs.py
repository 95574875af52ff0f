"""CUDA graphs: the kernels of a function of tensors recorded once per shape and started together afterwards."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

_Result = TypeVar("_Result")

# Whole frames and one tile size; a graph keeps its working memory.
_MOST_GRAPHS = 2
_WARM_UPS = 2

#: Set when a capture or a replay failed in this process: PyTorch's allocator may not recover from that, so no other
#: graph is tried.
_failed = False


def usable() -> bool:
    """Whether graphs may be tried in this process."""
    return not _failed and torch.version.hip is None


def give_up() -> None:
    """A graph failed: none is captured any more in this process."""
    global _failed  # noqa: PLW0603 - belongs to the process, as the allocator does that it is about
    _failed = True
    logging.getLogger(__name__).info("CUDA graphs are not used any more in this process")


@dataclass(frozen=True, slots=True)
class _Kept(Generic[_Result]):
    """A graph, the memory from which it reads, and that into which it writes."""

    graph: torch.cuda.CUDAGraph
    given: tuple[Tensor, ...]
    result: _Result


class Graphed(Generic[_Result]):
    """A function of tensors on one device whose kernels are captured once for all their shapes.

    The result lies in memory that the next call overwrites: copy it before that, on the same stream.
    """

    def __init__(self, run: Callable[..., _Result]) -> None:
        self._run = run
        self._graphs: OrderedDict[tuple[torch.Size, ...], _Kept[_Result]] = OrderedDict()

    def __call__(self, *tensors: Tensor) -> _Result:
        """Replay the graph for these shapes, capturing it first where they are new."""
        shapes = tuple(tensor.shape for tensor in tensors)
        # The current device belongs to the thread and is the first GPU in a new one; torch.cuda.graph asks for it.
        with torch.cuda.device(tensors[0].device):
            if shapes not in self._graphs:
                self._graphs[shapes] = self._capture(tensors)
            self._graphs.move_to_end(shapes)
            kept = self._graphs[shapes]
            for place, tensor in zip(kept.given, tensors, strict=True):
                place.copy_(tensor)
            kept.graph.replay()
        return kept.result

    def _capture(self, tensors: tuple[Tensor, ...]) -> _Kept[_Result]:
        device = tensors[0].device
        if len(self._graphs) >= _MOST_GRAPHS:
            _wait_for(device)
            self._graphs.popitem(last=False)
        given = tuple(tensor.clone(memory_format=torch.preserve_format) for tensor in tensors)
        compute = torch.cuda.current_stream(device)
        side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        side.wait_stream(compute)
        try:
            with torch.cuda.stream(side):
                for _ in range(_WARM_UPS):  # cuDNN chooses its algorithms here, not while capturing
                    self._run(*given)
        finally:
            compute.wait_stream(side)  # "given" may be freed after this, on failure too
        graph = torch.cuda.CUDAGraph()
        # "thread_local": what other threads do meanwhile (NVDEC, NVENC) neither fails nor spoils the capture.
        with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
            result = self._run(*given)
        return _Kept(graph, given, result)

    def forget(self) -> None:
        """Drop all graphs and the memory they hold."""
        for kept in self._graphs.values():
            _wait_for(kept.given[0].device)
        self._graphs.clear()


def _wait_for(device: torch.device) -> None:
    """Wait for the queued replays: their memory must not be released before."""
    torch.cuda.current_stream(device).synchronize()
