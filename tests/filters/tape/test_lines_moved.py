"""Lines moved by parts of a sample."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vidsr.filters.tape.lines_moved import LEAST_PX, lines_moved


@given(st.lists(st.floats(-3, 3), min_size=8, max_size=8))
@settings(max_examples=30)
def test_waves_move_by_what_was_asked(shifts: list[float]) -> None:
    columns = np.arange(96.0)
    by = np.array(shifts)
    made = lines_moved(np.tile(100 * np.sin(columns / 2.5), (8, 1)).astype(np.float32), by)
    asked = np.where(np.abs(by) < LEAST_PX, 0, by)
    expected = 100 * np.sin((columns - asked[:, None]) / 2.5)
    # 1/128 of a sample at a slope of 40 a sample, and the filter's own error.
    assert np.abs(made - expected)[:, 12:-12].max() < 0.8


def test_whole_samples_are_copied_and_small_shifts_left() -> None:
    plane = np.random.default_rng(0).uniform(0, 255, (4, 40)).astype(np.float32)
    made = lines_moved(plane, np.array([2.0, -3.0, 0.04, 0.0]))
    assert np.allclose(made[0, 2:], plane[0, :-2], atol=1e-3) and np.allclose(made[0, :2], plane[0, 0], atol=1e-3)
    assert np.allclose(made[1, :-3], plane[1, 3:], atol=1e-3)
    assert np.array_equal(made[2:], plane[2:])


def test_even_lines_stay_even() -> None:
    made = lines_moved(np.full((3, 50), 77, np.float32), np.array([0.3, -1.7, 12.5]))
    assert np.allclose(made, 77, atol=1e-3)
