"""The streams that are not enhanced: declared in the result as in the source, their packets copied or converted."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import av
import av.container

from vidsr.media import libav
from vidsr.media.mux.audio import SampleCut, SoundConverter
from vidsr.media.mux.containers import EARLY_PACKETS, ContainerEntry
from vidsr.media.mux.labels import written_tags
from vidsr.media.mux.packet_clock import StreamClock
from vidsr.media.mux.restoration_tag import content_tags
from vidsr.media.mux.span_cut import SpanPackets
from vidsr.media.mux.streams import StreamPlan
from vidsr.media.mux.subtitles import TextConverter
from vidsr.media.source import SourceInfo
from vidsr.media.span import Span

_COVER_NAMES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}
# A cover's file type where it is neither JPEG nor PNG.
_OTHER_COVERS = {"gif": "image/gif", "bmp": "image/bmp", "webp": "image/webp", "tiff": "image/tiff"}

NO_OFFSET = Fraction(0)
_ADTS_CONTAINERS = ("mpegts", "aac", "mpeg")


def carries_adts(stream: Any, container: str) -> bool:
    """Whether the packets of an AAC stream begin with ADTS headers (ISO/IEC 13818-7, 6.2) in this container.

    NUT holds AAC in either form; packets without headers need the stream's own header.
    """
    if stream.type != "audio" or stream.codec_context is None or stream.codec_context.name != "aac":
        return False
    return container in _ADTS_CONTAINERS or (container == "nut" and not stream.codec_context.extradata)


def is_broken(packet: Any, container: str) -> bool:
    """Whether a packet of AAC pretends to begin with an ADTS header where its container has none.

    No whole AAC frame begins so (its first element would be the end); a muxer would take it for ADTS and fail.
    """
    stream = packet.stream
    if stream.type != "audio" or packet.size < 2 or carries_adts(stream, container):
        return False
    if stream.codec_context is None or stream.codec_context.name != "aac":
        return False
    head = bytes(memoryview(packet)[:2])
    return head[0] == 0xFF and head[1] & 0xF0 == 0xF0


def _without_new_header(packet: Any) -> Any:
    """The packet without a new codec header in the middle of its stream: a result has one header, and muxers fail on
    damaged ones."""
    plain: Any = av.Packet(bytes(packet))
    plain.pts, plain.dts, plain.duration = packet.pts, packet.dts, packet.duration
    plain.time_base, plain.is_keyframe, plain.stream = packet.time_base, packet.is_keyframe, packet.stream
    for data in packet.iter_sidedata():
        if data.data_type != "new_extradata":
            plain.set_sidedata(data)
    return plain


class TimedPacket(NamedTuple):
    """A packet and its place among those of a file: dts in seconds, then the enhanced video (0) before others (1)."""

    seconds: float
    rank: int
    packet: Any


class CopiedStreams:
    """The streams of an open source that go into one result as they are, or in another lossless codec."""

    def __init__(
        self,
        source: Any,
        info: SourceInfo,
        plans: tuple[StreamPlan, ...],
        *,
        shifts: tuple[Fraction, ...] = (),
        offset: Fraction = NO_OFFSET,
        span: Span | None = None,
    ) -> None:
        self._span = span
        self._source = source
        self._info = info
        self._plans = plans
        self._shifts = shifts
        self._offset = offset
        self._equal_dts = False
        self._targets: dict[int, Any] = {}
        self._converters: dict[int, TextConverter | SoundConverter] = {}

    def add_to(self, target: av.container.OutputContainer, entry: ContainerEntry) -> None:
        """Declare every stream of the plan in the result, before its header is written."""
        self._equal_dts = entry.muxer in ("matroska", "webm")
        for plan in self._plans:
            stream = self._source.streams[plan.source.index]
            if plan.action in ("copy", "cover"):
                made: Any = target.add_stream_from_template(stream, opaque=True)
                if plan.source.time_base is not None:
                    made.time_base = plan.source.time_base
            elif plan.action == "convert":
                converter = self._converter(plan, stream, target)
                made = converter.stream
                self._converters[stream.index] = converter
            elif plan.action == "attach":
                self._attach(target, plan, stream)
                continue
            else:
                continue
            made.metadata.update(written_tags(entry, plan.source))
            made.disposition = int(stream.disposition)
            self._targets[stream.index] = made

    def _converter(self, plan: StreamPlan, stream: Any, target: Any) -> TextConverter | SoundConverter:
        codec = plan.codec or "srt"
        if plan.source.kind != "audio":
            return TextConverter(stream, target, codec)
        cut = SampleCut.of(self._span) if self._span is not None and plan.exact else None
        return SoundConverter(stream, target, codec, cut)

    def _attach(self, target: av.container.OutputContainer, plan: StreamPlan, stream: Any) -> None:
        tags = dict(stream.metadata)
        if plan.source.kind == "attachment":
            name, kind, data = tags.get("filename", "attachment"), stream.mimetype, stream.data
        else:
            codec = plan.source.codec
            name, kind = _COVER_NAMES.get(codec, (f"cover.{codec}", _OTHER_COVERS.get(codec, "image/jpeg")))
            name = tags.get("filename", name)
            data = self._picture(stream)
        made = target.add_attachment(name, kind or "application/octet-stream", data)
        made.metadata.update({k: v for k, v in content_tags(tags.items()).items() if k not in ("filename", "mimetype")})

    def _picture(self, stream: Any) -> bytes:
        """The bytes of a cover: its stream's only packet."""
        with libav.open_input(self._info.path, whole=True) as source:
            for packet in libav.packets(source, source.streams[stream.index]):
                if packet.size:
                    return bytes(packet)
        return b""

    def packets(self, *, most: int | None = None) -> Iterator[TimedPacket]:
        """The packets of every copied stream in the source's order, their dts never running backwards.

        With ``most``, only until each stream gave that many, or none early in the file.
        """
        if not self._targets:
            return
        latest = float("-inf")
        # The packets of a span are on the repaired timeline already.
        shifts = self._shifts if self._span is None else ()
        clocks = {
            index: StreamClock(shifts, self._offset, Fraction(0) if self._equal_dts else stream.time_base)
            for index, stream in self._targets.items()
        }
        for number, packet in self._made(most):
            clocks[number].place(packet)
            packet.stream = self._targets[number]
            latest = max(latest, float(packet.dts * packet.time_base))
            yield TimedPacket(latest, 1, packet)

    def _read(self) -> Iterator[Any]:
        """The source's packets that a result can hold; of a span, those that belong to it."""
        wanted = [self._source.streams[i] for i in self._targets]
        usable = (
            _without_new_header(packet) if packet.has_sidedata("new_extradata") else packet
            for packet in libav.packets(self._source, *wanted)
            if packet.size and not is_broken(packet, self._info.container)
        )
        if self._span is None:
            return usable
        plans = [plan for plan in self._plans if plan.source.index in self._targets]
        decoded = frozenset(plan.source.index for plan in plans if plan.exact)
        streams = [plan.source for plan in plans]
        return SpanPackets(self._span, streams, shifts=self._shifts, decoded=decoded).pick(usable)

    def _made(self, most: int | None) -> Iterator[tuple[int, Any]]:
        """(source stream, packet) as the result will hold them: copied, or converted."""
        seen = dict.fromkeys(self._targets, 0)
        for count, packet in enumerate(self._read()):
            number = packet.stream.index
            converter = self._converters.get(number)
            seen[number] += 1
            if most is None or seen[number] <= most:
                for made in [packet] if converter is None else converter.convert(packet):
                    yield number, made
            if most is not None and (min(seen.values()) >= most or count >= EARLY_PACKETS):
                break
        for number, converter in self._converters.items():
            for made in converter.flush():
                yield number, made
