"""What neighbouring frames show, mixed into what the network of single frames draws: ``--multiframe``.

A recurrent network (:mod:`vidsr.models.architectures.basicvsr`) runs over windows that lie at fixed frame numbers, each
with :data:`REACH` more frames on either side. The single-frame result of each frame is averaged with those of the
frames before and after it, carried along the motion where the source bears that out, and the two are mixed. All of it
depends on the frames and their numbers only, so a result is the same wherever a segment begins or ends. Cuts end both
propagation and average; a frame that repeats the one before it is not computed again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.errors import InferenceError
from vidsr.filters.after.fidelity import Fidelity
from vidsr.filters.after.stabilise import CUT_SHARE, Stabilise
from vidsr.filters.flow import luma, optical_flow, resize_flow, warp
from vidsr.frames import Frame, Span
from vidsr.models.architectures.basicvsr import carried
from vidsr.models.zoo import RECURRENT_MODEL

#: Frames of a window, which begins at a multiple of it; their backward features are kept until they are used.
WINDOW = 32
#: Frames that a window sees beyond its own, on either side.
REACH = 8
#: Frames on either side whose single-frame results are averaged in.
AROUND = 1


class Recurrent(Protocol):
    """A recurrent network, stepped through a sequence; see :class:`~vidsr.models.architectures.basicvsr.BasicVSR`."""

    def no_features(self, picture: Tensor) -> Tensor:
        """What a frame without a neighbour is given."""

    def backward_trunk(self, picture: Tensor, carried: Tensor) -> Tensor:
        """A frame's features, from those of the next frame."""

    def forward_trunk(self, picture: Tensor, carried: Tensor) -> Tensor:
        """A frame's features, from those of the frame before."""

    def enlarge(self, picture: Tensor, backward: Tensor, forward: Tensor) -> Tensor:
        """A frame's result."""


class Drawn(Protocol):
    """A frame, its source ``[1, 3, h, w]`` and its result ``[1, 3, H, W]``."""

    @property
    def frame(self) -> Frame:
        """The frame."""

    @property
    def source(self) -> Tensor:
        """Its RGB."""

    @property
    def out(self) -> Tensor:
        """Its result."""

    def with_out(self, out: Tensor) -> Self:
        """The same with another result."""


DrawnT = TypeVar("DrawnT", bound=Drawn)


@dataclass(frozen=True, slots=True)
class Multiframe:
    """What the options ask for: the recurrent network's ``share`` in a result, 0 to 1, and the fidelity of the rest
    (as of :class:`~vidsr.filters.after.fidelity.Fidelity`)."""

    share: float
    fidelity: float | None
    model: str = RECURRENT_MODEL

    def over(
        self,
        span: Span,
        network: Recurrent,
        dtype: torch.dtype,
        rgb: Callable[[Frame], Tensor],
        sized: Callable[[Tensor, Frame], Tensor],
        spent: Callable[[float], None],
    ) -> Neighbours:
        """Its part in one stream; see :class:`Neighbours`."""
        return Neighbours(self, span, network, dtype, rgb=rgb, sized=sized, spent=spent)


