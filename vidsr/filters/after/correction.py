"""Steps that correct the result at the source's own resolution, and how several of them share the work.

Such a step (:class:`Correction`) looks at what the result, averaged down, lacks of the source, and decides what of that
to follow; the answer is added to the result, enlarged. Averaging and enlarging are linear: for any number of
corrections in a row the result is averaged down once, everything happens at the source's size, and their sum is
enlarged once.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from vidsr.filters.resample import area_down, cubic_up, without
from vidsr.frames import Frame

#: Rounds of back-projection of each correction.
ROUNDS = 2

#: What of a lack ``[N, 3, h, w]`` is followed; linear.
Follow = Callable[[Tensor], Tensor]

#: What each thread has measured of which source.
_LAST = threading.local()


class Source:
    """The source of a correction, ``rgb`` ``[N, 3, h, w]``, with what has been measured of it."""

    def __init__(self, rgb: Tensor) -> None:
        self.rgb = rgb
        self._known: dict[Callable[[Tensor], Tensor], Tensor] = {}

    @classmethod
    def of(cls, rgb: Tensor) -> Source:
        """The source ``rgb``; on a CPU with what this thread has measured of it last, if that was the same tensor.

        Steps between two corrections leave the source alone. On a GPU a captured graph must measure anew.
        """
        source = cls(rgb)
        if rgb.device.type == "cpu":
            last: weakref.ref[Tensor] | None = getattr(_LAST, "rgb", None)
            if last is not None and last() is rgb:
                source._known = _LAST.known
            _LAST.rgb, _LAST.known = weakref.ref(rgb), source._known
        return source

    def measured(self, measure: Callable[[Tensor], Tensor]) -> Tensor:
        """``measure(rgb)``, computed once however many corrections ask."""
        if measure not in self._known:
            self._known[measure] = measure(self.rgb)
        return self._known[measure]


class Correction:
    """One such step. As a step of its own it keeps nothing between frames."""

    warmup = 0
    stateless = True

    def follow(self, source: Source, missing: Tensor, size: tuple[int, int]) -> Follow | None:
        """What of a lack is followed, or None where nothing is.

        Args:
            source: N pictures.
            missing: the source minus the result averaged down, ``[N, 3, h, w]``.
            size: (rows, columns) of the result.
        """
        raise NotImplementedError

    def neutral(self, source: Source) -> Tensor | None:
        """Which results are to have equal channels: boolean ``[N]``, or None for none."""
        return None

    def __call__(self, source: Tensor, out: Tensor, frames: Sequence[Frame]) -> Tensor:
        """See :class:`~vidsr.filters.after.step.PostStep`."""
        return _corrected((self,), source, out)

    def reset(self) -> None:
        """Nothing is kept between frames."""


class Corrections:
    """Several corrections, one after the other, as one step."""

    warmup = 0
    stateless = True

    def __init__(self, steps: Sequence[Correction]) -> None:
        self.steps = tuple(steps)

    def __call__(self, source: Tensor, out: Tensor, frames: Sequence[Frame]) -> Tensor:
        """See :class:`~vidsr.filters.after.step.PostStep`."""
        return _corrected(self.steps, source, out)

    def reset(self) -> None:
        """Nothing is kept between frames."""


def _corrected(steps: Sequence[Correction], rgb: Tensor, out: Tensor) -> Tensor:
    """``out`` ``[N, 3, H, W]`` as the corrections leave it."""
    source, size = Source.of(rgb), (out.shape[-2], out.shape[-1])
    missing = rgb - area_down(out, (rgb.shape[-2], rgb.shape[-1]))
    total: Tensor | None = None
    change: Tensor | None = None  # followed, but still part of `missing`
    neutral: list[Tensor] = []
    for step in steps:
        if change is not None:
            missing, change = without(missing, change, size), None
        follow, grey = step.follow(source, missing, size), step.neutral(source)
        if follow is not None:
            for _ in range(ROUNDS):
                missing = missing if change is None else without(missing, change, size)
                change = follow(missing)
                total = change if total is None else total + change
        neutral += [] if grey is None else [grey]
    if total is not None and neutral and out.device.type != "cpu":
        return _added_and_neutralised(out, total, neutral)
    if total is not None:
        out = cubic_up(total, size, out)
    for grey in neutral:
        out = _neutralised(out, grey)
    return out


def _added_and_neutralised(out: Tensor, total: Tensor, neutral: Sequence[Tensor]) -> Tensor:
    """``out`` plus ``total`` enlarged, with equal channels where ``neutral`` says so, in two passes over the result.

    Equal channels are a product with a 3×3 matrix, which may be taken at the small size as well as at the large one.
    """
    grey = torch.stack(list(neutral)).any(0).view(-1, 1, 1)
    channels = out.shape[1]
    alone, mean = _mixings(channels, str(out.device))
    mixing = torch.where(grey, mean, alone)
    small = torch.bmm(mixing, total.flatten(2)).view(total.shape)
    large = cubic_up(small, (out.shape[-2], out.shape[-1])).contiguous()
    large.flatten(2).baddbmm_(mixing, out.flatten(2))
    return large


@lru_cache(maxsize=8)
def _mixings(channels: int, device: str) -> tuple[Tensor, Tensor]:
    """The matrices ``[channels, channels]`` that leave channels alone, and that give each their mean."""
    alone = torch.eye(channels)
    return alone.to(device), torch.full_like(alone, 1 / channels).to(device)


def _neutralised(out: Tensor, grey: Tensor) -> Tensor:
    """``out`` ``[N, 3, H, W]`` with the mean of its channels in each of them, where ``grey`` ``[N]``."""
    if grey.device.type == "cpu" and not bool(grey.any()):
        return out
    mean = out.mean(1, keepdim=True).expand_as(out)
    return torch.where(grey.view(-1, 1, 1, 1), mean, out)
