"""Encode one segment: frames in, a NUT file on a plain index timeline out, whole or not at all."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import av.container
import numpy as np

from vidsr.errors import DiskFullError, EncodeError
from vidsr.frames import Frame, PixelFormat, Plane
from vidsr.media import libav
from vidsr.media.encode import svt
from vidsr.media.encode.codecs import EncoderFormat, encode_formats, entry, row_of, trouble
from vidsr.media.encode.hdr import hdr_params
from vidsr.media.source import NO_HDR, HdrInfo, VideoInfo
from vidsr.options.enhance_options import EncodeOptions
from vidsr.storage import publish

_BITEXACT_CONTAINER, _BITEXACT_CODEC = 0x0400, 1 << 23
#: Frames between keyframes: not less than a segment is long by default, so that a segment has one at its start.
KEYINT = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSettings:
    """Everything except the frames that decides the bytes of a segment. Make one with :meth:`for_source`.

    ``rate`` is nominal and only guides the encoder's rate control. ``threads`` is pinned, because x264 and x265
    write other bits with another count.
    """

    codec: str
    width: int
    height: int
    format: EncoderFormat
    rate: Fraction
    sar: Fraction = Fraction(1)
    crf: float | None = None
    preset: str | None = None
    extra: tuple[tuple[str, str], ...] = ()
    hdr: HdrInfo = NO_HDR
    threads: int = 1

    @classmethod
    def for_source(
        cls, video: VideoInfo, options: EncodeOptions, size: tuple[int, int], *, threads: int | None = None
    ) -> EncoderSettings:
        """Settings for a result of ``size`` (width, height) made from ``video``.

        Raises:
            EncodeError: the codec is unknown or not in this build, or cannot have the depth asked for.
        """
        codec = entry(options.codec)
        if codec.hardware and (why := trouble(options.codec)) is not None:
            raise EncodeError(f"{options.codec} does not work on this machine: {why}")
        return cls(
            codec=options.codec,
            width=size[0],
            height=size[1],
            format=encode_formats(video, options),
            rate=min(video.rate, Fraction(codec.max_rate or video.rate)),
            sar=video.sar,
            crf=options.crf,
            preset=options.preset,
            hdr=video.hdr,
            extra=tuple((text.partition("=")[0], text.partition("=")[2]) for text in options.encoder_options),
            threads=threads or min(16, os.cpu_count() or 1),
        )

    def encoder_options(self) -> dict[str, str]:
        """The options handed to the encoder, private parameter strings joined."""
        codec = entry(self.codec)
        options = dict(codec.options)
        if codec.sliced:
            # As FFV1 does by itself on one thread: pictures larger than CIF are cut.
            options["slices"] = "4" if self.width > 352 or self.height > 288 else "1"
        crf = self.crf if self.crf is not None else codec.crf
        if crf is not None:
            options[codec.crf_key] = f"{crf:g}"
        if (preset := self.preset or codec.preset) is not None:
            options[codec.preset_key] = preset
        params = dict(codec.params)
        if codec.hdr is not None and (self.hdr.mastering or self.hdr.light_level):
            params |= hdr_params(codec.hdr, self.hdr)
        given = dict(self.extra)
        if codec.params_key:
            theirs = given.pop(codec.params_key, "")
            params |= {codec.threads_param: str(self.threads)} if codec.threads_param else {}
            params |= dict(codec.params_with_avx512) if _has_avx512() else {}
            joined = ":".join(f"{k}={v}" for k, v in params.items())
            options[codec.params_key] = ":".join(part for part in (joined, theirs) if part)
        if self.format.tags.chroma_location:
            options["chroma_sample_location"] = self.format.tags.chroma_location
        return options | given

    @property
    def alpha_aside(self) -> bool:
        """Whether alpha is a second picture in each packet's BlockAdditions, which only Matroska and WebM can hold."""
        return entry(self.codec).alpha_aside and self.format.frames.alpha


@cache
def _has_avx512() -> bool:
    try:
        return "avx512bw" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


