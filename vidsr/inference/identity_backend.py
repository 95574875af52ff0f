"""A backend without a network: what is left of a job is everything else that it does."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class NoModel:
    """Stands where a model would: enlarges by 1, so that the resize to the wanted size does it all."""

    network: nn.Module
    architecture: str = "none"
    scale: int = 1


class Unchanged:
    """Gives back the frames that come in; the stream around it then enlarges them by bicubic interpolation."""

    name = "none"

    def __call__(self, rgb: Tensor) -> Tensor:
        """``[N, 3, h, w]`` float32 as it is."""
        return rgb

    def exact(self, rgb: Tensor) -> Tensor:
        """The same."""
        return rgb

    def bytes_per_pixel(self) -> float:
        """Three float32 planes."""
        return 12.0
