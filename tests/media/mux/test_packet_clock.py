"""The clock of copied streams: good times are kept, missing ones completed, and dts rise in the muxer's time base."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vidsr.media.mux.packet_clock import StreamClock


@dataclass
class _Packet:
    pts: int | None
    dts: int | None
    duration: int = 1920
    time_base: Fraction = Fraction(1, 90000)


def test_a_copied_stream_follows_the_jump_without_overlap() -> None:
    clock = StreamClock((Fraction(1),), Fraction(0), Fraction(1, 48000))
    packets = [_Packet(k * 1920, k * 1920) for k in range(48)] + [_Packet(k * 1920, k * 1920) for k in range(10)]
    for packet in packets:
        clock.place(packet)
    placed = [p.dts for p in packets if p.dts is not None]
    assert all(b - a >= 1920 for a, b in pairwise(placed))
    assert placed[48] >= 90000


def test_a_copied_stream_keeps_good_times_and_completes_missing_ones() -> None:
    clock = StreamClock((), Fraction(0), Fraction(1, 90000))
    packets = [_Packet(-1920, -1920), _Packet(0, None), _Packet(None, None), _Packet(3840, 3840), _Packet(3840, 3840)]
    for packet in packets:
        clock.place(packet)
    assert [p.dts for p in packets] == [-1920, 0, 1920, 3840, 3841]


@given(st.lists(st.integers(0, 300), min_size=1, max_size=40), st.sampled_from([1000, 30000, 90000]))
def test_dts_rise_in_the_time_base_of_the_muxer(steps: list[int], target: int) -> None:
    """Also where it is coarser than the packets' own, such as the milliseconds of Matroska."""
    base = Fraction(1, target)
    clock = StreamClock((), Fraction(0), base)
    packets = [_Packet(sum(steps[:n]), sum(steps[:n]), duration=1) for n in range(1, len(steps) + 1)]
    for packet in packets:
        clock.place(packet)
    placed = [p.dts * p.time_base for p in packets if p.dts is not None]
    assert all(round(b / base) > round(a / base) for a, b in pairwise(placed))
