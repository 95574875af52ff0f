"""Features of a recurrent network over one window of frames after another: ``--multiframe``'s propagation.

A chain carries features from frame to frame. In either direction each window has one of its own, which begins
:data:`REACH` frames before the window's first frame, or after its last. A chain that has just begun knows less than one
that has run for long, so results would jump where one window ends and the next begins. Therefore the chains of the two
windows fade into each other: backward over the first :data:`FADE` frames of a window, forward over its last ones, where
both run anyway. All of this depends on frame numbers only, so features are the same wherever a stream begins or ends;
in a stream that goes on, a window continues the chains that the one before it has begun.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from vidsr.filters.flow import gaussian
from vidsr.models.architectures.basicvsr import carried

#: Frames of a window, which begins at a multiple of it; their backward features are kept until they are used.
WINDOW = 32
#: Frames that a window sees beyond its own, on either side.
REACH = 12
#: Frames over which the chain of one window fades into that of the next, in either direction; fewer than ``REACH``.
FADE = 4
#: The source is blurred by this many pixels for the recurrent network, which was trained on blurrier reductions than
#: area averaging or a camera's pixels; see docs/decisions/063-several-frames.md.
BLUR_PX = 0.4

MotionPair = tuple[Tensor | None, Tensor | None]


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


@dataclass(frozen=True, slots=True)
class FrameWindow:
    """What one window sees, and which of its frames are to be enlarged.

    ``start`` is the number of the window's first frame and ``first`` that of the first one that it sees. ``pictures``
    are RGB ``[1, 3, h, w]`` of all that it sees; ``repeats`` says of each whether it equals the one before it, and
    ``motion`` where the pixels of each are in the next and the reverse, None at a cut. ``own`` are the numbers of those
    to be enlarged. ``altered`` pictures are not those that another window sees of the same frames.
    """

    start: int
    first: int
    pictures: Sequence[Tensor]
    repeats: Sequence[bool]
    motion: Sequence[MotionPair]
    own: range
    altered: bool = False

    @property
    def stop(self) -> int:
        """Number after the last frame that it sees."""
        return self.first + len(self.pictures)

    @property
    def end(self) -> int:
        """Number of the next window's first frame."""
        return self.start + WINDOW

    @property
    def earlier_ends(self) -> int:
        """Number after the last frame that the window before it sees; its own first if there is none before it."""
        return min(self.stop, self.start + REACH) if self.first < self.start else self.start

    @property
    def goes_on(self) -> bool:
        """Whether another window follows it."""
        return self.stop > self.end

    def step(self, number: int, from_: int) -> tuple[bool, Tensor | None]:
        """Whether a frame equals an adjacent one, and where its pixels are in that one, None beyond a cut."""
        low = min(number, from_) - self.first
        return self.repeats[low + 1], self.motion[low][0 if from_ > number else 1]


@dataclass(frozen=True, slots=True)
class Features:
    """Features of frame ``number`` in both directions; ``same``: they are those of the frame before."""

    number: int
    backward: Tensor
    forward: Tensor
    same: bool


@dataclass(frozen=True, slots=True)
class _Begun:
    """Chains of the window that begins at ``start``, begun by the one before it: that one's backward features of frames
    from there on, in fp16, and forward features of the frame before it."""

    start: int
    backward: dict[int, Tensor] = field(default_factory=dict)
    forward: Tensor | None = None


