"""Which build of the codec libraries this is: segments made by two builds must not be joined."""

from __future__ import annotations

import av

from vidsr.media.codecs import entry


def encoder_build(codec: str) -> str:
    """The encoder behind a codec name and the build it is from, as one line.

    Raises:
        EncodeError: the codec name is unknown.
    """
    avcodec = ".".join(map(str, av.library_versions["libavcodec"]))
    return f"{entry(codec).encoder} of PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}, libavcodec {avcodec}"
