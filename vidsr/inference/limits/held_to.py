"""A network's results held to those of another network, whose results count as supported by the source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class ResultLimit(Protocol):
    """A limit to what a network may add; ``vidsr.jobs.invention.limit.InventionLimit`` is one.

    Called with the source ``[N, 3, h, w]``, the network's result and that of the network :attr:`model`, both
    ``[N, 3, H, W]``; returns the limited result. It keeps nothing between calls.
    """

    @property
    def model(self) -> str:
        """Name in the zoo of the network that results are held to."""

    @property
    def is_total(self) -> bool:
        """Whether nothing of the first network's result is left, so that it need not run."""

    def __call__(self, source: Tensor, out: Tensor, supported: Tensor, /) -> Tensor:
        """The limited result."""


class SupportingNetwork(Protocol):
    """The network that results are held to; an ``Upscaler`` is one."""

    def enlarge(self, rgb: Tensor) -> Tensor:
        """``[N, 3, h, w]`` RGB at the network's own scale, finite."""

    def close(self) -> None:
        """Free it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTo:
    """A limit with the network that results are held to."""

    network: SupportingNetwork
    limit: ResultLimit

    def __call__(self, source: Tensor, out: Tensor, sized: Callable[[Tensor], Tensor]) -> Tensor:
        """``out`` ``[N, 3, H, W]`` held to the network's result, which ``sized`` brings to its size."""
        supported = sized(self.network.enlarge(source))
        if source.device.type != "cpu":
            return self.limit(source, out, supported)
        # One by one, so that no bit depends on the batch.
        singles = zip(*(torch.split(pictures, 1) for pictures in (source, out, supported)), strict=True)
        return torch.cat([self.limit(*one) for one in singles])
