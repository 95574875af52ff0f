"""Retiming of the encoder's packets: the source's pts, and dts that rise across segments."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vidsr.media.index import VideoIndex
from vidsr.media.mux.segment_timing import retime


@st.composite
def _decode_orders(draw: st.DrawFn) -> list[list[int]]:
    """Segments of packets, each a display order shuffled within a window, as B-frames do."""
    segments = []
    for _ in range(draw(st.integers(1, 4))):
        count = draw(st.integers(1, 20))
        keys = [i + draw(st.integers(0, 4)) for i in range(count)]
        segments.append([i for _, i in sorted(zip(keys, range(count), strict=True))])
    return segments


@given(_decode_orders(), st.data())
def test_retimed_packets_have_true_pts_and_rising_dts(segments: list[list[int]], data: st.DataObject) -> None:
    count = sum(map(len, segments))
    steps = data.draw(st.lists(st.integers(1, 5000), min_size=count, max_size=count))
    pts = [sum(steps[:i]) - 300 for i in range(count)]
    index = VideoIndex(pts=tuple(pts), durations=tuple(steps), time_base=Fraction(1, 90000))
    times = list(retime(segments, index))
    first = 0
    for segment in segments:
        assert [times[first + k].pts for k in range(len(segment))] == [pts[first + rank] for rank in segment]
        first += len(segment)
    assert all(b.dts > a.dts for a, b in pairwise(times))
    assert all(t.dts <= t.pts for t in times)
