"""How many frames ``--invention json`` measures: as many as cost a tenth of the job at most."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

from torch import nn

#: Parameters of a network that takes ten times as long for a frame as measuring one, on a CPU; see docs/invention.md.
TENFOLD_PARAMETERS = 42_000_000
#: Neighbours look alike: one frame in so many is enough whatever the network.
LEAST_EVERY = 4
#: This many frames are measured of films that have enough of them, whatever it costs, but never more than one in
#: :data:`SHORT_EVERY` for that: of a clip of two seconds, loading and decoding leave time for one frame.
FEWEST_FRAMES, SHORT_EVERY = 4, 48


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSampling:
    """One frame in ``every`` is measured; ``rule`` says why, in words."""

    every: int
    rule: str

    @staticmethod
    def every_frame() -> FrameSampling:
        """All of them."""
        return FrameSampling(every=1, rule="every frame")

    @staticmethod
    def of(network: nn.Module, frames: int) -> FrameSampling:
        """For a film of so many frames that ``network`` has enlarged: the faster the network, the fewer."""
        parameters = sum(parameter.numel() for parameter in network.parameters())
        cheap = max(LEAST_EVERY, ceil(TENFOLD_PARAMETERS / max(1, parameters)))
        every = max(LEAST_EVERY, min(cheap, max(SHORT_EVERY, frames // FEWEST_FRAMES)))
        if every == LEAST_EVERY:
            return FrameSampling(every=every, rule=f"one frame in {every}")
        return FrameSampling(
            every=every, rule=f"one frame in {every}, so that measuring takes a tenth of the time of the job at most"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"every": self.every, "rule": self.rule}
