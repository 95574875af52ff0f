"""Stretches of consecutive frames from all over a source, for looking at; found quickly rather than exactly."""

from __future__ import annotations

from collections.abc import Iterator

from vidsr.frames import Frame
from vidsr.media import libav
from vidsr.media.moments import sampled_frame
from vidsr.media.packets import VideoReader
from vidsr.media.source import SourceInfo

#: Sources of up to this many frames are read whole.
WHOLE_FRAMES = 900
_STRETCH_BYTES = 200_000_000


def expected_frames(info: SourceInfo) -> int | None:
    """How many frames the source says it has, or that its duration promises; None if it says neither."""
    video = info.video
    if video.declared_frames:
        return video.declared_frames
    return video.duration // video.step if video.duration else None


def stretches(
    info: SourceInfo, places: int = 24, length: int = 31, whole: int = WHOLE_FRAMES
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


def _fitting(info: SourceInfo) -> int:
    video = info.video
    size = video.width * video.height * (2 if video.format.depth > 8 else 1) * 2
    return max(31, min(250, _STRETCH_BYTES // size))


def _sampled(info: SourceInfo, total: int, places: int, length: int) -> Iterator[tuple[float, list[Frame]]]:
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
