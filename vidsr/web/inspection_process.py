"""Describe one file in a separate process; the arguments are ``inspect``, ``findings`` or ``frame``, then the file.

Uploaded files are opened here and never in the server: a decoder that crashes or hangs takes down only this short
process. ``inspect`` and ``findings`` print JSON, ``frame`` a JPEG.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

from vidsr.errors import VidsrError

_FRAME_WIDTH_PX = 960


def main(argv: list[str]) -> int:
    """Run the command in the first argument on the file in the second; returns the exit code."""
    what, path = argv[0], Path(argv[1])
    try:
        if what == "frame":
            sys.stdout.buffer.write(frame(path, float(argv[2])))
            return 0
        answer = inspect_file(path) if what == "inspect" else findings(path)
    except VidsrError as error:
        answer = {"error": str(error).replace(str(path), path.name)}
    print(json.dumps(answer))
    return 0


def inspect_file(path: Path) -> dict[str, Any]:
    """Describe a video or picture file as plain values.

    Raises:
        InputError: it is neither.
    """
    from vidsr.media.pictures.files import read_picture

    if _is_still(path):
        picture = read_picture(path)
        width, height = picture.size
        depth = 8 * picture.pixels.dtype.itemsize
        picture.close()
        return {
            "kind": "picture", "width": width, "height": height, "format": picture.format,
            "details": f"{picture.mode}, {depth} bit", "seconds": None, "streams": [], "notes": picture.notes,
        }  # fmt: skip
    from vidsr.media.probe import probe

    info = probe(path)
    video = info.video
    seconds = None
    if video.duration is not None:
        seconds = float(video.duration * video.time_base)
    elif video.declared_frames:
        seconds = float(video.declared_frames / video.rate)
    else:
        seconds = _last_time(path)
    streams = [{"kind": s.kind, "codec": s.codec, "language": s.language, "details": s.details} for s in info.streams]
    return {
        "kind": "video", "width": video.width, "height": video.height, "format": video.codec,
        "details": f"{video.native_format}, {float(video.rate):.6g} frames per second (nominal)",
        "seconds": seconds, "streams": streams, "notes": [*info.notes, *video.guessed],
    }  # fmt: skip


def _is_still(path: Path) -> bool:
    from vidsr.media.pictures.files import is_picture

    return is_picture(path) and path.suffix.lower() != ".gif"


def _last_time(path: Path) -> float:
    """The end time of a file whose header does not give its duration, in seconds."""
    from vidsr.media.index import index_video
    from vidsr.media.probe import probe

    index = index_video(probe(path))
    return float((index.pts[-1] - index.pts[0] + index.durations[-1]) * index.time_base)


def findings(path: Path) -> dict[str, Any]:
    """What ``vidsr inspect`` reports about a video, and the options it recommends.

    Raises:
        InputError: it is not a video.
    """
    from vidsr.filters.detect.inspection_text import sentences
    from vidsr.jobs.inspect import inspect_file as look_through

    found, _ = look_through(path)
    return {"sentences": sentences(found), "recommended": found.recommended}


def frame(path: Path, seconds: float) -> bytes:
    """The frame that a video shows ``seconds`` after its start, or a picture, as a small JPEG.

    Raises:
        InputError: it is neither.
    """
    from PIL import Image

    from vidsr.jobs.thumbnails import small_picture, small_rgb

    if _is_still(path):
        small = small_picture(path, _FRAME_WIDTH_PX)
    else:
        from vidsr.media.probe import probe
        from vidsr.media.samples import frames_near

        small = small_rgb(frames_near(probe(path), seconds, 0, 1)[-1], _FRAME_WIDTH_PX)
    memory = io.BytesIO()
    Image.fromarray(small).save(memory, "JPEG", quality=85)
    return memory.getvalue()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
