"""How clips move: bins of speed, and the motion of each clip along the project's own optical flow."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from vidsr.filters.flow import halved, luma, pyramid, pyramid_flow, warp
from vidsr.training.dataset.clips.clip_store import Clip8

#: Bounds of the bins in px a frame, at the clip's own size: each bin begins at one and ends at the next.
BINS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
#: A frame does not follow from the one before, as after a cut or a flash, if what motion leaves unexplained in half of
#: its pixels or more exceeds this (difference of luma, of 1) and so many times what it usually is in the clip.
#: Something that passes quickly leaves more unexplained, but in fewer pixels.
_BREAK, _TIMES = 0.02, 3.0


def bin_of(motion: float) -> int:
    """The number of the bin that a motion, px a frame, falls into."""
    return int(np.searchsorted(BINS, motion, side="right")) - 1


def bin_names() -> list[str]:
    """ "0 to 0.25", …, "8 and more": px a frame."""
    return [*(f"{a:g} to {b:g}" for a, b in pairwise(BINS)), f"{BINS[-1]:g} and more"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipMotion:
    """How a clip moves, px a frame.

    Attributes:
        mean: mean length of the motion.
        fastest: the 95th percentile of that length.
        camera: length of the median vector, mean over the frames.
        own: mean length of what is left without the median vector.
        broken: the frame that does not follow from the one before; 0 if there is none.
    """

    mean: float
    fastest: float
    camera: float
    own: float
    broken: int

    def facts(self) -> dict[str, float]:
        """The four motions, rounded to 1/1000 px."""
        return {name: round(value, 3) for name, value in asdict(self).items() if name != "broken"}


def measure(clip: Clip8) -> ClipMotion:
    """The motion of ``[T, H, W, 3]``, measured at half its size."""
    # One frame at a time: sums over a batch may depend on its size.
    levels = [pyramid(halved(_luma(frame))) for frame in clip]
    flows, unexplained = [], []
    for before, now in pairwise(levels):
        flow = pyramid_flow(now, before)
        unexplained.append(float((now[0] - warp(before[0], flow)).abs().median()))
        flows.append(2 * flow[0].flatten(1).numpy())
    lengths = np.concatenate([np.hypot(*flow) for flow in flows])
    medians = [np.median(flow, axis=1) for flow in flows]
    own = np.concatenate([np.hypot(*(f - m[:, None])) for f, m in zip(flows, medians, strict=True)])
    worst = int(np.argmax(unexplained))
    return ClipMotion(
        mean=float(lengths.mean()),
        fastest=float(np.percentile(lengths, 95)),
        camera=float(np.mean([np.hypot(*m) for m in medians])),
        own=float(own.mean()),
        broken=worst + 1 if unexplained[worst] > max(_BREAK, _TIMES * float(np.median(unexplained))) else 0,
    )


def _luma(frame: Clip8) -> Tensor:
    return luma(torch.from_numpy(np.array(frame)).permute(2, 0, 1)[None].float() / 255)
