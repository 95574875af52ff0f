"""CUDA graphs: a network's kernels recorded once per shape and started together afterwards."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor

# Whole frames and one tile size; a graph keeps its working memory.
_MOST_GRAPHS = 2
_WARM_UPS = 2


class Graphed:
    """A function of one tensor whose kernels are captured once per shape.

    The result is a view of memory that the next call overwrites: copy it before that, on the same stream.
    """

    def __init__(self, run: Callable[[Tensor], Tensor]) -> None:
        self._run = run
        self._graphs: OrderedDict[torch.Size, tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = OrderedDict()

    def __call__(self, x: Tensor) -> Tensor:
        """Replay the graph for this shape, capturing it first where it is new."""
        # The current device belongs to the thread and is the first GPU in a new one; torch.cuda.graph asks for it.
        with torch.cuda.device(x.device):
            if x.shape not in self._graphs:
                self._capture(x)
            self._graphs.move_to_end(x.shape)
            graph, given, result = self._graphs[x.shape]
            given.copy_(x)
            graph.replay()
        return result

    def _capture(self, x: Tensor) -> None:
        if len(self._graphs) >= _MOST_GRAPHS:
            _wait_for(x.device)
            self._graphs.popitem(last=False)
        given = x.clone(memory_format=torch.preserve_format)
        compute = torch.cuda.current_stream(x.device)
        side = torch.cuda.Stream(x.device)  # type: ignore[no-untyped-call]
        side.wait_stream(compute)
        try:
            with torch.cuda.stream(side):
                for _ in range(_WARM_UPS):  # cuDNN chooses its algorithms here, not while capturing
                    self._run(given)
        finally:
            compute.wait_stream(side)  # "given" may be freed after this, on failure too
        graph = torch.cuda.CUDAGraph()
        # "thread_local": what other threads do meanwhile (NVDEC, NVENC) neither fails nor spoils the capture.
        with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
            result = self._run(given)
        self._graphs[x.shape] = (graph, given, result)

    def forget(self) -> None:
        """Drop all graphs and the memory they hold."""
        for _, given, _ in self._graphs.values():
            _wait_for(given.device)
        self._graphs.clear()


def _wait_for(device: torch.device) -> None:
    """Wait for the queued replays: their memory must not be released before."""
    torch.cuda.current_stream(device).synchronize()
