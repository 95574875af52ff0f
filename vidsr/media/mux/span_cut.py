"""Which packets of a stream that is not enhanced belong to a part of the source, and what they show of it.

- Sound: the packets that overlap the part; decoding begins at packets that can be decoded on their own.
- Subtitles: those that are visible at some time of the part, clipped to it; without a duration, until the next one.
- Further videos: from the first keyframe in the part on, for nothing before it can be shown on its own.
- Cover art: always.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, Protocol

from vidsr.media.mux.packet_clock import StreamClock, end_duration
from vidsr.media.source import StreamInfo
from vidsr.media.span import Span

#: Seconds after the part at which a packet of any stream ends the reading: no file interleaves more coarsely.
_BEYOND_SECONDS = 60


class PacketCut(Protocol):
    """Picks the packets of one stream, in the order in which they lie in the file."""

    def take(self, packet: Any) -> Iterable[Any]:
        """The packets to keep once ``packet`` is known: none, it, or earlier ones with it."""

    def rest(self) -> Iterable[Any]:
        """The packets to keep at the end of the stream."""


class _Sound:
    """Packets that overlap the part."""

    def __init__(self, low: Fraction | None, high: Fraction | None) -> None:
        self._low, self._high = low, high
        self._held: list[Any] = []

    def take(self, packet: Any) -> Iterator[Any]:
        at = packet.pts * packet.time_base
        if self._high is not None and at >= self._high:
            return
        if self._low is not None and at <= self._low:
            # Perhaps the last one to begin before the part; with it those that it needs to be decoded.
            if packet.is_keyframe:
                self._held.clear()
            self._held.append(packet)
            return
        yield from self.rest()
        yield packet

    def rest(self) -> Iterator[Any]:
        held, self._held = self._held, []
        if held and self._low is not None:
            last = held[-1]
            end = (last.pts + (last.duration or 0)) * last.time_base
            if last.duration and end <= self._low and last.pts * last.time_base < self._low:
                return
        yield from held


class _Subtitles:
    """What is visible in the part, clipped to it."""

    def __init__(self, low: Fraction | None, high: Fraction | None) -> None:
        self._low, self._high = low, high
        self._held: list[Any] = []

    def take(self, packet: Any) -> Iterator[Any]:
        end_duration(packet)
        clock = packet.time_base
        at, end = packet.pts * clock, (packet.pts + (packet.duration or 0)) * clock
        if self._high is not None and at >= self._high:
            return
        if self._low is not None and at < self._low and not packet.duration:
            if self._held and self._held[0].pts != packet.pts:
                self._held.clear()
            self._held.append(packet)
            return
        if self._low is not None and packet.duration and end <= self._low:
            return
        if self._held and self._low is not None and at > self._low:
            yield from self.rest()
        self._held.clear()
        yield self._clipped(packet)

    def rest(self) -> Iterator[Any]:
        held, self._held = self._held, []
        yield from map(self._clipped, held)

    def _clipped(self, packet: Any) -> Any:
        clock = packet.time_base
        end = packet.pts + (packet.duration or 0)
        if self._low is not None:
            packet.pts = max(packet.pts, round(self._low / clock))
        if packet.duration:
            end = end if self._high is None else min(end, round(self._high / clock))
            packet.duration = max(1, end - packet.pts)
        packet.dts = packet.pts
        return packet


class _Video:
    """From the first keyframe in the part on."""

    def __init__(self, low: Fraction | None, high: Fraction | None) -> None:
        self._low, self._high = low, high
        self._from: int | None = None

    def take(self, packet: Any) -> Iterator[Any]:
        clock = packet.time_base
        if self._from is None:
            if not packet.is_keyframe or (self._low is not None and packet.pts * clock < self._low):
                return
            self._from = packet.pts
        # Pictures shown before the keyframe refer to some that are gone; what is decoded before the end is needed.
        if packet.pts >= self._from and (self._high is None or packet.dts * clock < self._high):
            yield packet

    def rest(self) -> Iterator[Any]:
        yield from ()


class _Whole:
    """Everything, from time 0 on."""

    def take(self, packet: Any) -> Iterator[Any]:
        packet.pts = packet.dts = 0
        yield packet

    def rest(self) -> Iterator[Any]:
        yield from ()


def packet_cut(stream: StreamInfo, low: Fraction | None, high: Fraction | None) -> PacketCut:
    """What picks the packets of a stream between two times in seconds; None: from the beginning, or to the end."""
    if stream.is_cover:
        return _Whole()
    kinds: dict[str, type[_Sound | _Subtitles | _Video]] = {"audio": _Sound, "subtitle": _Subtitles}
    return kinds.get(stream.kind, _Video)(low, high)


class SpanPackets:
    """The packets of several streams cut to a span, on the source's timeline as the index repaired it.

    ``streams`` are those of the source to keep, ``decoded`` the numbers of those whose sound will be decoded and cut at
    the sample: they are kept from their beginning on, because samples are counted.
    """

    def __init__(
        self,
        span: Span,
        streams: Iterable[StreamInfo],
        *,
        shifts: tuple[Fraction, ...] = (),
        decoded: frozenset[int] = frozenset(),
    ) -> None:
        self._end = None if span.high is None or shifts else span.high + _BEYOND_SECONDS
        self._cuts: dict[int, PacketCut] = {}
        self._clocks: dict[int, StreamClock] = {}
        for stream in streams:
            low = None if stream.index in decoded else span.low
            self._cuts[stream.index] = packet_cut(stream, low, span.high)
            self._clocks[stream.index] = StreamClock(shifts, Fraction(0), Fraction(0))

    def pick(self, packets: Iterable[Any]) -> Iterator[Any]:
        """Those of ``packets``, which have contents and lie in the order of the file, that belong to the span."""
        for packet in packets:
            index = packet.stream.index
            self._clocks[index].place(packet)
            if self._end is not None and packet.dts * packet.time_base > self._end:
                break
            yield from self._cuts[index].take(packet)
        for cut in self._cuts.values():
            yield from cut.rest()
