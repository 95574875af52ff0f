"""Packets of sound and subtitles cut to a part, against the definition."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any, cast

import av
from hypothesis import given
from hypothesis import strategies as st

from vidsr.media.mux.span_cut import packet_cut
from vidsr.media.source import StreamInfo

CLOCK = Fraction(1, 100)


def packets(starts: list[int], lengths: list[int]) -> list[Any]:
    made = []
    for pts, duration in zip(starts, lengths, strict=True):
        packet = av.Packet(b"x")
        packet.pts = packet.dts = pts
        packet.duration, packet.time_base, packet.is_keyframe = duration, CLOCK, True
        made.append(packet)
    return made


def kept(kind: str, given: list[Any], low: int, high: int) -> list[tuple[int, int]]:
    """(pts, duration) of the packets that belong to the part from ``low`` to ``high``, in ticks."""
    cut = packet_cut(cast(StreamInfo, SimpleNamespace(kind=kind, is_cover=False)), low * CLOCK, high * CLOCK)
    found = [packet for one in given for packet in cut.take(one)]
    return [(packet.pts, packet.duration) for packet in [*found, *cut.rest()]]


@given(st.integers(1, 5), st.integers(0, 30), st.integers(1, 20))
def test_sound_is_what_overlaps_the_part(length: int, low: int, lasting: int) -> None:
    """Packets of equal length, one after the other, some of which begin or end exactly where the part does."""
    starts, high = list(range(0, 60, length)), low + lasting
    wanted = [(pts, length) for pts in starts if pts + length > low and pts < high]
    assert kept("audio", packets(starts, [length] * len(starts)), low, high) == wanted


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 9)), max_size=9), st.integers(0, 30), st.integers(1, 20))
def test_subtitles_are_clipped_to_the_part(steps: list[tuple[int, int]], low: int, lasting: int) -> None:
    """Titles that may overlap, in the order in which they begin."""
    at, starts, high = 0, [], low + lasting
    for step, _ in steps:
        at += step
        starts.append(at)
    lengths = [length for _, length in steps]
    wanted = [
        (max(low, start), min(high, start + length) - max(low, start))
        for start, length in zip(starts, lengths, strict=True)
        if start + length > low and start < high
    ]
    assert kept("subtitle", packets(starts, lengths), low, high) == wanted
