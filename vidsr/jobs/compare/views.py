"""Pairs of frames of two videos as the quality measures want them: the same size, RGB, luma, codes for VMAF."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidsr.frames import Colour, Frame, PixelFormat
from vidsr.inference.colour import rgb_from_planes, unit_from_codes
from vidsr.inference.device_copy import stack_planes
from vidsr.inference.resize import resize
from vidsr.media.decode import read_frames
from vidsr.media.index import VideoIndex
from vidsr.media.source import StoredInfo
from vidsr.quality.comparison import View
from vidsr.quality.full_reference import luma601

Fit = Literal["none", "reference", "other"]


@dataclass(frozen=True, slots=True)
class Opened:
    """A probed and indexed video, and the numbers of its frames that take part."""

    info: StoredInfo
    index: VideoIndex
    part: range

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.info.video.width, self.info.video.height

    def length(self) -> Fraction:
        """Seconds from the first frame of the part to the end of its last one."""
        index, last = self.index, self.part[-1]
        return (index.pts[last] + index.durations[last] - index.pts[self.part[0]]) * index.time_base

    def step(self) -> Fraction:
        """Seconds that the last frame of the part lasts."""
        return self.index.durations[self.part[-1]] * self.index.time_base

    def seconds(self) -> list[Fraction]:
        """When each frame is shown."""
        return [pts * self.index.time_base for pts in self.index.pts]

    def part_seconds(self) -> list[Fraction]:
        """When each frame of the part is shown."""
        return [self.index.pts[number] * self.index.time_base for number in self.part]


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Turns frames into views of one size; ``scale`` describes the luma that both sides are brought to.

    Luma is compared in the reference's range: code values over the largest one, as ffmpeg's psnr filter counts.
    RGB sources are given the luma of BT.601.
    """

    size: tuple[int, int]
    colour: Colour
    depth: int
    device: torch.device

    def __call__(self, frame: Frame) -> View:
        """The view of one frame."""
        planes = [stack_planes([plane]).to(self.device) for plane in frame.planes]
        rgb = rgb_from_planes(planes, frame.format, frame.colour)
        if frame.format.family == "rgb":
            luma = luma601(rgb)
            limited = luma
        else:
            unit = unit_from_codes(planes[0], frame.format, frame.colour).unsqueeze(1)
            limited = (unit * 219 + 16) / 255
            luma = limited if self.colour.range == "limited" else unit
            if self.depth > 8 and self.colour.range == "limited":
                # Over the largest code value: 10-bit limited range ends at 940 of 1023, not at 235 of 255.
                luma = (unit * 219 + 16) * (1 << (frame.format.depth - 8)) / frame.format.max_code
        height_width = (self.size[1], self.size[0])
        rgb = resize(rgb, height_width).clamp(0, 1)
        return View(rgb=rgb, luma=resize(luma, height_width), codes=self._codes(frame, resize(limited, height_width)))

    def codes(self, frame: Frame, size: tuple[int, int]) -> npt.NDArray[Any]:
        """The frame's luma for VMAF at another ``size`` (width, height)."""
        planes = [
            stack_planes([plane]).to(self.device) for plane in frame.planes[: 3 if frame.format.family == "rgb" else 1]
        ]
        if frame.format.family == "rgb":
            limited = luma601(rgb_from_planes(planes, frame.format, frame.colour))
        else:
            limited = (unit_from_codes(planes[0], frame.format, frame.colour).unsqueeze(1) * 219 + 16) / 255
        return self._rounded(resize(limited, (size[1], size[0])))

    def _codes(self, frame: Frame, limited: Tensor) -> npt.NDArray[Any]:
        """The luma for VMAF; the frame's own plane where that is what it wants already."""
        same = (frame.width, frame.height) == self.size and frame.format.depth == self.depth
        if same and frame.format.family != "rgb" and frame.colour.range == "limited":
            return frame.planes[0]
        return self._rounded(limited)

    def _rounded(self, limited: Tensor) -> npt.NDArray[Any]:
        largest = 255 * (1 << (self.depth - 8))
        codes = (limited[0, 0] * largest).round().clamp(0, (1 << self.depth) - 1)
        return codes.cpu().numpy().astype(np.uint8 if self.depth == 8 else np.uint16)


def vmaf_depth(formats: tuple[PixelFormat, PixelFormat]) -> int:
    """Bits at which VMAF compares two formats: 8 where both have 8, else 10."""
    return 8 if max(f.depth for f in formats) == 8 else 10


def joint_size(reference: Opened, other: Opened, fit: Fit) -> tuple[int, int]:
    """(width, height) at which the two are compared."""
    return other.size if fit == "other" else reference.size


def paired_frames(
    reference: Opened, other: Opened, pairs: Sequence[tuple[int, int]]
) -> Iterator[tuple[Frame, Frame, bool]]:
    """(reference frame, its partner, whether both directly follow the pair before), decoding each video once."""
    last_i, last_j = pairs[-1]
    left = read_frames(reference.info, pairs[0][0], last_i + 1, reference.index)
    right = read_frames(other.info, pairs[0][1], last_j + 1, other.index)
    before: tuple[int, int] | None = None
    for i, j in pairs:
        mine = next(frame for frame in left if frame.index == i)
        yours = next(frame for frame in right if frame.index == j)
        yield mine, yours, before == (i - 1, j - 1)
        before = (i, j)


Align = Literal["pts", "index"]


@dataclass(frozen=True, slots=True)
class FramePairs:
    """``pairs`` of frame numbers (reference, other), rising in both; ``shift`` was added to the other's times."""

    pairs: tuple[tuple[int, int], ...]
    shift: Fraction = Fraction(0)


def pair_up(reference: Sequence[Fraction], other: Sequence[Fraction], align: Align = "pts") -> FramePairs:
    """Pair frames by the times (seconds) at which they are shown.

    Two frames belong together if their times differ by less than half of the shortest time between two frames of
    either video: no frame can then have two partners. If the times as they stand pair fewer frames than the times
    counted from each video's first frame do, the latter are used (some containers cannot start later than 0).
    With ``align`` "index" frames are paired by number.
    """
    if align == "index":
        return FramePairs(tuple((i, i) for i in range(min(len(reference), len(other)))))
    plain = _match(reference, other)
    if not reference or not other or len(plain) == min(len(reference), len(other)):
        return FramePairs(plain)
    shift = reference[0] - other[0]
    shifted = _match(reference, [t + shift for t in other])
    return FramePairs(shifted, shift) if len(shifted) > len(plain) else FramePairs(plain)


def _match(reference: Sequence[Fraction], other: Sequence[Fraction]) -> tuple[tuple[int, int], ...]:
    gaps = [b - a for times in (reference, other) for a, b in pairwise(times)]
    reach = min(gaps) / 2 if gaps else Fraction(1, 2)
    pairs = []
    i = j = 0
    while i < len(reference) and j < len(other):
        distance = other[j] - reference[i]
        if abs(distance) < reach:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif distance > 0:
            i += 1
        else:
            j += 1
    return tuple(pairs)
