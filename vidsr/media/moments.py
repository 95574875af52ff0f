"""Frames near a moment of a source, found by seeking and without an index; and sizes of packets."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from vidsr.errors import InputError
from vidsr.frames import Frame
from vidsr.media import libav
from vidsr.media.packets import VideoReader
from vidsr.media.pixels import planes_of, to_planar
from vidsr.media.source import SourceInfo

_BACK_SECONDS = 3.0


def duration_seconds(info: SourceInfo) -> float | None:
    """How long the video is by its header, None if that does not say."""
    video = info.video
    if video.duration is not None:
        return float(video.duration * video.time_base)
    if video.declared_frames:
        return float(video.declared_frames / video.rate)
    return None


def frames_near(info: SourceInfo, seconds: float, before: int, count: int) -> list[Frame]:
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
    reader: VideoReader, info: SourceInfo, seconds: float, before: int, count: int, back: float | None
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


def sampled_frame(picture: av.VideoFrame, info: SourceInfo, number: int) -> Frame:
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


def other_bytes(info: SourceInfo) -> int:
    """Bytes of all packets of a source that are not its video: what copying the other streams adds to a result."""
    total = 0
    with libav.open_input(info.path, whole=True) as container:
        streams: list[Any] = [s for s in container.streams if s.index != info.video.stream_index]
        if not streams:
            return 0
        for packet in libav.packets(container, *streams):
            total += packet.size or 0
    return total
