"""What inspection finds of tape, says and recommends; and where it does not look."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tests.support.field_clips import Clip, frames_of, moments
from vidsr.filters.detect.inspection import Inspection
from vidsr.filters.detect.inspection_text import sentences
from vidsr.filters.inspector import Inspector
from vidsr.filters.tape.search import TapeSearch, are_of_tape
from vidsr.frames import Frame
from vidsr.training.degradation.tape.signal import ringing


def inspected(frames: list[Frame], rate: Fraction | None = Fraction(25)) -> Inspection:
    inspector = Inspector(rate=rate)
    inspector.add(frames)
    return inspector.result(len(frames))


def worn() -> Clip:
    clip = moments(24, 2)
    for n in (3, 9, 10, 15):
        clip[n][10 + 37 * n % 70, 20:100] = 250
    for y in clip:
        for n, shift in enumerate((1, 3, 5, 8, 11, 14)):
            y[90 + n] = np.roll(y[90 + n], shift)
    return clip


@pytest.mark.parametrize(
    ("numbers", "searched", "reported"),
    [
        ((81, 83, 84), 248, False),  # a wheel arch that passes, in one of `bikes`' ten seconds
        ((81, 83, 84, 100), 248, True),
        ((3, 9, 10), 22, True),
        ((3, 200), 248, False),
        ((3, 100, 200), 301, False),
    ],
)
def test_dropouts_of_one_moment_are_not_those_of_a_tape(
    numbers: tuple[int, ...], searched: int, reported: bool
) -> None:
    assert are_of_tape([Fraction(n, 25) for n in numbers], searched) == reported


def test_dropouts_and_the_band_are_found_with_their_times() -> None:
    found = inspected(frames_of(worn()))
    assert found.tape.dropouts == tuple(Fraction(n, 25) for n in (3, 9, 10, 15))
    assert found.tape.head_switching in (6, 7)
    assert {"dropout", "headswitch"} <= set(found.recommended["restore"].split(","))
    text = "\n".join(sentences(found))
    assert "dropouts: in 4 of 22 frames looked at: 0:00:00.120, 0:00:00.360" in text
    assert "rows are displaced; --restore headswitch" in text
    assert json.loads(json.dumps(found.to_json()))["tape"]["dropouts"] == [0.12, 0.36, 0.4, 0.6]


def test_a_single_dropout_is_not_reported() -> None:
    clip = moments(24, 2)
    clip[7][30, 20:90] = 250
    found = inspected(frames_of(clip))
    assert found.tape.dropouts == ()
    assert "dropout" not in found.recommended.get("restore", "")
    assert not any("dropouts" in line for line in sentences(found))


def test_a_sound_clip_has_no_faults_of_tape() -> None:
    found = inspected(frames_of(moments(24, 2, 1)))
    assert (found.tape.dropouts, found.tape.head_switching, found.tape.chroma_delay) == ((), 0, 0.0)
    assert found.tape.colour_band == 0
    assert found.tape.searched == 22


def test_quick_looks_and_large_pictures_are_not_searched() -> None:
    assert inspected(frames_of(worn()), rate=None).tape.searched == 0
    large = [replace(f, planes=tuple(np.tile(p, (7, 7)) for p in f.planes)) for f in frames_of(worn()[:6])]
    assert inspected(large).tape.searched == 0


def test_halos_without_edges_that_stand_free_are_found_by_their_spectrum() -> None:
    """Noise as fine as pictures has no such edges; its ringing is found, and none in what does not ring."""
    rng = np.random.default_rng(7)
    f = np.hypot(np.fft.fftfreq(192)[:, None], np.fft.rfftfreq(256))
    spectra = [np.fft.rfft2(rng.standard_normal((192, 256))) * np.exp(-12 * f**2) / np.maximum(f, 0.02) for _ in "1234"]
    fields = [np.fft.irfft2(s, (192, 256)) for s in spectra]
    plain = [np.asarray(128 + 25 * y / y.std(), np.float32) for y in fields]
    for clip, period in ((plain, None), ([ringing(y, 1.0, 2.2, 13.5) for y in plain], 13.5 / 2.2)):
        search = TapeSearch()
        search.add(frames_of(clip))
        found = search.result().ringing
        assert (found is None) == (period is None)
        assert found is None or found.period == pytest.approx(period, rel=0.1)
