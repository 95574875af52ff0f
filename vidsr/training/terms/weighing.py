"""The terms of a generator's loss that do not come from a discriminator, each with its weight in the options."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.training.losses import pixel_loss
from vidsr.training.options import StageOptions
from vidsr.training.terms.clips import ping_pong, warping
from vidsr.training.terms.features import LearnedDistance, StructureAndTexture
from vidsr.training.terms.pixels import artefacts, charbonnier, consistency, frequency


class Terms:
    """``terms(result, target, low, averaged)``: the weighted terms of one stage by name, scalars in fp32.

    Pictures ``[N, 3, H, W]`` or clips ``[N, T, 3, H, W]``; ``low`` is what the generator saw. ``averaged()`` gives the
    result of the averaged weights, and is called only where the artefact loss needs it.

    Raises:
        ModelError: a weight above 0 needs VGG16, which is not on this machine.
    """

    def __init__(self, options: StageOptions, device: torch.device, pixel_weight: float = 1.0) -> None:
        self._options, self._pixel_weight = options, pixel_weight
        self._learned = LearnedDistance().to(device) if options.lpips_weight else None
        self._structure = StructureAndTexture().to(device) if options.dists_weight else None

    def __call__(
        self, result: Tensor, target: Tensor, low: Tensor, averaged: Callable[[], Tensor]
    ) -> dict[str, Tensor]:
        o = self._options
        one, other, source = (pictures(x) for x in (result, target, low))
        loss = charbonnier if o.pixel == "charbonnier" else pixel_loss
        terms = {o.pixel: self._pixel_weight * loss(one, other)}
        if o.frequency_weight:
            terms["frequency"] = o.frequency_weight * frequency(one, other)
        if o.consistency_weight:
            terms["consistency"] = o.consistency_weight * consistency(one, source)
        if o.artefact_weight:
            terms["artefacts"] = o.artefact_weight * artefacts(one, other, pictures(averaged()))
        if self._learned is not None:
            terms["lpips"] = o.lpips_weight * self._learned(one, other)
        if self._structure is not None:
            terms["dists"] = o.dists_weight * self._structure(one, other)
        if o.warping_weight:
            scale = target.shape[-1] // low.shape[-1]
            guide = F.avg_pool2d(other, scale).view_as(low)
            terms["warping"] = o.warping_weight * warping(result, guide)
        if o.ping_pong_weight:
            last = result.shape[1] // 2
            terms["ping_pong"] = o.ping_pong_weight * ping_pong(result[:, : last + 1], result[:, last:].flip(1))
        return terms


def pictures(frames: Tensor) -> Tensor:
    """The frames of clips as pictures ``[N·T, 3, H, W]``; pictures as they are."""
    return frames.flatten(0, 1) if frames.ndim == 5 else frames
