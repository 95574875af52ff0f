"""A codec tried for real: a few small frames encoded in memory, decoded again, and compared."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

from vidsr.errors import DecodeError
from vidsr.frames import Colour, Frame, PixelFormat, Plane
from vidsr.media import libav
from vidsr.media.colour_tags import ColourTags
from vidsr.media.encode.encoder import EncoderSettings, add_video, encoder_picture, segment_format, start_video
from vidsr.media.pixel_formats import planes_of
from vidsr.media.source import VideoInfo
from vidsr.options.enhance_options import EncodeOptions

#: Large enough for every hardware encoder.
_WIDTH, _HEIGHT, _FRAMES, _RATE = 256, 256, 6, Fraction(25)
#: Luma PSNR in dB below which the decoded picture is another one; every codec reaches more at its default quality.
_LEAST_PSNR = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecTrial:
    """The outcome: how many frames came back, the size of the file in bytes, and luma PSNR in dB, at most 99."""

    frames: int
    size: int
    psnr: float


def try_codec(codec: str, *, nvdec: bool = False) -> CodecTrial:
    """Encode a few frames with the settings of a job and decode them, with NVDEC if ``nvdec``.

    Raises:
        EncodeError: the encoder is missing, does not open, or fails.
        DecodeError: the frames do not come back, or not as they were.
    """
    video = VideoInfo(
        stream_index=0,
        codec=codec,
        width=_WIDTH,
        height=_HEIGHT,
        native_format="yuv420p",
        format=_format("yuv420p"),
        colour=Colour(),
        tags=ColourTags(matrix=1, primaries=1, transfer=1),
        time_base=1 / _RATE,
        rate=_RATE,
    )
    settings = EncoderSettings.for_source(video, EncodeOptions(codec=codec), (_WIDTH, _HEIGHT), threads=1)
    frames = [_frame(settings.format.frames, number) for number in range(_FRAMES)]
    data = _encoded(frames, settings)
    decoded = _decoded(data, codec, settings.format.frames, nvdec)
    if len(decoded) != len(frames):
        raise DecodeError(f"{codec}: {len(frames)} frames were encoded, {len(decoded)} came back")
    white = settings.format.frames.max_code
    errors = [
        float(np.mean((frame.planes[0].astype(np.float64) - luma) ** 2))
        for frame, luma in zip(frames, decoded, strict=True)
    ]
    psnr = min(99.0, 10 * float(np.log10(white**2 / max(float(np.mean(errors)), 1e-9))))
    if psnr < _LEAST_PSNR:
        raise DecodeError(f"{codec}: the decoded frames are not those encoded (luma PSNR {psnr:.1f} dB)")
    return CodecTrial(frames=len(decoded), size=len(data), psnr=psnr)


def _format(name: str) -> PixelFormat:
    found = PixelFormat.parse(name)
    assert found is not None
    return found


def _frame(format: PixelFormat, number: int) -> Frame:
    """A smooth pattern that moves, in limited range; chroma neutral."""
    rows, columns = np.mgrid[0:_HEIGHT, 0:_WIDTH]
    luma = 126 + 60 * np.sin((columns + 4 * number) / 17) * np.cos(rows / 23)
    planes = [np.round(luma * 2 ** (format.depth - 8)).astype(format.dtype)]
    for plane in range(1, format.plane_count):
        shape = format.plane_shape(plane, _WIDTH, _HEIGHT)
        planes.append(np.full(shape, 1 << (format.depth - 1), format.dtype))
    return Frame(
        planes=tuple(planes), format=format, colour=Colour(), index=number, pts=number, time_base=1 / _RATE, duration=1
    )


def _encoded(frames: list[Frame], settings: EncoderSettings) -> bytes:
    buffer = io.BytesIO()
    try:
        with av.open(buffer, "w", format=segment_format(settings)) as container:
            stream = add_video(container, settings)
            start_video(container, stream, settings)
            for number, frame in enumerate(frames):
                container.mux(stream.encode(encoder_picture(frame, settings, number)))
            container.mux(stream.encode(None))
    except (libav.AvError, ValueError, OSError) as error:
        raise libav.encode_error(error, settings.codec, "a trial of a few frames") from error
    return buffer.getvalue()


def _decoded(data: bytes, codec: str, format: PixelFormat, nvdec: bool) -> list[Plane]:
    """The luma planes."""
    accelerator = libav.cuda_decoding() if nvdec else None
    try:
        with av.open(io.BytesIO(data), "r", hwaccel=accelerator) as container:
            return [planes_of(picture, format)[0].copy() for picture in container.decode(video=0)]
    except (libav.AvError, ValueError, OSError, NotImplementedError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DecodeError(f"{codec}: the trial's frames cannot be decoded: {reason}") from error
