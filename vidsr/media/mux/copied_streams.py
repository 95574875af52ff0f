"""The streams that are not enhanced: declared in the result like in the source, their packets copied."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import av.container

from vidsr.media import libav
from vidsr.media.mux.audio import SoundConverter
from vidsr.media.mux.containers import ContainerEntry
from vidsr.media.mux.labels import written_tags
from vidsr.media.mux.packet_clock import StreamClock
from vidsr.media.mux.restoration_tag import content_tags
from vidsr.media.mux.streams import StreamPlan
from vidsr.media.mux.subtitles import TextConverter
from vidsr.media.source import SourceInfo

_COVER_NAMES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}
# A cover's file type where it is neither JPEG nor PNG.
_OTHER_COVERS = {"gif": "image/gif", "bmp": "image/bmp", "webp": "image/webp", "tiff": "image/tiff"}

NO_OFFSET = Fraction(0)
#: Containers whose AAC packets begin with ADTS headers.
ADTS_CONTAINERS = ("mpegts", "aac", "mpeg")


def is_broken(packet: Any, container: str) -> bool:
    """Whether a packet of AAC pretends to begin with an ADTS header where its container has none.

    No whole AAC frame begins so (its first element would be the end); a muxer would take it for ADTS and fail.
    """
    if packet.stream.type != "audio" or container in ADTS_CONTAINERS or packet.size < 2:
        return False
    head = bytes(memoryview(packet)[:2])
    aac: bool = packet.stream.codec_context is not None and packet.stream.codec_context.name == "aac"
    return aac and head[0] == 0xFF and head[1] & 0xF0 == 0xF0


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


class Others:
    """The other streams of an open source on their way into one result."""

    def __init__(
        self,
        source: Any,
        info: SourceInfo,
        plans: tuple[StreamPlan, ...],
        *,
        shifts: tuple[Fraction, ...] = (),
        offset: Fraction = NO_OFFSET,
    ) -> None:
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
                kind = SoundConverter if plan.source.kind == "audio" else TextConverter
                converter = kind(stream, target, plan.codec or "srt")
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

    def packets(self) -> Iterator[tuple[float, int, Any]]:
        """(dts in seconds, 1, packet) of every copied stream, in the source's order; never running backwards."""
        if not self._targets:
            return
        latest = float("-inf")
        clocks = {
            index: StreamClock(self._shifts, self._offset, Fraction(0) if self._equal_dts else stream.time_base)
            for index, stream in self._targets.items()
        }
        for number, packet in self._made():
            clocks[number].place(packet)
            packet.stream = self._targets[number]
            latest = max(latest, float(packet.dts * packet.time_base))
            yield latest, 1, packet

    def _made(self) -> Iterator[tuple[int, Any]]:
        """(source stream, packet) as the result will hold them: copied, or converted."""
        wanted = [self._source.streams[i] for i in self._targets]
        for read in libav.packets(self._source, *wanted):
            packet: Any = read
            if packet.size and not is_broken(packet, self._info.container):
                number = packet.stream.index
                converter = self._converters.get(number)
                if packet.has_sidedata("new_extradata"):
                    packet = _without_new_header(packet)
                for made in [packet] if converter is None else converter.convert(packet):
                    yield number, made
        for number, converter in self._converters.items():
            for made in converter.flush():
                yield number, made
