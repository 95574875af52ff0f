"""Displaced lines moved back: where blanking or still parts show them, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tests.support.displaced_lines import HEIGHT, WIDTH, changing, displaced, errors, noisy, still, texture
from tests.support.field_clips import Clip, frames_of, pulled_down
from vidsr.filters.detect.inspection_text import sentences
from vidsr.filters.inspector import Inspector
from vidsr.filters.tape.wobble import Wobble, corrections, measured
from vidsr.frames import Frame

COUNT, MIDDLE = 15, 7


def pan(count: int, by: int = 2) -> Clip:
    wide = texture(HEIGHT, WIDTH + by * count, 3)
    return [wide[:, by * n : by * n + WIDTH].astype(np.float32) for n in range(count)]


def left_px(clip: Clip) -> float:
    """RMS displacement of the middle frame after correction, px."""
    shifts = errors(COUNT)
    window = list(measured(iter(frames_of(noisy(displaced(clip, shifts))))))
    return float(np.sqrt(np.mean((shifts[MIDDLE] + corrections(window, MIDDLE)) ** 2)))


@pytest.mark.parametrize(("clip", "most"), [(still(COUNT), 0.4), (changing(COUNT), 0.35)], ids=["still", "blanking"])
def test_most_of_the_displacement_goes(clip: Clip, most: float) -> None:
    assert left_px(clip) < most  # of 0.6


def test_pictures_gain() -> None:
    truth = changing(COUNT)
    worn = frames_of(displaced(truth, errors(COUNT)))
    mended = list(Wobble()(iter(worn)))

    def error(frames: list[Frame]) -> float:
        pairs = list(zip(frames, truth, strict=True))[4:-4]
        return float(np.mean([(f.planes[0][:, 16:-16] - y[:, 16:-16]) ** 2 for f, y in pairs]))

    assert error(mended) < error(worn) / 3


@pytest.mark.parametrize(
    "clip",
    [
        noisy(still(COUNT), 3),
        noisy(changing(COUNT), 1),
        noisy(pan(COUNT)),
        pulled_down(pan(16), "tff")[:COUNT],
    ],
    ids=["still", "blanking", "pan", "telecined pan"],
)
def test_what_is_sound_stays_bit_for_bit(clip: Clip) -> None:
    source = frames_of(clip)
    assert all(a is b for a, b in zip(Wobble()(iter(source)), source, strict=True))


def test_a_segment_is_what_it_is_in_the_whole() -> None:
    count = 28
    source = frames_of(noisy(displaced(still(14) + changing(14), errors(count))))
    whole = list(Wobble()(iter(source)))
    assert all((a.planes[0] != b.planes[0]).any() for a, b in zip(whole, source, strict=True))
    before, after = Wobble.lookaround
    for start, stop in ((0, 4), (13, 15), (27, 28)):
        low = max(0, start - before)
        part = list(Wobble()(iter(source[low : stop + after])))[start - low : stop - low]
        for one, other in zip(part, whole[start:stop], strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one.planes, other.planes, strict=True))


def test_colour_moves_with_its_lines() -> None:
    """Chroma is half as wide, and a line of it belongs to two of luma."""
    shifts = [np.repeat(e[::2], 2) for e in errors(COUNT)]
    luma = displaced(still(COUNT), shifts)
    worn = [
        replace(f, planes=(f.planes[0], *[np.ascontiguousarray(f.planes[0][::2, ::2])] * 2)) for f in frames_of(luma)
    ]
    mended = list(Wobble()(iter(worn)))[MIDDLE]
    true = still(1)[0][::2, ::2]
    for plane, own in ((mended.planes[1], worn[MIDDLE].planes[1]), (mended.planes[2], worn[MIDDLE].planes[2])):
        inside = (slice(4, -4), slice(8, -8))
        error, before = (np.abs(p.astype(float) - true)[inside].mean() for p in (plane, own))
        assert error < 0.6 * before


def test_frames_of_another_size_share_nothing() -> None:
    source = frames_of(displaced(still(8), errors(8)))
    small = [replace(f, planes=tuple(p[: len(p) // 2] for p in f.planes)) for f in source]
    alone = list(Wobble()(iter(source)))
    together = list(Wobble()(iter([*source, *small])))[:8]
    assert all(np.array_equal(a.planes[0], b.planes[0]) for a, b in zip(alone, together, strict=True))


def test_inspection_finds_the_place() -> None:
    clip = noisy(still(24, 4))
    clip[12:] = displaced(clip[12:], errors(12))
    frames = frames_of(clip)
    inspector = Inspector(rate=Fraction(25))
    for start in (0, 12):
        inspector.add(frames[start : start + 12])
    found = inspector.result(24)
    (place,) = found.tape.wobble
    assert place.start == Fraction(12, 25) and 0.2 < place.strong < 0.8
    assert "wobble" in found.recommended["restore"].split(",")
    assert any(line.startswith("wobble: lines are displaced one by one") for line in sentences(found))
    assert found.to_json()["tape"]["wobble"][0]["start"] == 0.48
