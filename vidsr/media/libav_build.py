"""What the FFmpeg inside PyAV was built with: versions, decoders and hardware decoding."""

from __future__ import annotations

from typing import Any

import av
from av.codec import hwaccel

from vidsr.media.libav import AvError, cuda_trouble

#: Decoders of the formats that users' sources come in. AV1's is libdav1d; FFmpeg's own needs hardware.
_DECODERS = ("h264", "hevc", "libdav1d", "vp9", "vp8", "mpeg2video", "mpeg4", "vc1", "dvvideo", "prores", "ffv1")


def describe_build() -> dict[str, Any]:
    """The versions of PyAV and of FFmpeg in it, its licence, and how it was configured."""
    from av._core import library_meta

    codec = library_meta["libavcodec"]
    return {
        "pyav": av.__version__,
        "ffmpeg": av.ffmpeg_version_info,
        "libavcodec": ".".join(map(str, av.library_versions["libavcodec"])),
        "license": codec["license"],
        "configuration": codec["configuration"],
    }


def decoders() -> dict[str, bool]:
    """FFmpeg's name of a decoder → whether this build has it."""
    return {name: _has_decoder(name) for name in _DECODERS}


def hardware_decoders() -> list[str]:
    """Kinds of hardware decoding that this build knows; that says nothing of the hardware."""
    return sorted(hwaccel.hwdevices_available())


def nvdec_trouble() -> str | None:
    """Why NVDEC cannot decode here, or None if it can."""
    if "cuda" not in hwaccel.hwdevices_available():
        return "this build of PyAV has no CUDA decoding"
    return cuda_trouble()


def _has_decoder(name: str) -> bool:
    try:
        av.Codec(name, "r")
    except (AvError, ValueError):
        return False
    return True
