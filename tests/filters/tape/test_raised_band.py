"""Halos by their spectrum: found under softness and in texture, and not in what is alike in both directions."""

from __future__ import annotations

import numpy as np
import pytest

from vidsr.filters.tape import raised_band
from vidsr.filters.tape.halos import Ringing
from vidsr.frames import Floats
from vidsr.training.degradation.tape.signal import low_passed, ringing

#: MHz at which 720 samples a line are taken; the frequencies of the tests, MHz.
RATE = 13.5


def texture(seed: int, size: tuple[int, int] = (288, 352)) -> Floats:
    """Noise whose power falls as that of pictures does, the same in all directions: no edge stands free in it."""
    rng = np.random.default_rng(seed)
    f = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1]))
    spectrum = np.fft.rfft2(rng.standard_normal(size)) / np.maximum(f, 0.02) * np.exp(-0.5 * (f / 0.2) ** 2)
    field = np.fft.irfft2(spectrum, size)
    return np.asarray(128 + 40 * field / field.std(), np.float32)


def found(pictures: list[Floats], edges: Ringing | None = None) -> Ringing | None:
    coded = [np.rint(y).clip(0, 255).astype(np.float32) for y in pictures]
    return raised_band.measured([raised_band.pieces(y) for y in coded], edges)


@pytest.mark.parametrize(("gain", "mhz"), [(0.5, 2.2), (1.2, 2.2), (1.0, 3.0)])
def test_ringing_of_texture_is_measured(gain: float, mhz: float) -> None:
    made = found([ringing(texture(n), gain, mhz, RATE) for n in range(3)])
    assert made is not None
    assert made.period == pytest.approx(RATE / mhz, rel=0.1)
    assert made.gain == pytest.approx(gain, rel=0.35)


def test_what_a_narrow_band_leaves_of_ringing_is_found() -> None:
    made = found([ringing(low_passed(texture(n), 3.0, RATE), 1.0, 2.2, RATE) for n in range(3)])
    assert made is not None
    assert made.period == pytest.approx(RATE / 2.2, rel=0.15)


def test_pictures_without_ringing_have_none() -> None:
    plain = [texture(n) for n in range(3)]
    assert found(plain) is None
    assert found([low_passed(y, 3.0, RATE) for y in plain]) is None
    assert found([np.ascontiguousarray(low_passed(np.ascontiguousarray(y.T), 3.0, RATE).T) for y in plain]) is None


def test_what_sharpens_both_directions_is_not_ringing_of_a_tape() -> None:
    both = [ringing(np.ascontiguousarray(ringing(texture(n), 1.0, 2.2, RATE).T), 1.0, 2.2, RATE).T for n in range(3)]
    assert found([np.ascontiguousarray(y) for y in both]) is None


def test_pictures_enlarged_along_the_lines_do_not_ring() -> None:
    """Their spectrum ends abruptly at half the frequencies, and what lies before it seems raised."""

    def enlarged(y: Floats) -> Floats:
        spectrum = np.fft.rfft(y, axis=1)
        spectrum[:, spectrum.shape[1] // 2 :] = 0
        return np.asarray(np.fft.irfft(spectrum, y.shape[1], axis=1), np.float32)

    assert found([enlarged(texture(n)) for n in range(3)]) is None


def test_a_pattern_in_a_part_of_the_picture_is_not_ringing() -> None:
    pictures = [texture(n) for n in range(3)]
    for y in pictures:
        y[:, :176] += 30 * np.sin(2 * np.pi * np.arange(176) / 6.1).astype(np.float32)
    assert found(pictures) is None


def test_small_and_even_pictures_show_nothing() -> None:
    assert found([texture(0, (60, 352))]) is None
    assert found([np.full((288, 352), 90, np.float32)] * 3) is None
    assert found([]) is None


def test_edges_count_where_they_show_as_much_and_with_the_band_where_it_shows_more() -> None:
    harmed = [ringing(texture(n), 1.0, 2.2, RATE) for n in range(3)]
    band = found(harmed)
    assert band is not None
    alike, less = Ringing(gain=band.gain, period=6.5), Ringing(gain=band.gain / 4, period=6.5)
    assert found(harmed, alike) == alike
    both = found(harmed, less)
    assert both is not None and less.gain < both.gain < band.gain
    assert found([texture(9)] * 3, less) == less
