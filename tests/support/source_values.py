"""Small made-up values for unit tests of media."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from vidsr.frames import Colour, PixelFormat
from vidsr.media.colour_tags import ColourTags
from vidsr.media.source import SourceInfo, StreamInfo, VideoInfo


def video_info(native: str = "yuv420p", **more: Any) -> VideoInfo:
    """A VideoInfo with sensible defaults."""
    format = PixelFormat.parse(native)
    assert format is not None
    values: dict[str, Any] = {
        "stream_index": 0,
        "codec": "h264",
        "width": 64,
        "height": 48,
        "native_format": native,
        "format": format,
        "colour": Colour(),
        "tags": ColourTags(matrix=1),
        "time_base": Fraction(1, 1000),
        "rate": Fraction(24),
    }
    return VideoInfo(**(values | more))


def source_info(video: VideoInfo | None = None, *streams: StreamInfo, **more: Any) -> SourceInfo:
    """A SourceInfo around a video."""
    video = video or video_info()
    first = StreamInfo(index=0, kind="video", codec=video.codec)
    values: dict[str, Any] = {"path": Path("clip.mkv"), "container": "matroska,webm", "streams": (first, *streams)}
    return SourceInfo(**(values | {"video": video} | more))
