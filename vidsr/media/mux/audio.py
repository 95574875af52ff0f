"""Convert a sound that a container cannot hold to a lossless codec that it can."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any, cast

import av
import av.container
import numpy as np

from vidsr.errors import OutputError
from vidsr.media import libav
from vidsr.media.source import SourceInfo, StreamInfo
from vidsr.media.span import Span

#: From the packets of a stream, those to keep.
PickPackets = Callable[[Iterable[Any]], Iterable[Any]]
#: Stamps that are off by no more than this, or one tick of their clock, do not interrupt the count of samples.
_COUNT_SECONDS = Fraction(1, 1000)
#: codec → (sample format for 16-bit sources, for all others: 24 bits in 32)
_FORMATS = {"flac": ("s16", "s32"), "alac": ("s16p", "s32p"), "pcm_s24le": ("s32", "s32")}


def takes(codec: str, source: Any, packets: Sequence[Any]) -> bool:
    """Whether a sound stream can be converted to ``codec``: tried out on a file in memory with its first packets."""
    with suppress(OutputError, ValueError, libav.AvError):
        converter = SoundConverter(source, av.open(io.BytesIO(), "w", format="matroska"), codec)
        for packet in packets:
            converter.convert(packet)
        return converter.skipped < len(packets) or not packets
    return False


class SampleCut:
    """Cuts decoded sound at the sample: those from ``low`` to before ``high`` seconds; None: no bound.

    Frames come in order, from the first of the stream on. Samples are counted, because many clocks are coarser than
    they are (Matroska's is a millisecond); where the stamps leave the count, after a gap, they count.
    """

    def __init__(self, low: Fraction | None = None, high: Fraction | None = None) -> None:
        self._low, self._high = low, high
        self._next: Fraction | None = None

    @classmethod
    def of(cls, span: Span) -> SampleCut:
        """The cut of a span."""
        return cls(span.low, span.high)

    def __call__(self, frame: Any) -> Any | None:
        """The part of a frame of samples that lies within; None if nothing does."""
        if self._low is None and self._high is None:
            return frame
        rate = frame.sample_rate
        begin = self._begin(frame)
        self._next = begin + Fraction(frame.samples, rate)
        first = 0 if self._low is None else max(0, ceil((self._low - begin) * rate))
        stop = frame.samples if self._high is None else min(frame.samples, ceil((self._high - begin) * rate))
        return None if first >= stop else _samples(frame, first, stop, round(begin * rate))

    def _begin(self, frame: Any) -> Fraction:
        """When the first sample of a frame is heard, in seconds."""
        if frame.pts is None:
            return self._next or Fraction(0)
        stamp: Fraction = frame.pts * frame.time_base
        if self._next is None:
            return stamp
        tolerance = max(_COUNT_SECONDS, frame.time_base)
        return self._next if abs(stamp - self._next) <= tolerance else stamp


def _samples(frame: Any, first: int, stop: int, number: int) -> Any:
    """Samples ``first`` to ``stop`` (not included) of a frame whose first one has this number in the stream."""
    array = frame.to_ndarray()
    channels = 1 if frame.format.is_planar else frame.layout.nb_channels
    part = np.ascontiguousarray(array[:, first * channels : stop * channels])
    made: Any = av.AudioFrame.from_ndarray(part, format=frame.format.name, layout=frame.layout)
    made.sample_rate = frame.sample_rate
    made.time_base = Fraction(1, frame.sample_rate)
    made.pts = number + first
    return made


class SoundConverter:
    """Decodes the packets of one sound stream and encodes the samples losslessly, 16 bits as 16, others as 24.

    With a ``cut``, only the samples within it.
    """

    def __init__(
        self, source: Any, target: av.container.OutputContainer, codec: str, cut: SampleCut | None = None
    ) -> None:
        self._source = source
        self._cut = cut or SampleCut()
        self._decoder = source.codec_context
        self.skipped = 0
        # A damaged header may name no sample format at all.
        narrow = self._decoder.format is not None and self._decoder.format.name.startswith(("s16", "u8"))
        try:
            self.stream = cast(Any, target.add_stream(codec, rate=self._decoder.sample_rate))
            self._encoder = cast(Any, self.stream.codec_context)
            self._encoder.format = _FORMATS[codec][0 if narrow else 1]
            self._encoder.layout = _layout(self._decoder)
            self._encoder.open()
        except (libav.AvError, ValueError) as error:
            raise OutputError(f"audio stream {source.index} cannot be converted to {codec}: {error}") from error
        self._resampler = av.AudioResampler(
            self._encoder.format, self._encoder.layout, self._encoder.sample_rate, self._encoder.frame_size
        )

    def convert(self, packet: Any) -> list[Any]:
        """The packets that the encoder has ready after ``packet``; damaged ones are skipped."""
        try:
            frames = self._decoder.decode(packet)
        except (libav.AvError, ValueError):
            self.skipped += 1
            return []
        parts = (self._cut(frame) for frame in frames)
        return [
            made
            for part in parts
            if part is not None
            for piece in self._resampler.resample(part)
            for made in self._encode(piece)
        ]

    def flush(self) -> list[Any]:
        """The packets that are still inside."""
        try:
            frames = [*(part for frame in self._decoder.decode(None) if (part := self._cut(frame)) is not None), None]
        except (libav.AvError, ValueError):
            frames = [None]
        pieces = [piece for frame in frames for piece in self._resampler.resample(frame) if piece is not None]
        return [made for piece in [*pieces, None] for made in self._encode(piece)]

    def _encode(self, frame: Any) -> list[Any]:
        packets: list[Any] = self._encoder.encode(frame)
        for packet in packets:
            packet.time_base = packet.time_base or self._encoder.time_base
        return packets


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """A stream's sound as decoded: its samples, a digest of them where they have 16 bits, and when it begins."""

    samples: int
    digest: str | None
    first: Fraction | None

    def text(self, *, exact: bool) -> str:
        """The sound in words; ``exact`` with its digest."""
        return f"{self.samples} samples" + (f" {self.digest}" if exact else "")


def sound_of(
    info: SourceInfo, stream: StreamInfo, pick: PickPackets | None = None, cut: SampleCut | None = None
) -> Sound:
    """Decode the sound of one stream: of the packets that ``pick`` leaves, the samples within ``cut``."""
    digest, count, first, exact = hashlib.blake2b(digest_size=6), 0, None, True
    cut = cut or SampleCut()
    with libav.open_input(info.path, whole=True) as container:
        wanted: Any = container.streams[stream.index]
        for packet in picked(libav.packets(container, wanted), pick):
            try:
                frames = wanted.codec_context.decode(packet)
            except (libav.AvError, ValueError):
                continue
            for frame in (part for whole in frames if (part := cut(whole)) is not None):
                if first is None and frame.pts is not None:
                    first = frame.pts * (frame.time_base or wanted.time_base)
                count += frame.samples
                exact = exact and frame.format.name.startswith("s16")
                if exact:
                    array = frame.to_ndarray()
                    # Planar or packed, sample by sample in the order of time.
                    digest.update(array.T.tobytes() if frame.format.is_planar else array.tobytes())
    return Sound(samples=count, digest=digest.hexdigest() if exact else None, first=first)


def picked(packets: Iterable[Any], pick: PickPackets | None) -> Iterator[Any]:
    """The packets with contents that ``pick`` leaves, then None, which drains a decoder."""
    contents = (packet for packet in packets if packet.size)
    yield from contents if pick is None else pick(contents)
    yield None


def _layout(decoder: Any) -> str:
    """The decoder's channel layout; the usual one for its number of channels where it names none."""
    name = str(decoder.layout.name)
    usual = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 8: "7.1"}
    return usual.get(decoder.layout.nb_channels, name) if "channels" in name else name
