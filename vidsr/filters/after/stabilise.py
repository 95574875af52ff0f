"""Temporal stability: detail of the last frame, carried along the source's motion and blended in where it fits.

A network that sees one frame at a time invents slightly different detail in each, which the eye sees as flicker. The
motion is measured between the *source* frames, which do not flicker; the last result is carried along it; and the
blend is weighted, pixel by pixel, by how well the carried *source* fits the new source. So what moved out of sight
or changed (occlusion, cut, flash) is taken from the network alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vidsr.filters.after.step import StepDescriptor
from vidsr.filters.flow import blended, gaussian, luma, optical_flow, resize_flow, warp
from vidsr.frames import Frame

#: Mean absolute RGB difference (0 to 1) between source and carried source at which the weight has dropped to 1/e.
MISFIT = 0.06
#: Weight of the carried result where it fits perfectly, at amount 1.
FULL_WEIGHT = 0.9
#: A frame in which less than this share of the weight is left starts over: a cut.
CUT_SHARE = 0.25


class Stabilise:
    """Recursive blend along the motion.

    Args:
        amount: 0 (off) to 1. Against the plain network, 0.8 leaves about a quarter of the flicker.
    """

    warmup = 10
    stateless = False

    def __init__(self, amount: float) -> None:
        self.amount = amount
        self._last: tuple[Tensor, Tensor] | None = None  # source, result; [1, 3, ., .]

    def reset(self) -> None:
        """Forget the last frame: the next is taken as it is."""
        self._last = None

    def __call__(self, source: Tensor, out: Tensor, frames: Sequence[Frame]) -> Tensor:
        results = []
        for i in range(source.shape[0]):
            result = self._one(source[i : i + 1], out[i : i + 1])
            self._last = (source[i : i + 1].clone(), result)
            results.append(result)
        return results[0] if len(results) == 1 else torch.cat(results)

    def _one(self, source: Tensor, out: Tensor) -> Tensor:
        if self._last is None or self._last[0].shape != source.shape or self._last[1].shape != out.shape:
            return out
        before, carried = self._last
        motion = optical_flow(luma(source), luma(before))
        fit = self.fit(source, before, motion)
        size = (out.shape[-2], out.shape[-1])
        # A cut is found on the device: to ask would wait for it.
        weight = fit * (FULL_WEIGHT * self.amount) * (fit.mean() >= CUT_SHARE)
        return blended(carried, resize_flow(motion, size, "bicubic"), out, weight)

    @staticmethod
    def fit(source: Tensor, before: Tensor, motion: Tensor) -> Tensor:
        """How well ``before``, carried along ``motion``, fits ``source``: ``[1, 1, h, w]``, 0 to 1.

        The misfit is the larger of the pixel's own and its neighbourhood's, so that a thin edge of an occlusion is
        not judged by the one pixel that happens to match.
        """
        misfit = (warp(before, motion) - source).abs().mean(1, keepdim=True)
        misfit = torch.maximum(misfit, gaussian(misfit, 1.0))
        return torch.exp(-((misfit / MISFIT) ** 2)) * _inside(motion)


def _inside(motion: Tensor) -> Tensor:
    """1 where a pixel's earlier place lies in the picture, else 0; ``[N, 1, h, w]``."""
    height, width = motion.shape[-2:]
    x = torch.arange(width, device=motion.device, dtype=motion.dtype).view(1, 1, width) + motion[:, 0]
    y = torch.arange(height, device=motion.device, dtype=motion.dtype).view(1, height, 1) + motion[:, 1]
    within = (x > -0.75) & (x < width - 0.25) & (y > -0.75) & (y < height - 0.25)
    return within.unsqueeze(1).to(motion.dtype)


STEP = StepDescriptor(
    option="stabilize",
    make=lambda options: Stabilise(options.stabilize) if options.stabilize > 0 else None,
    needs_time=True,
)
