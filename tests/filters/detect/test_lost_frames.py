"""Lost frames, from made pictures and stamps whose truth is known."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.field_clips import Clip, moments
from vidsr.filters.detect.lost_frames import LostFrameFinder, StandIns, gaps, timecode

MILLISECONDS = Fraction(1, 1000)


@pytest.fixture(scope="module")
def pan() -> Clip:
    return moments(36, 3, 1)


def stand_ins(pan: Clip, shown: list[int]) -> list[range]:
    watch = StandIns()
    for number in shown:
        watch.add(pan[number], 255)
    return watch.found()


@given(
    st.sampled_from([Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(60)]),
    st.sets(st.integers(1, 78), max_size=8),
    st.sampled_from([MILLISECONDS, Fraction(1, 90000)]),
)
def test_every_gap_in_even_stamps_is_found(rate: Fraction, gone: set[int], time_base: Fraction) -> None:
    kept = [n for n in range(80) if n not in gone]
    found = gaps([round(n / rate / time_base) for n in kept], time_base)
    assert {kept[gap.after] + 1 + k for gap in found for k in range(gap.count)} == gone
    for gap in found:
        assert gap.long == ((gap.count + 1) / rate >= Fraction(1, 4))


def test_stamps_of_a_variable_rate_have_no_gaps() -> None:
    rng = np.random.default_rng(1)
    alternating = np.cumsum([40, 60] * 30).tolist()  # film with the pulldown in its stamps
    half = np.cumsum([40] * 30 + [80] * 30).tolist()
    wild = np.cumsum(rng.integers(20, 90, 60)).tolist()
    for pts in (alternating, half, wild, [0, 40, 120], []):
        assert gaps(pts, MILLISECONDS) == []


@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("early", [False, True])
def test_repeats_next_to_a_jump_are_found(pan: Clip, lost: int, early: bool) -> None:
    stand_in = 15 + lost if early else 14
    assert stand_ins(pan, [*range(15), *[stand_in] * lost, *range(15 + lost, 36)]) == [range(15, 15 + lost)]


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param([*range(36)], id="even"),
        pytest.param([*range(18), 17, 17, *range(18, 34)], id="a pause"),
        pytest.param([*range(15), *range(16, 36)], id="a jump alone"),
        pytest.param([*range(15), *range(16, 24), 23, *range(24, 36)], id="a jump far from the repeat"),
        pytest.param([n // 2 for n in range(36)], id="twos"),
        pytest.param([n * 18 // 25 for n in range(36)], id="film in a transfer"),
        pytest.param([*range(15), 14, *range(13, 0, -1)], id="a turn after a repeat"),
        pytest.param([*range(12), 11, *range(30, 36)], id="a cut after a repeat"),
        pytest.param([5] * 36, id="standstill"),
    ],
)
def test_other_repeats_and_jumps_are_not_lost_frames(pan: Clip, shown: list[int]) -> None:
    assert stand_ins(pan, shown) == []


def test_a_cut_from_fast_to_slow_motion_is_not_a_repeat(pan: Clip) -> None:
    fast = moments(12, 8, 2)
    watch = StandIns()
    for picture in [*fast, *(0.4 * p + 30 for p in moments(20, 1, 0, seed=3))]:
        watch.add(picture, 255)
    assert watch.found() == []


def test_places_have_times_and_say_what_shows_them(pan: Clip) -> None:
    finder = LostFrameFinder()
    for n in (n for n in range(32) if n not in (8, 9)):
        finder.add(pan[20 if n == 21 else n], 255, 100 + 40 * n)
    by_stamps, by_motion = finder.found(MILLISECONDS, motion=True)
    assert (by_stamps.at, by_stamps.count, by_stamps.by) == (Fraction(42, 100), 2, "time stamps")
    assert (by_motion.at, by_motion.count, by_motion.by) == (Fraction(94, 100), 1, "motion")
    assert by_stamps.to_json() == {
        "at": 0.42,
        "timecode": "0:00:00.420",
        "frames": 2,
        "by": "time stamps",
        "refillable": True,
    }
    assert timecode(Fraction(3723) + Fraction(1, 3)) == "1:02:03.333"