@dataclass(frozen=True, slots=True)
class _Fed:
    """A frame that the recurrent network sees: RGB ``[1, 3, h, w]``; ``repeats`` the frame before it."""

    frame: Frame
    rgb: Tensor
    repeats: bool


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is known of a frame from its neighbours: the recurrent result, and where its pixels are in the next frame
    and in the one before; None beyond a cut and at the ends."""

    result: Tensor
    to_next: Tensor | None
    to_last: Tensor | None


class Neighbours:
    """The neighbours' part in one stream of frames.

    Args:
        wanted: what the options ask for.
        span: which frames come in, and which of them are to be enlarged.
        network: the recurrent network, of numbers of ``dtype``.
        rgb: a frame as RGB ``[1, 3, h, w]`` float32 on the device.
        sized: (result, frame) → the result at the size and with the neutrality of the stream's target.
        spent: is given the seconds that each result of the recurrent network took.
    """

    def __init__(
        self,
        wanted: Multiframe,
        span: Span,
        network: Recurrent,
        dtype: torch.dtype,
        *,
        rgb: Callable[[Frame], Tensor],
        sized: Callable[[Tensor, Frame], Tensor],
        spent: Callable[[float], None],
    ) -> None:
        self._network, self._share, self._span, self._dtype = network, wanted.share, span, dtype
        self._rgb, self._sized, self._spent = rgb, sized, spent
        self._fidelity = Fidelity(wanted.fidelity)
        self._seen: dict[int, _Seen] = {}
        # Replaced, never written into: a step that ran out of memory is repeated from the state before it.
        self.state: tuple[int, tuple[Any, ...]] = (self._drawn.start, ())

    @property
    def _drawn(self) -> range:
        """The frames that the single-frame network has to draw: those to be enlarged and those around them."""
        return range(max(self._span.first, self._span.start - AROUND), self._span.stop + AROUND)

    def ahead(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The frames to be drawn, each after the recurrent network has seen its window.

        Raises:
            InferenceError: frames of one stream differ in size.
        """
        held: deque[tuple[int, _Fed]] = deque()
        number = self._span.first
        start = self._drawn.start // WINDOW * WINDOW
        while start < self._drawn.stop:
            while number < start + WINDOW + REACH and (frame := next(frames, None)) is not None:
                held.append((number, self._fed(frame, held[-1][1] if held else None)))
                number += 1
            while held and held[0][0] < start - REACH:
                held.popleft()
            window = list(held)
            if window and window[0][1].repeats:  # what it repeats is not part of this window
                window[0] = (window[0][0], replace(window[0][1], repeats=False))
            results = self._results(window, start)
            while (found := self._timed(results)) is not None:
                at, seen, frame = found
                waiting = self.state[0] - AROUND
                self._seen = {n: s for n, s in self._seen.items() if n >= waiting} | {at: seen}
                yield frame
            start += WINDOW
        for _ in frames:  # whoever feeds this need not know where it ends
            pass

    def _timed(self, results: Iterator[tuple[int, _Seen, Frame]]) -> tuple[int, _Seen, Frame] | None:
        """The next result."""
        started = time.perf_counter()
        found = next(results, None)
        self._spent(time.perf_counter() - started)
        return found

    def _fed(self, frame: Frame, last: _Fed | None) -> _Fed:
        if last is not None and last.frame.planes[0].shape != frame.planes[0].shape:
            raise InferenceError(
                f"frame {frame.index} (pts {frame.pts}) is {frame.width}x{frame.height}, the one before it "
                f"{last.frame.width}x{last.frame.height}: --multiframe needs frames of one size; leave it out"
            )
        if last is not None and all(np.array_equal(a, b) for a, b in zip(last.frame.planes, frame.planes, strict=True)):
            return _Fed(frame, last.rgb, True)
        with torch.inference_mode():
            return _Fed(frame, self._rgb(frame), False)

    def _results(self, window: list[tuple[int, _Fed]], start: int) -> Iterator[tuple[int, _Seen, Frame]]:
        """What the window shows of its own frames that are to be drawn, in order."""
        fed = [entry for _, entry in window]
        numbers = [number for number, _ in window]
        own = [start <= n < start + WINDOW and n in self._drawn for n in numbers]
        if not any(own):
            return
        with torch.inference_mode():
            motion = [self._motion(a, b) for a, b in pairwise(fed)]
            backward = self._backward(fed, [pair[0] for pair in motion], own)
        features: Tensor | None = None
        result: Tensor | None = None
        for i, entry in enumerate(fed):
            to_last = motion[i - 1][1] if i else None
            with torch.inference_mode():
                if features is None or not entry.repeats:
                    features, result = self._step(self._network.forward_trunk, entry, features, to_last), None
                if not own[i]:
                    continue
                kept = backward.pop(i)
                if result is None:
                    enlarged = self._network.enlarge(entry.rgb.to(self._dtype), kept.to(self._dtype), features)
                    result = self._sized(enlarged.float(), entry.frame)
                seen = _Seen(result, motion[i][0] if i + 1 < len(fed) else None, to_last)
            yield numbers[i], seen, entry.frame

    def _backward(
        self, fed: Sequence[_Fed], to_next: Sequence[Tensor | None], own: Sequence[bool]
    ) -> dict[int, Tensor]:
        """Backward features in fp16 of the window's own frames, by their place in it."""
        kept: dict[int, Tensor] = {}
        features: Tensor | None = None
        small: Tensor | None = None
        for i in reversed(range(len(fed))):
            if features is None or not fed[i + 1].repeats:
                motion = to_next[i] if i + 1 < len(fed) else None
                features, small = self._step(self._network.backward_trunk, fed[i], features, motion), None
            if own[i]:
                small = features.half() if small is None else small
                kept[i] = small
        return kept

    def _step(
        self, trunk: Callable[[Tensor, Tensor], Tensor], fed: _Fed, features: Tensor | None, motion: Tensor | None
    ) -> Tensor:
        picture = fed.rgb.to(self._dtype)
        if features is None or motion is None:
            return trunk(picture, self._network.no_features(picture))
        return trunk(picture, carried(features, motion))

    @staticmethod
    def _motion(a: _Fed, b: _Fed) -> tuple[Tensor | None, Tensor | None]:
        """Where pixels of ``a`` are in ``b``, and the reverse; None at a cut."""
        if b.repeats:
            still = a.rgb.new_zeros(1, 2, *a.rgb.shape[-2:])
            return still, still
        first, second = luma(a.rgb), luma(b.rgb)
        forth, back = optical_flow(first, second), optical_flow(second, first)
        if float(Stabilise.fit(b.rgb, a.rgb, back).mean()) < CUT_SHARE:
            return None, None
        return forth, back

    def mix(self, drawn: Sequence[DrawnT]) -> list[DrawnT]:
        """The frames that are complete now that ``drawn`` are known too: all but the last, which waits for the next."""
        done = []
        for given in drawn:
            number, held = self.state
            entry = given.with_out(self._fidelity(given.source, given.out, [given.frame]))
            entries = (*held, entry)
            if len(entries) > 1 and number - 1 in range(self._span.start, self._span.stop):
                before = entries[0] if len(entries) == 3 else None
                done.append(self._mixed(number - 1, before, entries[-2], entry))
            self.state = (number + 1, entries[-2:])
        return done

    def waiting(self) -> Any:
        """When the stream has ended: the frame that is to be enlarged and after which nothing came; None if none is."""
        number, held = self.state
        return held[-1] if held and number - 1 in range(self._span.start, self._span.stop) else None

    def last(self, drawn: DrawnT) -> DrawnT:
        """The frame of :meth:`waiting`, mixed with what there is."""
        number, held = self.state
        return self._mixed(number - 1, held[0] if len(held) == 2 else None, drawn, None)

    def _mixed(self, number: int, before: Drawn | None, now: DrawnT, after: Drawn | None) -> DrawnT:
        seen = self._seen[number]
        size = (now.out.shape[-2], now.out.shape[-1])
        total, weights = now.out, torch.ones_like(now.out[:, :1])
        for other, motion in ((before, seen.to_last), (after, seen.to_next)):
            if other is None or motion is None or other.out.shape != now.out.shape:
                continue
            fit = Stabilise.fit(now.source, other.source, motion)
            weight = F.interpolate(fit, size=size, mode="bilinear", align_corners=False)
            total = total + weight * warp(other.out, resize_flow(motion, size, "bicubic"))
            weights = weights + weight
        return now.with_out(torch.lerp(total / weights, seen.result, self._share))
