"""The clock of a copied stream: completes its packets' times, and shifts them wherever the video's were shifted."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from vidsr.media.index import JUMP_SECONDS

#: A duration above this means "unknown".
_LONGEST_SECONDS = 86_400


def end_duration(packet: Any) -> None:
    """Remove a duration that means "until the next one", as some subtitles have; MP4's muxer refuses it."""
    if packet.duration and packet.duration * packet.time_base > _LONGEST_SECONDS:
        packet.duration = 0


class StreamClock:
    """Places the packets of one stream on the timeline of the result.

    ``shifts`` are the seconds added to the video from its first, second… backward jump on; ``offset`` seconds are
    added to everything. dts come out strictly increasing, even when rounded to ``target_base``, the muxer's clock;
    pass 0 for a muxer that takes equal ones.
    """

    def __init__(self, shifts: tuple[Fraction, ...], offset: Fraction, target_base: Fraction) -> None:
        self._shifts = shifts
        self._offset = offset
        self._base = target_base
        self._moved = Fraction(0)
        self._jumps = 0
        self._raw: int | None = None
        self._last: int | None = None
        self._end = Fraction(0)

    def place(self, packet: Any) -> None:
        """Give ``packet`` its times in the result, in its own time base."""
        clock: Fraction = packet.time_base
        dts = packet.dts if packet.dts is not None else packet.pts
        if dts is None:
            dts = 0 if self._raw is None else self._raw + (packet.duration or 1)
        self._jump(dts, clock)
        if not packet.duration and self._is_sound(packet) and self._raw is not None and dts > self._raw:
            # As long as the one before: MP4 would end before a last packet that lasts no time.
            packet.duration = dts - self._raw
        self._raw = dts
        move: int = round((self._moved + self._offset) / clock)
        at = dts + move
        if self._last is not None and self._ticks(at, clock) <= self._ticks(self._last, clock):
            at = self._last + max(1, -(-self._base // clock))
        packet.pts = at if packet.pts is None else max(at, packet.pts + move)
        packet.dts = self._last = at
        end_duration(packet)
        self._end = (at + (packet.duration or 0)) * clock - self._offset

    @staticmethod
    def _is_sound(packet: Any) -> bool:
        return packet.stream is not None and packet.stream.type == "audio"

    def _ticks(self, at: int, clock: Fraction) -> int:
        """The stamp as the muxer will round it."""
        return at if self._base <= clock else round(at * clock / self._base)

    def _jump(self, dts: int, clock: Fraction) -> None:
        """Follow a backward jump of the source's timeline, as the video did, but never onto what is there already."""
        if self._raw is None or self._jumps >= len(self._shifts) or dts * clock > self._raw * clock - JUMP_SECONDS:
            return
        self._moved = max(self._shifts[self._jumps], self._end - dts * clock)
        self._jumps += 1
