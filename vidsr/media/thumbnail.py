"""A small picture of a video file, for people who watch."""

from __future__ import annotations

import io
from pathlib import Path

import av
from PIL import Image

from vidsr.media.libav import AvError

_WIDTH = 480


def last_frame_jpeg(path: Path) -> bytes | None:
    """The last keyframe of a file, which may still be growing, as a JPEG of at most 480 pixels width; None if none."""
    last = None
    try:
        with av.open(str(path)) as container:
            container.streams.video[0].codec_context.skip_frame = "NONKEY"
            for frame in container.decode(video=0):
                last = frame
    except (AvError, OSError, ValueError, IndexError):
        pass
    if last is None:
        return None
    width = min(_WIDTH, last.width)
    pixels = last.reformat(width, max(1, round(last.height * width / last.width)), "rgb24").to_ndarray()
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=80)
    return out.getvalue()
