"""The plan of a job: the frame list of a source cut into segments.

A segment is a half-open range of frame numbers. The cuts depend only on the number of frames and the requested
length, so a plan made twice is the same plan.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Frames ``start`` to ``stop`` (not included) of the source; ``number`` counts segments from 0.

    ``suffix`` is that of its file: NUT for video, ZIP for numbered pictures.
    """

    number: int
    start: int
    stop: int
    suffix: str = ".nut"

    @property
    def frames(self) -> int:
        """How many frames the segment has; at least 1."""
        return self.stop - self.start

    @property
    def file_name(self) -> str:
        """The segment's file inside the job folder's ``segments``."""
        return f"{self.number:06d}{self.suffix}"

    @property
    def master_name(self) -> str:
        """The file next to it that holds the same frames of a preservation master."""
        return master_file(Path(self.file_name)).name


def master_file(path: Path) -> Path:
    """Where the master's part of a segment lies, next to the access copy's."""
    return path.with_name(f"{path.stem}.master{path.suffix}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookaround:
    """How many frames beyond a segment must be seen to compute it.

    ``before`` and ``after`` are frames that filters ahead of the network look at. ``settle`` frames before the
    segment pass through the network too, and are then thrown away, so that a step with memory has settled by
    the first frame that counts.

    Where several frames are seen at once (``window`` above 0), windows of that many frames, at multiples of it, are
    seen whole with ``reach`` frames on either side; ``around`` frames on either side of those computed are drawn too.
    """

    before: int = 0
    after: int = 0
    settle: int = 0
    window: int = 0
    reach: int = 0
    around: int = 0

    @property
    def earlier(self) -> int:
        """Frames before a moment without which its result would be another; windows not counted."""
        return self.before + self.settle + self.around + self.reach

    @property
    def later(self) -> int:
        """Frames after a moment without which its result would be another; windows not counted."""
        return self.after + self.around + self.reach

    @property
    def frames(self) -> int:
        """All frames beyond a segment together, at most."""
        return self.earlier + self.later + 2 * self.window

    def filtered(self, first: int, stop: int, frames: int) -> tuple[int, int]:
        """The half-open range of frames that the filters need to make ``first`` to ``stop`` (not included), of a source
        with ``frames`` frames."""
        return max(0, first - self.before), min(frames, stop + self.after)

    def fed(self, segment: Segment, frames: int) -> tuple[int, int]:
        """The half-open range of frames that enter the stream of the network, after the filters ahead of it."""
        low, high = self.computed(segment)
        if self.window:
            low = low // self.window * self.window - max(self.reach, self.around)
            high = -(-high // self.window) * self.window + max(self.reach, self.around)
        return max(0, low), min(frames, high)

    def computed(self, segment: Segment) -> tuple[int, int]:
        """The half-open range of frames that go through the network for ``segment``."""
        return max(0, segment.start - self.settle), segment.stop


def plan_segments(
    frames: int, segment_frames: int = 256, suffix: str = ".nut", *, first: int = 0
) -> tuple[Segment, ...]:
    """Cut ``frames`` frames from ``first`` on into the fewest segments of at most ``segment_frames``.

    Their lengths differ by at most one frame, so that the last is never tiny: where there is more than one
    segment, each has at least ``segment_frames // 2`` frames. A source without frames has no segments.

    Raises:
        ValueError: ``frames`` is negative or ``segment_frames`` is not positive.
    """
    if frames < 0 or segment_frames < 1:
        raise ValueError(f"cannot cut {frames} frames into segments of {segment_frames}")
    count = -(-frames // segment_frames)
    cuts = [first + number * frames // count for number in range(count + 1)] if count else [first]
    return tuple(
        Segment(number=number, start=start, stop=stop, suffix=suffix)
        for number, (start, stop) in enumerate(pairwise(cuts))
    )


def longest_first(segments: Iterable[Segment]) -> list[Segment]:
    """The order in which to hand segments out, so that workers end at nearly the same time."""
    return sorted(segments, key=lambda s: (-s.frames, s.number))
