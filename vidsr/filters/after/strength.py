"""Strength: the network's result blended with a plain bicubic enlargement."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from vidsr.filters.after.step import StepDescriptor
from vidsr.filters.resample import cubic_up
from vidsr.frames import Frame


class Strength:
    """``amount`` 1 is the network alone, 0 the bicubic enlargement alone, linear between."""

    warmup = 0
    stateless = True

    def __init__(self, amount: float) -> None:
        self.amount = amount

    def __call__(self, source: Tensor, out: Tensor, frames: Sequence[Frame]) -> Tensor:
        plain = cubic_up(source, (out.shape[-2], out.shape[-1]))
        return plain + self.amount * (out - plain)

    def reset(self) -> None:
        """Nothing is kept between frames."""


STEP = StepDescriptor(
    option="strength", make=lambda options: Strength(options.strength) if options.strength < 1 else None
)
