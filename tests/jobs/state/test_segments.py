"""The plan covers every frame once, whatever the numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsr.jobs.state.segments import Lookaround, Segment, longest_first, plan_segments

counts = st.integers(0, 20_000)
lengths = st.integers(1, 1024)


@given(counts, lengths)
def test_every_frame_is_in_exactly_one_segment(frames: int, length: int) -> None:
    plan = plan_segments(frames, length)
    assert [n for s in plan for n in range(s.start, s.stop)] == list(range(frames))
    assert [s.number for s in plan] == list(range(len(plan)))


@given(counts, lengths)
def test_no_segment_is_too_long_or_tiny(frames: int, length: int) -> None:
    plan = plan_segments(frames, length)
    sizes = [s.frames for s in plan]
    assert all(0 < size <= length for size in sizes)
    assert max(sizes, default=0) - min(sizes, default=0) <= 1
    if len(plan) > 1:
        assert min(sizes) >= length // 2


def test_known_plans() -> None:
    assert [(s.start, s.stop) for s in plan_segments(257, 256)] == [(0, 128), (128, 257)]
    assert [s.frames for s in plan_segments(2000, 256)] == [250] * 8
    assert plan_segments(0) == ()
    with pytest.raises(ValueError, match="segments of 0"):
        plan_segments(10, 0)


@given(counts, lengths, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_lookaround_stays_inside_the_source(frames: int, length: int, before: int, after: int, settle: int) -> None:
    around = Lookaround(before=before, after=after, settle=settle)
    for segment in plan_segments(frames, length):
        first, last = around.filtered(*around.fed(segment, frames), frames)
        low, high = around.computed(segment)
        assert 0 <= first <= low <= segment.start < segment.stop == high <= last <= frames
        # Only the ends of the source may cut the context short.
        assert first == 0 or segment.start - first == before + settle
        assert last == frames or last - segment.stop == after


def test_longest_go_first_and_ties_keep_their_order() -> None:
    plan = [Segment(number=n, start=0, stop=size) for n, size in enumerate((3, 5, 5, 4))]
    assert [s.number for s in longest_first(plan)] == [1, 2, 3, 0]


@given(frames=st.integers(1, 500), start=st.integers(0, 499), length=st.integers(1, 200), filters=st.integers(0, 3))
def test_windows_are_seen_whole(frames: int, start: int, length: int, filters: int) -> None:
    start = min(start, frames - 1)
    segment = Segment(number=0, start=start, stop=min(frames, start + length))
    around = Lookaround(before=filters, after=filters, window=32, reach=8, around=1)
    low, high = around.fed(segment, frames)
    windows = {n // 32 for n in range(segment.start, segment.stop)}
    seen = {n for w in windows for n in range(w * 32 - 8, w * 32 + 40)}
    # The frames on either side are only drawn, for the average, so their windows are not needed.
    needed = {n for n in seen | {segment.start - 1, segment.stop} if 0 <= n < frames}
    assert needed <= set(range(low, high)) and 0 <= low < high <= frames
    assert (low + 8) % 32 == 0 or low == 0
    assert around.computed(segment) == (segment.start, segment.stop)
    first, stop = around.filtered(*around.fed(segment, frames), frames)
    assert first == max(0, low - filters) and stop == min(frames, high + filters)
    assert (high - low) + 2 * filters <= segment.frames + around.frames
