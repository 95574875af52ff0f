"""The protocol of a filter ahead of the network, and the window over neighbouring frames that most filters need.

A filter yields one frame for each frame it takes, with the same number and time. ``lookaround`` says how many frames
before and after a frame it must see: a segment is decoded with that many more at each end, and the frames made from
those are thrown away. So the result does not depend on where a recording was cut into segments.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from vidsr.frames import Frame, Plane


class Filter(Protocol):
    """One filter ahead of the network. ``lookaround`` is frames before and after."""

    name: str
    lookaround: tuple[int, int]

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """One frame for each of ``frames``, in their order."""
        ...


@runtime_checkable
class JudgingFilter(Filter, Protocol):
    """A filter that knows how sure it is of each of its changes.

    Its confidence is 1 less the share of the change that may be wrong, 0 to 1. Where that is below
    ``least_confidence``, the frame keeps its values bit for bit.
    """

    least_confidence: float


#: A frame, or what a filter keeps of it.
_Kept = TypeVar("_Kept")
#: From a window of frames and the place in it of the frame to make, the new frame.
Make = Callable[[Sequence[_Kept], int], Frame]


def windowed(frames: Iterator[_Kept], before: int, after: int, make: Make[_Kept]) -> Iterator[Frame]:
    """Call ``make`` for each frame with up to ``before`` and ``after`` neighbours; fewer at the ends."""
    window: deque[_Kept] = deque()
    at = 0  # place in the window of the next frame to make
    for frame in frames:
        window.append(frame)
        if len(window) - at > after:
            yield make(window, at)
            at += 1
            if at > before:
                window.popleft()
                at -= 1
    while at < len(window):
        yield make(window, at)
        at += 1
        if at > before:
            window.popleft()
            at -= 1


def with_planes(frame: Frame, planes: Sequence[Plane]) -> Frame:
    """``frame`` with other planes and all else unchanged."""
    return replace(frame, planes=tuple(planes))


def quantised(values: npt.NDArray[Any], frame: Frame) -> Plane:
    """Float code values as a plane of ``frame``'s sample type, rounded and clipped."""
    limit = frame.format.max_code
    codes: Plane = np.clip(np.rint(values), 0, limit).astype(frame.format.dtype)
    return codes


def scale8(frame: Frame) -> float:
    """Code values of the frame per 8-bit code value."""
    return frame.format.max_code / 255
