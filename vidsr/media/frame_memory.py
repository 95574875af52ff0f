"""The least memory that a job needs, whatever the model: that of its frames."""

from __future__ import annotations

from vidsr.errors import InputError
from vidsr.media.source import VideoInfo
from vidsr.system_memory import available_bytes

#: Frames alive at once: both channels and the batches between them; the decoder's references; the encoder's
#: look-ahead and references (x264 medium: 40 + threads, others are alike).
_IN_FLIGHT, _DECODER_FRAMES, _ENCODER_FRAMES = 20, 8, 50
#: fp32 RGB copies of one result frame while it is resized, converted and quantised.
_FLOAT_COPIES = 3


def frame_bytes(width: int, height: int, depth: int) -> int:
    """Bytes of one 4:2:0 frame."""
    return width * height * 3 // 2 * (1 if depth <= 8 else 2)


def job_bytes(video: VideoInfo, size: tuple[int, int]) -> int:
    """Bytes that a job needs in addition to its network, which can work in tiles."""
    source = frame_bytes(video.width, video.height, video.format.depth)
    result = frame_bytes(*size, video.format.depth)
    floats = _FLOAT_COPIES * 3 * 4 * size[0] * size[1]
    return source * (_IN_FLIGHT + _DECODER_FRAMES) + result * (_IN_FLIGHT + _ENCODER_FRAMES) + floats


def check_memory(video: VideoInfo, size: tuple[int, int]) -> None:
    """Refuse a job whose frames alone cannot fit.

    Raises:
        InputError: with the estimate, what is free, and what to do.
    """
    free, need = available_bytes(), job_bytes(video, size)
    if free is not None and need > free:
        raise InputError(
            f"{video.width}x{video.height} to {size[0]}x{size[1]} needs about {need / 1e9:.1f} GB for its frames, "
            f"{free / 1e9:.1f} GB are free: choose a smaller --scale, or use a machine with more memory"
        )
