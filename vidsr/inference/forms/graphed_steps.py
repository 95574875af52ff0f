"""All that follows the network (steps, conversion to planes) as one CUDA graph, where that is right and faster.

A picture goes through more than a hundred small kernels there. For small pictures the host takes longer to start them
one by one than the GPU to run them. A graph reads from memory of its own, into which the network's result is copied:
for large pictures that may cost more than it saves, so both ways are timed on the first batch.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor

from vidsr.inference.backends.calibration import (
    Candidate,
    best,
    calibrate,
    first_line,
    gpu_facts,
    recalled,
    remember,
    sentences,
)
from vidsr.inference.device import free_bytes, is_out_of_memory
from vidsr.inference.forms import cuda_graphs
from vidsr.inference.forms.cuda_graphs import Graphed

#: Source RGB and result RGB → planes of code values.
Steps = Callable[[Tensor, Tensor], list[Tensor]]

#: What a graph keeps, in bytes per value of the result: its copy of the result, and three such pictures at work.
_KEPT_BYTES = 16
#: The share of free memory that it may take.
_MEMORY_SHARE = 0.25


class GraphedSteps:
    """Runs steps that depend on nothing but their pictures, as a graph or kernel by kernel; one for a GPU.

    Args:
        about: what else the choice depends on (names of the steps, for example), for the calibration's key.
        notes: gets one sentence if a graph fails.
        form: "eager" or "graph", without calibration.
    """

    def __init__(self, device: torch.device, about: str, notes: list[str], *, form: str | None = None) -> None:
        self._device = device
        self._about = about
        self._notes = notes
        self._asked = form
        self._prepared: Hashable = None
        self._count = 0
        self._graph: Graphed[list[Tensor]] | None = None
        self._short_of_memory = False

    @property
    def form(self) -> str:
        """What is used now."""
        return "eager" if self._graph is None else "graph"

    def __call__(self, steps: Steps, source: Tensor, out: Tensor, kind: Hashable) -> list[Tensor]:
        """``steps(source, out)``; ``source`` ``[N, 3, h, w]``, ``out`` ``[N, 3, H, W]``, float32.

        ``kind`` is what the steps' kernels depend on apart from shapes: formats and colours. The first batch of each
        kind and size decides. A smaller one, which ends a scene or the film, runs kernel by kernel.
        """
        sizes = (source.shape[1:], out.shape[1:], kind)
        if sizes != self._prepared or len(out) > self._count:
            self._prepared, self._count = sizes, len(out)
            self._choose(steps, source, out)
        if self._graph is None or len(out) < self._count:
            return steps(source, out)
        try:
            # Copies: the planes lie where the next replay writes, and are downloaded on another stream.
            return [plane.clone() for plane in self._graph(source, out)]
        except Exception as error:
            if is_out_of_memory(error):
                raise
            self.release()
            cuda_graphs.give_up()
            self._notes.append(f"CUDA graphs are not used from now on: {first_line(error)}")
        return steps(source, out)

    def release(self) -> None:
        """Memory ran out: give back the graph's, and make no other."""
        self._forget()
        self._short_of_memory = True

    def _forget(self) -> None:
        if self._graph is not None:
            self._graph.forget()
        self._graph = None

    def _choose(self, steps: Steps, source: Tensor, out: Tensor) -> None:
        self._forget()
        if self._short_of_memory or not cuda_graphs.usable() or self._asked == "eager":
            return
        if _KEPT_BYTES * out.numel() > _MEMORY_SHARE * free_bytes(self._device):
            return
        if self._asked == "graph" or self._is_graph_better(steps, source, out):
            self._graph = Graphed(steps)

    def _is_graph_better(self, steps: Steps, source: Tensor, out: Tensor) -> bool:
        """Try both ways on this batch, or recall what was found before."""
        count, _, height, width = out.shape
        size = f"{count}x{source.shape[-1]}x{source.shape[-2]} to {width}x{height}"
        key = " | ".join((*gpu_facts(self._device), f"after the network: {self._about}", size))
        trials = recalled(key)
        if best(trials) is None:
            graph = Graphed(steps)
            ways = {
                "eager": lambda result: _joined(steps(source, result)),
                "graph": lambda result: _joined(graph(source, result)),
            }
            candidates = [Candidate(name=name, make=lambda way=way: self._here(way)) for name, way in ways.items()]  # type: ignore[misc]
            trials = calibrate(candidates, out, out, reference=ways["eager"], wait=self._wait)
            graph.forget()
            if best(trials) is not None:
                remember(key, trials)
        self._notes.extend(sentences(trials))
        if any(trial.name == "graph" and trial.problem and "memory" not in trial.problem for trial in trials):
            cuda_graphs.give_up()
        chosen = best(trials)
        return chosen is not None and chosen.name == "graph" and cuda_graphs.usable()

    def _here(self, way: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def run(result: Tensor) -> Tensor:
            with torch.cuda.device(self._device):
                return way(result)

        return run

    def _wait(self) -> None:
        torch.cuda.synchronize(self._device)


def _joined(planes: Sequence[Tensor]) -> Tensor:
    """Planes of code values as one tensor, one being the most that its type holds."""
    most = float(torch.iinfo(planes[0].dtype).max)
    return torch.cat([plane.flatten(1) for plane in planes], 1).float() / most
