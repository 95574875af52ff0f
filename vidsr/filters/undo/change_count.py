"""Counts what each filter changed: frames, pixels, and the stretches in which it changed most.

A filter yields one frame for each it takes, in order, so its input and its output are compared on the way, at the cost
of one pass over those planes that are not the same object.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from vidsr.filters.before.filter import Filter, deepened
from vidsr.filters.undo.mask import MaskOf
from vidsr.frames import Frame

#: Frames, from a multiple of this number on, whose changes are added up as one stretch; the most that are kept.
STRETCH_FRAMES, MOST_STRETCHES = 24, 5


@dataclass(slots=True, kw_only=True)
class ChangedStretch:
    """Frames from ``first`` up to ``stop`` that a filter changed, and how many ``pixels`` in them all.

    ``begin`` and ``end`` are their times in seconds.
    """

    first: int
    stop: int
    begin: float
    end: float
    pixels: int


@dataclass(slots=True, kw_only=True)
class FilterChanges:
    """What one filter changed: ``frames`` of ``seen``, ``pixels`` of ``all_pixels`` in those seen, and where most.

    A pixel counts once, whichever of its planes differ.
    """

    name: str
    seen: int = 0
    frames: int = 0
    pixels: int = 0
    all_pixels: int = 0
    most: list[ChangedStretch] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> FilterChanges:
        """The inverse of :meth:`to_json`."""
        return cls(**{**data, "most": [ChangedStretch(**stretch) for stretch in data["most"]]})

    def add(self, number: int, was: Frame, now: Frame) -> None:
        """Count what frame ``number`` became."""
        size = now.width * now.height
        pixels = changed_pixels(was, now)
        self.seen, self.all_pixels = self.seen + 1, self.all_pixels + size
        if pixels == 0:
            return
        self.frames, self.pixels = self.frames + 1, self.pixels + pixels
        begin = float(now.pts * now.time_base)
        stretch = ChangedStretch(
            first=number,
            stop=number + 1,
            begin=begin,
            end=begin + float((now.duration or 0) * now.time_base),
            pixels=pixels,
        )
        if self.most and self.most[-1].first // STRETCH_FRAMES == number // STRETCH_FRAMES:
            self.most[-1] = _joined(self.most[-1], stretch)
        else:
            self.most.append(stretch)

    def shortened(self) -> FilterChanges:
        """With the stretches that matter: those changed most, and those at either end, which a neighbour may share."""
        if len(self.most) <= MOST_STRETCHES + 2:
            return self
        strongest = sorted(self.most[1:-1], key=_by_pixels)[:MOST_STRETCHES]
        kept = sorted([self.most[0], *strongest, self.most[-1]], key=lambda stretch: stretch.first)
        return replace(self, most=kept)


def watched(
    filter_: Filter,
    frames: Iterator[Frame],
    first: int,
    *,
    mask: MaskOf | None = None,
    counted: range = range(0),
    into: FilterChanges | None = None,
) -> Generator[Frame]:
    """The frames that ``filter_`` makes of ``frames``, numbered from ``first``, held to ``mask``.

    What it changed in the frames ``counted`` is added to ``into``.
    """
    held: deque[Frame] = deque()

    def kept() -> Generator[Frame]:
        for frame in frames:
            held.append(frame)
            yield frame

    with closing(kept()) as source:
        made = filter_(source)
        try:
            for number, frame in enumerate(made, first):
                was = held.popleft()
                now = frame if mask is None else mask(number).applied(was, frame)
                if into is not None and number in counted:
                    into.add(number, was, now)
                yield now
        finally:
            close = getattr(made, "close", None)
            if close is not None:
                close()


def changed_pixels(was: Frame, now: Frame) -> int:
    """How many pixels differ between two frames; 0 where their size does, which cropping changes."""
    if was.format.depth != now.format.depth:
        was = deepened(was)
    different: np.ndarray[Any, np.dtype[np.bool_]] | None = None
    for old, new in zip(was.planes, now.planes, strict=True):
        if old is new or old.shape != new.shape:
            continue
        changed = old != new
        if changed.any():
            whole = changed if changed.shape == now.planes[0].shape else _enlarged(changed, now)
            different = whole if different is None else different | whole
    return 0 if different is None else int(np.count_nonzero(different))


def _enlarged(changed: np.ndarray[Any, np.dtype[np.bool_]], frame: Frame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Samples of chroma as the pixels that they cover."""
    across, down = 1 << frame.format.log2_chroma_w, 1 << frame.format.log2_chroma_h
    return np.asarray(changed.repeat(down, 0).repeat(across, 1)[: frame.height, : frame.width])


def together(segments: Iterable[Sequence[FilterChanges]]) -> tuple[FilterChanges, ...]:
    """The changes of all segments of a job, one entry per filter in the order in which they act.

    The stretches are those changed most, strongest first.
    """
    found: dict[str, FilterChanges] = {}
    for segment in segments:
        for changes in segment:
            total = found.setdefault(changes.name, FilterChanges(name=changes.name))
            for name, value in _counts(changes).items():
                setattr(total, name, getattr(total, name) + value)
            total.most += changes.most
    for total in found.values():
        by_number: dict[int, ChangedStretch] = {}
        for stretch in total.most:
            place = stretch.first // STRETCH_FRAMES
            by_number[place] = _joined(by_number[place], stretch) if place in by_number else stretch
        total.most = sorted(by_number.values(), key=_by_pixels)[:MOST_STRETCHES]
    return tuple(found.values())


def _counts(changes: FilterChanges) -> dict[str, int]:
    return {name: getattr(changes, name) for name in ("seen", "frames", "pixels", "all_pixels")}


def _by_pixels(stretch: ChangedStretch) -> tuple[int, int]:
    return -stretch.pixels, stretch.first


def _joined(one: ChangedStretch, other: ChangedStretch) -> ChangedStretch:
    return ChangedStretch(
        first=min(one.first, other.first),
        stop=max(one.stop, other.stop),
        begin=min(one.begin, other.begin),
        end=max(one.end, other.end),
        pixels=one.pixels + other.pixels,
    )
