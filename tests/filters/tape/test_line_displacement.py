"""How far lines lie beside those of the picture before."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.displaced_lines import HEIGHT, displaced, errors, noisy, still, texture
from vidsr.filters.tape.line_displacement import Agreement, line_displacement


def without_line(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Less the straight line through the known ones of each field."""
    left = values.copy()
    for parity in (0, 1):
        places, own = np.arange(HEIGHT)[parity::2], known[parity::2]
        left[parity::2] -= np.polyval(np.polyfit(places[own], values[parity::2][own], 1), places)
    return left


@pytest.mark.parametrize("noise", [0.5, 3.0])
def test_displaced_lines_are_measured(noise: float) -> None:
    shifts = errors(2)
    before, now = noisy(displaced(still(2), shifts), noise)
    found = line_displacement(before, now)
    assert found.known.mean() > 0.9
    true = without_line(shifts[1] - shifts[0], found.known)
    assert np.abs(found.shift - true)[found.known].max() < (0.08 if noise < 1 else 0.3)
    assert found.agreement.correlation > 0.9 and found.agreement.common_px > 0.25


def test_what_moves_is_not_taken_for_it() -> None:
    """A third of each line shows something else, the rest is displaced."""
    shifts = errors(2)
    before, now = displaced(still(2), shifts)
    now[:, 60:140] = texture(HEIGHT, 80, 9)
    found = line_displacement(before, now)
    true = without_line(shifts[1] - shifts[0], found.known)
    assert found.known.mean() > 0.5
    assert np.abs(found.shift - true)[found.known].max() < 0.15


@pytest.mark.parametrize("by", [0.0, 1.25])
def test_noise_and_pans_show_no_displaced_lines(by: float) -> None:
    before, now = noisy(displaced(still(2), [np.zeros(HEIGHT), np.full(HEIGHT, by)]), 2)
    agreement = line_displacement(before, now).agreement
    assert agreement.common_px < 0.1 or agreement.correlation < 0.6


def test_a_field_that_moves_is_no_time_base_error() -> None:
    """Pulldown repeats one field and shows the other a moment later."""
    before, now = noisy(displaced(still(2), [np.zeros(HEIGHT), np.where(np.arange(HEIGHT) % 2, 1.2, 0.0)]))
    found = line_displacement(before, now)
    assert found.known.mean() > 0.9 and np.abs(found.shift).max() < 0.2
    assert found.agreement.common_px < 0.1


def test_other_pictures_and_even_ones_are_not_known() -> None:
    one, other = texture(HEIGHT, 240, 1).astype(np.float32), texture(HEIGHT, 240, 2).astype(np.float32)
    assert line_displacement(one, other).known.mean() < 0.05
    even = np.full_like(one, 90)
    assert not line_displacement(even, even).known.any()
    assert not line_displacement(one[:, :90], one[:, :90]).known.any()


def test_agreements_add_up() -> None:
    a, b = np.array([1.0, -1.0, 0.5]), np.array([0.9, -1.2, 0.4])
    both = Agreement.of(a, b) + Agreement.of(b, a)
    assert both.lines == 6 and both.correlation == pytest.approx(2 * (a @ b) / (a @ a + b @ b))
    assert Agreement().correlation == 0 and Agreement().common_px == 0
