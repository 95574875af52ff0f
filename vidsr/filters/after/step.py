"""The protocol of a step after the network, and the descriptor of a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from vidsr.frames import Frame
from vidsr.options.restore_options import RestoreOptions


class Step(Protocol):
    """One step after the network. ``warmup`` is frames that it must see before its results are settled; ``stateless``
    whether its result depends on nothing but the two pictures, so that equal pictures have equal results. A step that
    looks at them on the host to decide what to do has a true ``data_dependent``, and comes before all others."""

    warmup: int
    stateless: bool

    def __call__(self, source: Tensor, out: Tensor, frames: Sequence[Frame]) -> Tensor:
        """``source`` ``[N, 3, h, w]``, ``out`` ``[N, 3, H, W]``, both fp32 RGB, not clamped, N frames in order."""
        ...

    def reset(self) -> None:
        """Forget all earlier frames."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDescriptor:
    """One step: the field of :class:`~vidsr.options.restore_options.RestoreOptions` that asks for it, and its making.

    Attributes:
        option: name of the field.
        make: the step, or None where the options do not ask for it.
        needs_time: whether it compares a frame with earlier ones, so that still pictures cannot have it.
    """

    option: str
    make: Callable[[RestoreOptions], Step | None]
    needs_time: bool = False
