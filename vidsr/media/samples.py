"""Stretches of consecutive frames from all over a source, for looking at; found quickly rather than exactly."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from vidsr.errors import InputError
from vidsr.frames import Frame
from vidsr.media import libav
from vidsr.media.pixel_formats import planes_of, to_planar
from vidsr.media.reader import VideoReader
from vidsr.media.source import ReadableInfo
from vidsr.media.span import Span

#: Sources of up to this many frames are read whole.
WHOLE_FRAMES = 900
_STRETCH_BYTES = 200_000_000


def expected_frames(info: ReadableInfo) -> int | None:
    """How many frames the source says it has, or that its duration promises; None if it says neither."""
    video = info.video
    if video.declared_frames:
        return video.declared_frames
    return video.duration // video.step if video.duration else None


def stretches(
    info: ReadableInfo, places: int = 24, length: int = 31, whole: int = WHOLE_FRAMES
) -> Iterator[tuple[float, list[Frame]]]:
    """(share of the source passed, frames) for ``places`` stretches of ``length`` frames, or for all of a short source.

    Sources of up to ``whole`` frames are read from end to end, in stretches that overlap by one frame. Frame numbers
    of others are reckoned from their time.
    """
    total = expected_frames(info)
    if total is not None and total > max(whole, places * length):
        yield from _sampled(info, total, places, length)
        return
    # Unknown lengths are read whole up to the limit, then sampled no further.
    limit = min(_fitting(info), whole)
    with VideoReader(info) as reader:
        held: list[Frame] = []
        seen = 0
        for picture in reader.frames():
            held.append(sampled_frame(picture, info, seen))
            seen += 1
            if len(held) == limit:
                yield (seen / total if total else 0.5), held
                held = held[-1:]
            if total is None and seen >= whole:
                break
        if len(held) > 1 or (held and seen == 1):
            yield 1.0, held


def _fitting(info: ReadableInfo) -> int:
    video = info.video
    size = video.width * video.height * (2 if video.format.depth > 8 else 1) * 2
    return max(31, min(250, _STRETCH_BYTES // size))


def _sampled(info: ReadableInfo, total: int, places: int, length: int) -> Iterator[tuple[float, list[Frame]]]:
    video = info.video
    start = video.start or 0
    for place in range(places):
        first = total * (2 * place + 1) // (2 * places)
        with VideoReader(info) as reader:
            try:
                if first:
                    reader.container.seek(start + first * video.step, stream=reader.stream)
            except (libav.AvError, OSError):
                return
            held: list[Frame] = []
            for picture in reader.frames():
                at = first + len(held) if picture.pts is None else (picture.pts - start) // video.step
                held.append(sampled_frame(picture, info, max(0, int(at))))
                if len(held) == length:
                    break
        if held:
            yield (place + 1) / places, held


_BACK_SECONDS = 3.0


def duration_seconds(info: ReadableInfo) -> float | None:
    """How long the video is by its header, None if that does not say."""
    video = info.video
    if video.duration is not None:
        return float(video.duration * video.time_base)
    if video.declared_frames:
        return float(video.declared_frames / video.rate)
    return None


def frames_near(info: ReadableInfo, seconds: float, before: int, count: int) -> list[Frame]:
    """``count`` frames from the one shown at ``seconds`` after the video's start, and up to ``before`` ahead of it.

    A moment behind the end means the last frames. Frames are numbered from 0 within the list; their pts are the
    source's.

    Raises:
        InputError: no frame can be decoded.
    """
    for back in (_BACK_SECONDS, None):
        with VideoReader(info) as reader:
            found = _near(reader, info, seconds, before, count, back)
        if found:
            return [sampled_frame(picture, info, number) for number, picture in enumerate(found)]
    raise InputError(f"{info.path}: no frame can be decoded near {seconds:g} s")


def _near(
    reader: VideoReader, info: ReadableInfo, seconds: float, before: int, count: int, back: float | None
) -> list[av.VideoFrame]:
    """The frames after a seek ``back`` seconds ahead of the moment, or from the beginning; [] if that went wrong."""
    video = info.video
    target = (video.start or 0) + round(seconds / video.time_base)
    if back is not None:
        if seconds < back:
            return []
        try:
            reader.container.seek(target - round(back / video.time_base), stream=reader.stream)
        except (libav.AvError, OSError):
            return []
    held: deque[av.VideoFrame] = deque(maxlen=before + count + 1)
    shown, after = False, 0
    for number, frame in enumerate(reader.frames()):
        pts = frame.pts if frame.pts is not None else number * video.step
        if back is not None and number == 0 and pts > target:
            return []
        if pts > target and not shown and held:
            shown = True
        if shown:
            after += 1
            if after >= count:
                break
        held.append(frame)
    frames = list(held)
    return frames[-(before + count) :]


def sampled_frame(picture: av.VideoFrame, info: ReadableInfo, number: int) -> Frame:
    """A decoded picture as a frame, without an index: its number and time are as good as the file says."""
    video = info.video
    if (picture.width, picture.height) != (video.width, video.height):
        picture = to_planar(picture, video.format, (video.width, video.height))
    return Frame(
        planes=planes_of(picture, video.format),
        format=video.format,
        colour=video.colour,
        index=number,
        pts=picture.pts if picture.pts is not None else number * video.step,
        time_base=video.time_base,
        duration=video.step,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoPackets:
    """How many packets the video of a file has, and their bytes together."""

    count: int
    total: int


def video_packets(path: Path) -> VideoPackets:
    """The packets of the first video stream of a file."""
    with libav.open_input(path) as container:
        sizes = [packet.size for packet in container.demux(container.streams.video[0]) if packet.size]
    return VideoPackets(count=len(sizes), total=sum(sizes))


def other_bytes(info: ReadableInfo, span: Span | None = None) -> int:
    """Bytes of all packets of a source, or of a part of it, that are not its video: what copying adds to a result."""
    total = 0
    with libav.open_input(info.path, whole=True) as container:
        streams: list[Any] = [s for s in container.streams if s.index != info.video.stream_index]
        if not streams:
            return 0
        for packet in libav.packets(container, *streams):
            if span is None or _within(packet, span):
                total += packet.size or 0
    return total


def _within(packet: Any, span: Span) -> bool:
    """Whether a packet begins in a span; one without a time counts."""
    if packet.pts is None:
        return True
    at = packet.pts * packet.time_base
    return (span.low is None or at >= span.low) and (span.high is None or at < span.high)
