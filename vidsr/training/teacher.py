"""A teacher in place of originals: a large network, steadied along the motion, and neighbouring frames mixed in.

What a small network learns from it is the whole chain's result, which flickers less than the large network's own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vidsr.filters.after.propagation import BLUR_PX
from vidsr.filters.after.stabilise import Stabilise
from vidsr.filters.flow import gaussian
from vidsr.models.zoo import RECURRENT_MODEL, load_model
from vidsr.training.options import DistilOptions
from vidsr.training.unrolled import Unrolled


class Teacher:
    """``teacher(low)``: the targets ``[N, T, 3, H, W]`` or ``[N, 3, H, W]`` in 0..1 of clips or pictures.

    Raises:
        ModelError: a model is not on this machine.
    """

    def __init__(self, options: DistilOptions, device: torch.device) -> None:
        self._options = options
        self._network = Unrolled(load_model(options.teacher).network.to(device))
        wanted = options.neighbours > 0
        self._neighbours = Unrolled(load_model(RECURRENT_MODEL).network.to(device)) if wanted else None

    @torch.no_grad()
    def __call__(self, low: Tensor) -> Tensor:
        target, _ = self._network(low)
        if low.ndim == 5:
            target = torch.stack([self._steadied(source, drawn) for source, drawn in zip(low, target, strict=True)])
            if self._neighbours is not None:
                softened = gaussian(low.flatten(0, 1), BLUR_PX).view_as(low)
                target = torch.lerp(target, self._neighbours(softened)[0], self._options.neighbours)
        result: Tensor = target.clamp(0, 1)
        return result

    def _steadied(self, source: Tensor, drawn: Tensor) -> Tensor:
        """One clip ``[T, 3, H, W]`` as ``--stabilize`` leaves it."""
        return Stabilise(self._options.stabilize)(source, drawn, []) if self._options.stabilize else drawn
