"""Decode a range of frames of a source, as planes with their true timestamps."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import av

from vidsr.errors import DecodeError
from vidsr.frames import Frame, PixelFormat, Plane
from vidsr.media import libav
from vidsr.media.encode.alpha import blend_over
from vidsr.media.index import VideoIndex, frame_digest, index_video
from vidsr.media.pixel_formats import planar_format, planes_of, to_planar
from vidsr.media.reader import VideoReader
from vidsr.media.source import ReadableInfo, VideoInfo

#: How far before the wanted frame a seek aims, in seconds, one try after the other.
_BACK_OFF_SECONDS = (0.5, 2.0, 8.0)


def read_frames(
    info: ReadableInfo, start: int = 0, stop: int | None = None, index: VideoIndex | None = None
) -> Iterator[Frame]:
    """Yield frames ``start`` to ``stop`` (exclusive; None: to the end) in display order.

    Planes view the decoder's memory: never write into them. All frames have the first frame's size and format;
    others are rescaled to it. ``index`` saves the pass that finds the timestamps.

    Raises:
        DecodeError: a frame of the index cannot be decoded any more; the message names it.
    """
    known = index if index is not None else index_video(info)
    end = len(known) if stop is None else min(stop, len(known))
    if start >= end:
        return
    reader, decoded = _at(info, known, start)
    try:
        for number in range(start, end):
            picture = _next(decoded, info, number, end)
            yield _frame(picture, info, known, number)
    finally:
        reader.close()


def _next(decoded: Iterator[av.VideoFrame], info: ReadableInfo, number: int, end: int) -> av.VideoFrame:
    try:
        picture = next(decoded, None)
    except libav.AvError as error:
        raise DecodeError(f"{info.path}: frame {number} cannot be decoded: {error.strerror}") from error
    if picture is None:
        raise DecodeError(
            f"{info.path} ends at frame {number}, but {end} frames were there when the job began: "
            "the file was changed or cut off meanwhile"
        )
    return picture


def _frame(picture: av.VideoFrame, info: ReadableInfo, index: VideoIndex, number: int) -> Frame:
    video = info.video
    format: PixelFormat = video.format
    if (picture.width, picture.height) != (video.width, video.height):
        picture = to_planar(picture, format, (video.width, video.height))
    planes = planes_of(picture, format) if video.flatten is None else _blended(picture, video)
    return Frame(
        planes=planes,
        format=format,
        colour=video.colour,
        index=number,
        pts=index.pts[number],
        time_base=index.time_base,
        duration=index.durations[number],
    )


def _blended(picture: av.VideoFrame, video: VideoInfo) -> tuple[Plane, ...]:
    transparent = planar_format(str(picture.format.name))
    assert video.flatten is not None
    if not transparent.alpha:
        return planes_of(picture, video.format)
    return blend_over(planes_of(picture, transparent), transparent, video.colour, video.flatten)


def _at(info: ReadableInfo, index: VideoIndex, start: int) -> tuple[VideoReader, Iterator[av.VideoFrame]]:
    """A reader whose next frame is frame ``start``: by seeking where that is sure, else from the beginning."""
    if start and not index.linear and not index.shifts:
        for back in _BACK_OFF_SECONDS:
            reader = VideoReader(info)
            try:
                found = _seek(reader, index, start, back)
            except BaseException:
                reader.close()
                raise
            if found is not None:
                return reader, found
            reader.close()
    reader = VideoReader(info)
    frames = reader.frames()
    for number in range(start):
        if next(frames, None) is None:
            reader.close()
            raise DecodeError(f"{info.path} ends at frame {number}, before frame {start} where this part begins")
    return reader, frames


def _seek(reader: VideoReader, index: VideoIndex, start: int, back: float) -> Iterator[av.VideoFrame] | None:
    """Frames from ``start`` on after a seek, or None where the landing cannot be trusted.

    A landing counts only if the frame before ``start`` comes out, with its own digest, after at least one other:
    the first frames behind a seek may belong to a group of pictures whose start was never decoded.
    """
    anchor = index.pts[start - 1]
    target = anchor - round(back / index.time_base)
    if target <= index.pts[0]:
        return None
    try:
        reader.container.seek(target, stream=reader.stream)
    except (libav.AvError, OSError):
        return None
    frames = reader.frames()
    for seen, frame in enumerate(frames):
        if frame.pts is None or frame.pts > anchor:
            return None
        if frame.pts == anchor:
            if not seen or not _same(frame, index.digests, start - 1):
                return None
            following = next(frames, None)
            if following is None or following.pts != index.pts[start] or not _same(following, index.digests, start):
                return None
            return itertools.chain([following], frames)
    return None


def _same(frame: Any, digests: Sequence[int], number: int) -> bool:
    return not digests or frame_digest(frame) == digests[number]


class SequentialReader:
    """Keeps one decoder open between reads. A read that begins where the last one ended continues from there; ``keep``
    frames before that are remembered. Where seeking is impossible, a later read continues, too; any other read starts a
    new decoder."""

    def __init__(self, info: ReadableInfo, index: VideoIndex, keep: int = 0) -> None:
        self._info = info
        self._index = index
        self._recent: deque[Frame] = deque(maxlen=keep)
        self._frames: Iterator[Frame] | None = None
        self._position = 0

    def read(self, first: int, stop: int) -> Iterator[Frame]:
        """Frames ``first`` to ``stop`` (not included), as :func:`vidsr.media.decode.read_frames` gives them."""
        late = first > self._position and not self._index.linear
        if self._frames is None or late or first < self._position - len(self._recent):
            self._start(0 if self._index.linear else first)
        for frame in list(self._recent):
            if first <= frame.index < stop:
                yield frame
        while self._position < stop:
            frame = self._next()
            self._position += 1
            self._recent.append(frame)
            if frame.index >= first:
                yield frame

    def close(self) -> None:
        """Close the source; the next read opens it again."""
        close = getattr(self._frames, "close", None)
        if close is not None:
            close()
        self._frames = None

    def _start(self, first: int) -> None:
        self.close()
        self._frames, self._position = read_frames(self._info, first, None, self._index), first
        self._recent.clear()

    def _next(self) -> Frame:
        assert self._frames is not None
        try:
            return next(self._frames)
        except BaseException:
            self._frames = None  # a generator that raised has ended: the next read starts anew
            raise
