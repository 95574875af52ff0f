"""Convert text subtitles from one codec to another, packet by packet."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, cast

import av.container

from vidsr.errors import OutputError
from vidsr.media import libav
from vidsr.media.mux.audio import PickPackets, picked
from vidsr.media.source import SourceInfo, StreamInfo


class TextConverter:
    """Decodes text subtitle packets of one stream and encodes them for another. Times are kept as they are."""

    def __init__(self, source: Any, target: av.container.OutputContainer, codec: str) -> None:
        self._decoder = source.codec_context
        self.skipped = 0
        try:
            # The header (styles) exists only once the decoder is open, and the encoder needs it to open.
            if not self._decoder.is_open:
                self._decoder.open(strict=False)
            self.stream = cast(Any, target.add_stream(codec))
            self.stream.time_base = source.time_base
            self._encoder = cast(Any, self.stream.codec_context)
            self._encoder.time_base = source.time_base
            self._encoder.subtitle_header = self._decoder.subtitle_header
        except (libav.AvError, ValueError) as error:
            raise OutputError(
                f"subtitle stream {source.index} ({source.codec_context.name}) cannot be converted to {codec}: {error}"
            ) from error

    def convert(self, packet: Any) -> list[Any]:
        """The packet in the other codec; nothing where it shows nothing or cannot be read."""
        try:
            shown = self._decoder.decode2(packet)
            if shown is None or not len(shown):
                return []
            made = self._encoder.encode_subtitle(shown)
        except (libav.AvError, ValueError):
            self.skipped += 1
            return []
        made.time_base = packet.time_base
        made.pts, made.dts, made.duration = packet.pts, packet.dts, packet.duration
        return [made]

    def flush(self) -> list[Any]:
        """Nothing: no text is ever held back."""
        return []


def lines_of(info: SourceInfo, stream: StreamInfo, pick: PickPackets | None = None) -> tuple[int, Fraction | None]:
    """How many times a text subtitle stream shows something, as far as it can be read; and when first, in seconds.

    Only the packets that ``pick`` leaves count.
    """
    shown, first = 0, None
    with libav.open_input(info.path, whole=True) as container:
        source = cast(Any, container.streams[stream.index])
        for packet in picked(libav.packets(container, source), pick):
            try:
                found = source.codec_context.decode2(packet) if packet is not None else None
            except (libav.AvError, ValueError):
                continue
            if found is not None and len(found):
                shown += 1
                first = packet.pts * packet.time_base if first is None and packet.pts is not None else first
    return shown, first
