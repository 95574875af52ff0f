"""A network that takes its own last result, run over a stream: the result is carried along the source's motion.

What the network is given depends on the frames that it has drawn since the stream began or since the last cut, so a
segment begins :data:`WARMUP` frames early, as it does for steps with memory. Frames that repeat the one before are not
drawn, and change nothing.

The motion is measured between the *source* frames, and a pixel's trust is how well the carried source fits the new
one, both as for ``--stabilize`` (:mod:`vidsr.filters.after.stabilise`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vidsr.filters.after.stabilise import CUT_SHARE, Stabilise
from vidsr.filters.flow import luma, optical_flow, resize_flow, warp
from vidsr.models.architectures.recurrent_compact import folded

#: Frames before a segment that are drawn and discarded.
WARMUP = 10


def known_from(picture: Tensor, before: Tensor, last: Tensor) -> Tensor:
    """What a recurrent compact network is given: a frame and what is known of it from the frame before.

    Args:
        picture, before: the frame and the one before it, ``[N, 3, h, w]``, RGB in 0..1. They get no gradient.
        last: the result of the one before, ``[N, 3, h·s, w·s]``; it gets its gradient.

    Returns:
        ``[N, 3 + state, h, w]``; see :func:`vidsr.models.architectures.recurrent_compact.folded`.
    """
    with torch.no_grad():
        motion = optical_flow(luma(picture), luma(before))
        trust = Stabilise.fit(picture, before, motion)
        # A cut is found on the device: to ask would wait for it.
        trust = trust * (trust.mean((1, 2, 3), keepdim=True) >= CUT_SHARE)
        large = resize_flow(motion, (last.shape[-2], last.shape[-1]), "bicubic")
    return folded(picture, warp(last, large), trust)


@dataclass(frozen=True, slots=True)
class _Last:
    """The last picture and its result, whose values that are not finite are 0; then ``sound`` is 0 too, else 1."""

    picture: Tensor
    result: Tensor
    sound: Tensor

    def known(self, picture: Tensor) -> Tensor:
        """The next picture and what is known of it; alone where its size is another.

        What overflowed in half precision is computed again as a first frame; nothing of it is carried on.
        """
        if picture.shape != self.picture.shape:
            return picture
        known = known_from(picture, self.picture, self.result)
        return torch.cat((picture, known[:, picture.shape[1] :] * self.sound), 1)


class LastResult:
    """``run`` over ``[N, 3, h, w]`` in order, each picture with what is known from the one before.

    Args:
        run: ``[1, C, h, w]`` to ``[1, 3, h·s, w·s]``, where C has the channels of the state or not.
    """

    def __init__(self, run: Callable[[Tensor], Tensor]) -> None:
        self._run = run
        # Replaced, never written into: a step that ran out of memory is repeated from the state before it.
        self.state: _Last | None = None

    def __call__(self, rgb: Tensor) -> Tensor:
        """The results ``[N, 3, h·s, w·s]``; the next call continues after the last of them."""
        results, state = [], self.state
        for picture in torch.split(rgb, 1):
            out = self._run(picture if state is None else state.known(picture))
            state = _Last(picture.clone(), torch.nan_to_num(out, 0.0, 0.0, 0.0), torch.isfinite(out.sum()).float())
            results.append(out)
        self.state = state
        return results[0] if len(results) == 1 else torch.cat(results)