class Propagation:
    """A recurrent ``network`` of numbers of ``dtype``, over windows in order."""

    def __init__(self, network: Recurrent, dtype: torch.dtype) -> None:
        self._network, self._dtype = network, dtype
        self._begun: _Begun | None = None

    def seen(self, rgb: Tensor) -> Tensor:
        """A frame as the network sees it."""
        return gaussian(rgb, BLUR_PX).to(self._dtype)

    def through(self, window: FrameWindow) -> Iterator[Features]:
        """Features of the window's own frames, in order. Call within ``torch.inference_mode`` at each step."""
        begun = self._begun if self._begun and self._begun.start == window.start and not window.altered else None
        self._begun = None
        earlier = begun.backward if begun and begun.backward else self._earlier(window)
        kept, later = self._backward(window)
        begins = window.first if begun is None or begun.forward is None else window.start
        own = self._chain(window, range(begins, window.own.stop), None if begun is None else begun.forward)
        following = window.goes_on and window.own.stop > window.end - FADE
        reached = max(window.first, window.end - REACH)
        next_ = self._chain(window, range(reached, window.own.stop)) if following else iter(())
        coming: Tensor | None = None
        last_shares = (1.0, 0.0)
        for number, features in own:
            coming = next(next_)[1] if following and number >= reached else None
            if number not in window.own:
                continue
            backward, forward = kept.pop(number).to(self._dtype), features
            shares = (
                _share(number - window.start) if number in earlier else 1.0,
                0.0 if coming is None else _share(number - (window.end - FADE)),
            )
            if shares[0] < 1:
                backward = earlier[number].to(self._dtype).lerp(backward, shares[0])
            if coming is not None and shares[1] > 0:
                forward = forward.lerp(coming, shares[1])
            repeats = number > window.own.start and window.repeats[number - window.first]
            yield Features(number, backward, forward, same=repeats and shares == last_shares)
            last_shares = shares
        if not window.altered and window.goes_on and window.own.stop == window.end:
            self._begun = _Begun(window.end, later, coming)

    def _earlier(self, window: FrameWindow) -> dict[int, Tensor]:
        """Backward features of the window before, in fp16, of the first of these frames; none where they do not count
        or are this window's own."""
        if window.own.start >= window.start + FADE or window.earlier_ends in (window.start, window.stop):
            return {}
        numbers = range(window.earlier_ends - 1, window.own.start - 1, -1)
        return {n: f.half() for n, f in self._chain(window, numbers) if n < window.start + FADE}

    def _backward(self, window: FrameWindow) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        """Backward features in fp16 of the window's own frames, and of those of the next window that they fade into."""
        kept: dict[int, Tensor] = {}
        later: dict[int, Tensor] = {}
        features: Tensor | None = None
        small: Tensor | None = None
        for number, found in self._chain(window, range(window.stop - 1, window.own.start - 1, -1)):
            if small is None or found is not features:
                features, small = found, None
            into = kept if number in window.own else later if window.end <= number < window.end + FADE else None
            if into is not None:
                into[number] = small = found.half() if small is None else small
        return kept, later

    def _chain(
        self, window: FrameWindow, numbers: range, features: Tensor | None = None
    ) -> Iterator[tuple[int, Tensor]]:
        """Features of these frames, in the order of ``numbers``. Where the chain has begun before them, ``features``
        are those of the frame ahead."""
        trunk = self._network.backward_trunk if numbers.step < 0 else self._network.forward_trunk
        for number in numbers:
            repeats, motion = (False, None) if features is None else window.step(number, number - numbers.step)
            if features is None or not repeats:
                picture = self.seen(window.pictures[number - window.first])
                if features is None or motion is None:
                    features = trunk(picture, self._network.no_features(picture))
                else:
                    features = trunk(picture, carried(features, motion))
            yield number, features


def kept_bytes_per_pixel(features: int, *, cleaned: bool) -> int:
    """Bytes per source pixel that a window keeps while it runs, with a network of this many ``features``.

    Of every frame that it sees, RGB and motion in both directions in fp32, twice where a copy is ``cleaned`` of noise;
    features in fp16 of its own frames and of both fades; and features of three chains and the frame in fp32.
    """
    frames = 4 * (3 + 2 * 2) * (WINDOW + 2 * REACH)
    return frames * (2 if cleaned else 1) + 2 * features * (WINDOW + 2 * FADE) + 4 * (3 * features + 3)


def _share(frames: int) -> float:
    """Share of the chain that is fading in, ``frames`` after it began to."""
    return min(1.0, max(0.0, (frames + 1) / (FADE + 1)))