class SegmentEncoder:
    """Writes frames to ``path`` as one independent segment, pts 0, 1, 2…; a context manager.

    The file gets its name only in :meth:`close`, whole and synced; until then it is ``path`` + ``.part``.
    Leaving the ``with`` block by an exception aborts: nothing is left.
    """

    def __init__(self, path: Path, settings: EncoderSettings) -> None:
        self.path = path
        self.settings = settings
        self.frames = 0
        self._part = path.with_name(path.name + ".part")
        self._container: av.container.OutputContainer | None = None
        with libav.writing(self._part, "opening"):
            self._container = av.open(f"file:{self._part.absolute()}", "w", format=segment_format(settings))
        try:
            self._stream = add_video(self._container, settings)
            start_video(self._container, self._stream, settings)
        except BaseException:
            self.abort()
            raise

    def __enter__(self) -> SegmentEncoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def write(self, frame: Frame) -> None:
        """Encode one frame.

        Raises:
            EncodeError: the frame has the wrong size or format, or the encoder failed on it.
            DiskFullError: no space is left.
            OutputError: the file cannot be written any more.
        """
        if self._container is None:
            raise EncodeError(f"{self.path}: this segment is already closed")
        s = self.settings
        if (frame.width, frame.height) != (s.width, s.height) or frame.format != s.format.frames:
            raise EncodeError(
                f"frame {frame.index}: got {frame.width}x{frame.height} {frame.format.name}, the encoder was "
                f"opened for {s.width}x{s.height} {s.format.frames.name}"
            )
        try:
            packets = self._stream.encode(encoder_picture(frame, s, self.frames))
        except (libav.AvError, ValueError, OSError) as error:
            raise libav.encode_error(error, s.codec, f"frame {frame.index}") from error
        self.frames += 1
        self._mux(packets)

    def close(self) -> None:
        """Drain the encoder, finish the file, sync it and give it its name.

        Raises:
            EncodeError: the encoder failed, or did not give back as many packets as frames went in.
            DiskFullError: no space is left.
            OutputError: the file cannot be written.
        """
        if self._container is None:
            return
        try:
            try:
                packets = self._stream.encode(None) if self.frames else []
            except (libav.AvError, ValueError, OSError) as error:
                raise libav.encode_error(error, self.settings.codec, "the end") from error
            self._mux(packets)
            container, self._container = self._container, None
            with libav.writing(self._part, "closing"):
                container.close()
                publish(self._part, self.path)
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Drop the segment: close and remove what was written."""
        container, self._container = self._container, None
        if container is not None:
            with contextlib.suppress(libav.AvError, OSError, ValueError):
                container.close()
        self._part.unlink(missing_ok=True)

    def _mux(self, packets: list[Any]) -> None:
        if not packets:
            return
        with libav.writing(self._part):
            assert self._container is not None
            self._container.mux(packets)


def encoder_picture(frame: Frame, settings: EncoderSettings, pts: int) -> av.VideoFrame:
    """A frame as the encoder of ``settings`` takes it: its pixel format and tags, ``pts`` in units of 1 / rate."""
    planar = PixelFormat.parse(settings.format.pixel_format) or settings.format.frames
    picture = av.VideoFrame(frame.width, frame.height, planar.name)
    for number in range(planar.plane_count):
        target = writable_plane(picture, number, planar)
        if number < len(frame.planes) and frame.format.family == planar.family:
            np.copyto(target, frame.planes[number])
        elif number == 0:
            np.copyto(target, frame.planes[0])
        else:
            # Grey in a codec that has only YUV: neutral chroma, so that nothing is tinted.
            target.fill(1 << (planar.depth - 1))
    if planar.name != settings.format.pixel_format:
        picture = picture.reformat(format=settings.format.pixel_format)
    tags = settings.format.tags
    picture.pts, picture.time_base = pts, 1 / settings.rate
    picture.colorspace, picture.color_range = tags.matrix, 2 if tags.full_range else 1
    picture.color_primaries, picture.color_trc = tags.primaries, tags.transfer
    return picture


def segment_format(settings: EncoderSettings) -> str:
    """The container of a segment: NUT, readable up to the last frame after a crash, or Matroska for what NUT
    cannot hold."""
    held = ".nut" in row_of(entry(settings.codec).base).containers and not settings.alpha_aside
    return "nut" if held else "matroska"


def writable_plane(picture: av.VideoFrame, number: int, format: PixelFormat) -> Plane:
    """A plane of a new picture as an array that may be written."""
    rows, columns = format.plane_shape(number, picture.width, picture.height)
    plane = picture.planes[number]
    stride = plane.line_size // format.dtype.itemsize
    flat: Plane = np.frombuffer(plane, format.dtype)  # type: ignore[call-overload]
    return flat[: rows * stride].reshape(rows, stride)[:, :columns]


def add_video(container: av.container.OutputContainer, settings: EncoderSettings) -> Any:
    """Add the video stream of ``settings`` to an output container, its encoder not yet open.

    Raises:
        EncodeError: the container or the encoder refuses the settings.
    """
    codec = entry(settings.codec)
    container.flags |= _BITEXACT_CONTAINER
    try:
        stream: Any = container.add_stream(codec.encoder, rate=settings.rate, options=settings.encoder_options())
        context = stream.codec_context
        context.width, context.height = settings.width, settings.height
        context.pix_fmt = settings.format.pixel_format
        context.time_base = 1 / settings.rate
        context.sample_aspect_ratio = settings.sar
        context.thread_count = settings.threads
        context.flags |= _BITEXACT_CODEC
        if "g" not in dict(codec.options):
            context.gop_size = KEYINT
        tag_colour(context, settings)
    except (libav.AvError, ValueError, OverflowError, TypeError) as error:
        raise _refusal(settings, error) from error
    return stream


def start_video(container: av.container.OutputContainer, stream: Any, settings: EncoderSettings) -> None:
    """Open the encoder and write the header.

    Raises:
        EncodeError: the encoder refuses its settings, or knows no option of that name.
        OutputError: the container refuses another stream.
        DiskFullError: no space is left.
    """
    try:
        with svt.tamed():
            container.start_encoding()
    except (libav.AvError, ValueError, OSError) as error:
        # A trial in memory has no name.
        name = container.format.name if container.name == "<none>" else container.name
        mapped = libav.output_error(error, Path(name), "opening")
        of_container = isinstance(mapped, DiskFullError) or stream.codec_context.is_open
        raise (mapped if of_container else _refusal(settings, error)) from error
    unknown = sorted(set(stream.codec_context.options) & set(settings.encoder_options()))
    if unknown:
        encoder = entry(settings.codec).encoder
        raise EncodeError(f"the {settings.codec} encoder ({encoder}) knows no option {', '.join(unknown)}")


def _refusal(settings: EncoderSettings, error: BaseException) -> EncodeError:
    given = " ".join(f"{k}={v}" for k, v in settings.encoder_options().items())
    return EncodeError(
        f"the {settings.codec} encoder ({entry(settings.codec).encoder}) refuses {settings.width}x{settings.height} "
        f"{settings.format.pixel_format} with {given}: {getattr(error, 'strerror', None) or error}"
    )


def tag_colour(context: Any, settings: EncoderSettings) -> None:
    """Write the colour tags of the settings into a codec context."""
    tags = settings.format.tags
    context.colorspace = tags.matrix
    context.color_primaries = tags.primaries
    context.color_trc = tags.transfer
    context.color_range = 2 if tags.full_range else 1
