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


#: Bits of a sample where a filter's result has more than the source's code values can hold.
DEEP = 16


def deepened(frame: Frame) -> Frame:
    """The same picture with samples of :data:`DEEP` bits."""
    if frame.format.depth == DEEP:
        return frame
    planes = tuple(deep_plane(plane.astype(np.float32), frame, number) for number, plane in enumerate(frame.planes))
    return replace(frame, planes=planes, format=frame.format.with_depth(DEEP))


def deep_plane(values: npt.NDArray[Any], frame: Frame, number: int) -> Plane:
    """Float code values of one plane of ``frame`` as code values of :data:`DEEP` bits (ITU-T H.273, equations 20 to 35:
    limited range is scaled by a power of 2, full range so that its largest code stays the largest)."""
    format = frame.format
    alpha = format.alpha and number == format.plane_count - 1
    gain, offset = float(1 << (DEEP - format.depth)), 0.0
    if alpha or frame.colour.range == "full":
        gain = ((1 << DEEP) - 1) / format.max_code
        if not alpha and number and format.family == "yuv" and frame.colour.matrix != "gbr":
            offset = (1 << (DEEP - 1)) - gain * (1 << (format.depth - 1))
    codes: Plane = np.clip(np.rint(values * np.float32(gain) + np.float32(offset)), 0, (1 << DEEP) - 1)
    return codes.astype(np.uint16)


def scale8(frame: Frame) -> float:
    """Code values of the frame per 8-bit code value."""
    return frame.format.max_code / 255
