"""Repair of a source's timestamps."""

from __future__ import annotations

import zlib
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.support.source_values import video_info
from vidsr.media.index import frame_digest, repair

VIDEO = video_info(time_base=Fraction(1, 24000), rate=Fraction(24))  # one step is 1000


@given(width=st.integers(1, 300), height=st.integers(1, 200))
def test_a_digest_is_of_every_eighth_row(width: int, height: int) -> None:
    """Jobs keep digests, so they may not change."""
    frame = av.VideoFrame(width, height, "gray")
    plane = frame.planes[0]
    plane.update(np.random.default_rng(width).integers(0, 256, plane.buffer_size, np.uint8).tobytes())
    crc = 0
    for at in range(0, plane.buffer_size - width, 8 * plane.line_size):
        crc = zlib.crc32(bytes(plane)[at : at + width], crc)
    assert frame_digest(frame) == crc


def test_good_stamps_stay_as_they_are() -> None:
    raw: list[int | None] = [-500, 0, 1000, 1700, 9000]
    assert repair(raw, VIDEO, [1000] * 5) == (raw, [], [])


def test_no_stamps_at_all_are_counted() -> None:
    pts, _, notes = repair([None] * 4, video_info(time_base=Fraction(1, 1000), rate=Fraction(24)), [0] * 4)
    assert pts == [0, 42, 83, 125]
    assert "no timestamps" in notes[0]


def test_missing_stamps_lie_between_their_neighbours() -> None:
    pts, _, notes = repair([None, 1000, None, None, 4000, None], VIDEO, [1000] * 6)
    assert pts == [0, 1000, 2000, 3000, 4000, 5000]
    assert notes == ["4 of 6 frames have no timestamp: placed between their neighbours"]


def test_one_stamp_twice_moves_half_way_to_the_next() -> None:
    pts, shifts, notes = repair([0, 1000, 1000, 3000], VIDEO, [1000] * 4)
    assert pts == [0, 1000, 2000, 3000]
    assert not shifts
    assert "1 of 4 timestamps" in notes[0]


def test_a_new_timeline_goes_on_where_the_old_one_ended() -> None:
    raw: list[int | None] = [*(k * 1000 for k in range(30)), *(k * 1000 for k in range(30))]
    pts, shifts, notes = repair(raw, VIDEO, [1000] * 60)
    assert pts == [k * 1000 for k in range(60)]
    assert shifts == [Fraction(30000, 24000)]
    assert "jumps back 1 times" in notes[0]


def test_a_new_timeline_begins_when_the_last_frame_of_the_old_one_ends() -> None:
    """That frame's own duration counts, not the usual one."""
    raw: list[int | None] = [*(k * 1000 for k in range(30)), *(k * 1000 for k in range(30))]
    durations = [1000] * 60
    durations[29] = 2500
    pts, _, _ = repair(raw, VIDEO, durations)
    assert pts[28:32] == [28000, 29000, 31500, 32500]


def test_one_wild_stamp_back_is_no_new_timeline() -> None:
    raw: list[int | None] = [k * 1000 for k in range(30)]
    raw[20] = 0
    pts, shifts, _ = repair(raw, VIDEO, [1000] * 30)
    assert not shifts
    assert pts[:20] == raw[:20]
    assert pts[21:] == raw[21:]


@given(st.lists(st.one_of(st.none(), st.integers(-5000, 200_000)), min_size=1, max_size=40))
def test_repaired_stamps_are_complete_and_strictly_increasing(raw: list[int | None]) -> None:
    pts, _, _ = repair(raw, VIDEO, [1000] * len(raw))
    assert len(pts) == len(raw)
    assert all(b > a for a, b in pairwise(pts))


@given(st.lists(st.one_of(st.none(), st.integers(0, 60)), min_size=1, max_size=60))
def test_whatever_the_stamps_are_frames_follow_each_other(raw: list[int | None]) -> None:
    pts, _, _ = repair([None if p is None else 1000 * p for p in raw], VIDEO, [1000] * len(raw))
    assert len(pts) == len(raw) and all(b > a for a, b in pairwise(pts))
