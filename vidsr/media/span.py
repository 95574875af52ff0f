"""A part of a source: which of its frames, from when to when; and the source and its index cut to it.

Options name the part (:class:`~vidsr.options.span_options.SpanOptions`); it is resolved once, against the index, by
:func:`find_span`. All else follows from the :class:`Span`: the frames to make, the packets of other streams to copy
(:mod:`vidsr.media.mux.span_cut`), chapters, timecode, and what a result is verified against.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import Any, Self

from vidsr.errors import InputError
from vidsr.media.index import Enough, VideoIndex
from vidsr.media.source import Chapter, SourceInfo
from vidsr.media.timecode import Timecode
from vidsr.options.span_options import SpanOptions, earliest, write_time

#: A time this far past the end of a source still means its end: players show rounded lengths, or those of the sound.
_PAST_SECONDS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Frames ``first`` to ``stop`` (not included) of a source.

    ``start`` is when the first of them is shown and ``end`` when the last one ends, in seconds on the timeline of the
    index; ``origin`` is when frame 0 of the source is shown. With ``to_end`` nothing is cut off behind: other streams
    may go on after the last frame.
    """

    first: int
    stop: int
    start: Fraction
    end: Fraction
    origin: Fraction
    to_end: bool

    @property
    def low(self) -> Fraction | None:
        """Seconds from which on other streams are kept; None: from their beginning."""
        return self.start if self.first else None

    @property
    def high(self) -> Fraction | None:
        """Seconds up to which other streams are kept; None: to their end."""
        return None if self.to_end else self.end

    def to_json(self) -> dict[str, Any]:
        """Plain values; times as fractions, for :meth:`from_json`, and ``seconds`` after frame 0 for people."""
        return {
            "first": self.first,
            "stop": self.stop,
            "start": str(self.start),
            "end": str(self.end),
            "origin": str(self.origin),
            "to_end": self.to_end,
            "seconds": [round(float(self.start - self.origin), 6), round(float(self.end - self.origin), 6)],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The inverse of :meth:`to_json`."""
        return cls(
            first=data["first"],
            stop=data["stop"],
            start=Fraction(data["start"]),
            end=Fraction(data["end"]),
            origin=Fraction(data["origin"]),
            to_end=data["to_end"],
        )

    def __str__(self) -> str:
        """In words: frames and times."""
        times = [write_time(Fraction(round(1000 * (t - self.origin)), 1000)) for t in (self.start, self.end)]
        return f"frames {self.first} to {self.stop - 1}, {times[0]} to {times[1]}"


def enough_for(options: SpanOptions) -> Enough | None:
    """How much of a source must be indexed to find a span; None: all of it."""
    if options.frames is not None:
        return None if options.frames.stop is None else Enough(frames=options.frames.stop)
    return None if options.finish is None else Enough(seconds=options.finish)


def find_span(options: SpanOptions, index: VideoIndex, name: str) -> Span | None:
    """The frames that the options name in a source; None for all of it.

    A frame belongs to times if it is first shown at or after their start and before their end (see
    :func:`vidsr.options.span_options.earliest`). ``name`` of the source is for messages.

    Raises:
        InputError: the part begins or ends after the source, or holds no frame.
    """
    if options.is_whole:
        return None
    clock, count = index.time_base, len(index)
    if options.frames is not None:
        first, stop = options.frames.first, options.frames.stop or count
        if max(first + 1, stop) > count:
            raise InputError(f"{options}: {name} has {count} frames, 0 to {count - 1}; name frames that are there")
    else:
        first, stop = _between(options, index, name)
    return Span(
        first=first,
        stop=stop,
        start=index.pts[first] * clock,
        end=(index.pts[stop - 1] + index.durations[stop - 1]) * clock,
        origin=index.pts[0] * clock,
        to_end=stop == count and not index.partial,
    )


def _between(options: SpanOptions, index: VideoIndex, name: str) -> tuple[int, int]:
    """The half-open range of frames first shown between the times of ``options``."""
    begin, finish = options.begin, options.finish
    length = (index.pts[-1] + index.durations[-1] - index.pts[0]) * index.time_base
    lasts = f"{name} lasts {_text(length)}"
    first = _number(index, begin)
    if first == len(index):
        raise InputError(f"{options}: {lasts}, its last frame is at {_shown(index, first - 1)}; begin earlier")
    if finish is not None and finish > length + _PAST_SECONDS:
        raise InputError(f"{options}: {lasts}; end earlier, or leave the end out to go on to the end")
    stop = len(index) if finish is None else _number(index, finish)
    if stop <= first:
        before = f"one is shown at {_shown(index, first - 1)}, " if first else ""
        raise InputError(
            f"{options}: no frame of {name} begins in between: {before}the next at {_shown(index, first)}; "
            "make the part longer"
        )
    return first, stop


def _number(index: VideoIndex, time: Fraction) -> int:
    """The first frame at or after a time, in seconds after frame 0; how many frames there are where none is."""
    return bisect_left(index.pts, index.pts[0] + ceil(earliest(time) / index.time_base))


def _shown(index: VideoIndex, number: int) -> str:
    return _text((index.pts[number] - index.pts[0]) * index.time_base)


def _text(time: Fraction) -> str:
    return str(write_time(Fraction(round(1000 * time), 1000)))


@dataclass(frozen=True, slots=True)
class CutIndex:
    """The frames of a span as the network gets them: numbered from ``first`` among those of the whole source."""

    first: int
    index: VideoIndex


def cut_index(span: Span | None, index: VideoIndex, retimed: VideoIndex) -> CutIndex:
    """The frames that restoration makes of a span.

    ``index`` lists the source's frames, ``retimed`` those after filters that change frames or times, which is ``index``
    itself without such filters. Of made frames, those belong that begin within the span. Where the one shown when
    the span begins stays for at least one more source frame (a repeat that was left out), it belongs, too, from the
    beginning of the span on; and the last one ends with the span if it would go on for more than that.
    """
    if span is None:
        return CutIndex(0, retimed)
    if retimed is index:
        return CutIndex(span.first, _sliced(index, span.first, span.stop))
    clock = retimed.time_base
    start, end = span.start / clock, span.end / clock
    first, stop = bisect_left(retimed.pts, start), bisect_left(retimed.pts, end)
    found = first < stop
    pts, durations = list(retimed.pts), list(retimed.durations)
    shown = first - 1
    if shown >= 0:
        left = pts[shown] + durations[shown] - start
        if not found or left >= _ticks(index, span.first, clock):
            first = shown
            pts[shown], durations[shown] = int(start), int(left) if left > 0 else int(end - start)
    over = pts[stop - 1] + durations[stop - 1] - end
    if over >= _ticks(index, span.stop - 1, clock):
        durations[stop - 1] -= int(over)
    return CutIndex(first, _sliced(replace(retimed, pts=pts, durations=durations), first, stop))


def _ticks(index: VideoIndex, number: int, clock: Fraction) -> Fraction:
    """How long a source frame lasts, in ticks of ``clock``."""
    return index.durations[number] * index.time_base / clock


def _sliced(index: VideoIndex, first: int, stop: int) -> VideoIndex:
    return replace(
        index,
        pts=index.pts[first:stop],
        durations=index.durations[first:stop],
        digests=index.digests[first:stop],
        keyframes=tuple(n - first for n in index.keyframes if first <= n < stop),
    )


def cut_info(span: Span | None, info: SourceInfo) -> SourceInfo:
    """The description of a source with the chapters that overlap a span, clipped to it, and its own timecode."""
    if span is None:
        return info
    later = round((span.start - span.origin) * info.video.rate)
    return replace(
        info,
        chapters=tuple(_chapters(span, info.chapters)),
        metadata=_advanced(info.metadata, later, info.video.rate),
        streams=tuple(replace(s, metadata=_advanced(s.metadata, later, info.video.rate)) for s in info.streams),
    )


def _chapters(span: Span, chapters: tuple[Chapter, ...]) -> Iterator[Chapter]:
    for chapter in chapters:
        clock = chapter.time_base
        low = None if span.low is None else round(span.low / clock)
        high = None if span.high is None else round(span.high / clock)
        start = chapter.start if low is None else max(chapter.start, low)
        end = chapter.end if high is None else min(chapter.end, high)
        if start < end or (chapter.start == chapter.end == start and (high is None or start < high)):
            yield replace(chapter, start=start, end=end)


def _advanced(metadata: tuple[tuple[str, str], ...], frames: int, rate: Fraction) -> tuple[tuple[str, str], ...]:
    """Tags with the timecode of a later frame."""
    return tuple(
        (key, later_timecode(value, frames, rate) if key.lower() == "timecode" else value) for key, value in metadata
    )


def later_timecode(text: str, frames: int, rate: Fraction) -> str:
    """The timecode ``frames`` after another; text that is not a timecode comes back unchanged."""
    start = Timecode.parse(text)
    return text if start is None else str(start.later(frames, rate))
