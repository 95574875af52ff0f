"""A backend without a network, to run everything else in a job."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class NoModel:
    """Stand-in for a model: enlarges by 1, so the resize to the target size does all the work."""

    network: nn.Module
    architecture: str = "none"
    scale: int = 1


class Unchanged:
    """Gives back the frames that come in; the stream around it then enlarges them by bicubic interpolation."""

    name = "none"

    def __init__(self) -> None:
        self.notes: list[str] = []

    def __call__(self, rgb: Tensor) -> Tensor:
        """``[N, 3, h, w]`` float32, unchanged."""
        return rgb

    def exact(self, rgb: Tensor) -> Tensor:
        """The same."""
        return rgb

    def release(self) -> None:
        """Nothing is kept."""

    def bytes_per_pixel(self, height: int, width: int) -> float:
        """Three float32 planes."""
        return 12.0
