"""Changes single frames of a batch, and hands the others through as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vidsr.frames import Frame

#: The result ``[1, 3, H, W]`` of one frame, of its source, its picture and itself; None where it stays as it is.
ChangeOne = Callable[[Tensor, Tensor, Frame], Tensor | None]


def frame_by_frame(change: ChangeOne, source: Tensor, out: Tensor, frames: Sequence[Frame]) -> Tensor:
    """``out`` ``[N, 3, H, W]`` with what ``change`` makes of its frames, in order.

    It is ``out`` itself where no frame changes, and where the result is no larger than ``source`` ``[N, 3, h, w]``, for
    nothing finer than the source was added then.
    """
    if out.shape[-2] <= source.shape[-2] or out.shape[-1] <= source.shape[-1]:
        return out
    made = [change(*one) for one in zip(torch.split(source, 1), torch.split(out, 1), frames, strict=True)]
    if all(one is None for one in made):
        return out
    return torch.cat([out[i : i + 1] if one is None else one for i, one in enumerate(made)])
