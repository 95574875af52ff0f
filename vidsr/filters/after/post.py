"""What acts after the network: the protocol, and the order in which the steps stand.

A step is a callable on (source, result, frames) that returns a new result. Steps that carry state from frame to
frame have a ``warmup`` above 0: that many frames before a segment's first are run through the network and the steps
and thrown away, so that a segment does not depend on which segment came before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from vidsr.filters.after.colour_lock import ColourLock
from vidsr.filters.after.fidelity import Fidelity
from vidsr.filters.after.grain import Grain
from vidsr.filters.after.stabilise import Stabilise
from vidsr.filters.resample import cubic_up
from vidsr.frames import Frame


class PostStep(Protocol):
    """One step after the network."""

    warmup: int

    def __call__(self, source: Tensor, out: Tensor, frames: Sequence[Frame]) -> Tensor:
        """``source`` ``[N, 3, h, w]``, ``out`` ``[N, 3, H, W]``, both fp32 RGB, not clamped, N frames in order."""
        ...

    def reset(self) -> None:
        """Forget all earlier frames."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PostSettings:
    """Amounts of the steps; the meaning of each is in its own module.

    ``fidelity`` is 0 to 1, or None for "auto". ``colour_lock`` is on or off. The others are 0 to 1.
    """

    fidelity: float | None = None
    stabilize: float = 0.0
    strength: float = 1.0
    colour_lock: bool = True
    grain: float = 0.0


def post_steps(settings: PostSettings) -> list[PostStep]:
    """The steps that ``settings`` ask for, in the order in which they must stand.

    Fidelity stands before *and* after the stabiliser: before, so that what is carried along is already true to the
    source; after, because blending along the motion leaves it again. Grain comes last, for nothing may smooth it.
    """
    steps: list[PostStep] = []
    faithful = settings.fidelity is None or settings.fidelity > 0
    if faithful:
        steps.append(Fidelity(settings.fidelity))
    if settings.stabilize > 0:
        steps.append(Stabilise(settings.stabilize))
        if faithful:
            steps.append(Fidelity(settings.fidelity))
    if settings.strength < 1:
        steps.append(Strength(settings.strength))
    if settings.colour_lock:
        steps.append(ColourLock())
    if settings.grain > 0:
        steps.append(Grain(settings.grain))
    return steps


def warmup(steps: Sequence[PostStep]) -> int:
    """Frames before a segment that ``steps`` need to see."""
    return max((step.warmup for step in steps), default=0)


class Strength:
    """``amount`` 1 is the network alone, 0 the bicubic enlargement alone, linear between."""

    warmup = 0

    def __init__(self, amount: float) -> None:
        self.amount = amount

    def __call__(self, source: Tensor, out: Tensor, frames: Sequence[Frame]) -> Tensor:
        plain = cubic_up(source, (out.shape[-2], out.shape[-1]))
        return plain + self.amount * (out - plain)

    def reset(self) -> None:
        """Nothing is kept between frames."""
