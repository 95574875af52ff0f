"""Which places of a video become clips."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from tests.support.training import moving, textured
from vidsr.frames import Colour, Frame, PixelFormat
from vidsr.training.dataset.clips.clip_motion import BINS, bin_names, bin_of, measure
from vidsr.training.dataset.clips.clip_selection import ClipPlace, ClipSurvey, TakenLooks, choose_places, look_through
from vidsr.training.dataset.selection import is_combed


def _frames(clip: np.ndarray) -> Iterator[Frame]:
    """Grey frames of ``[T, H, W]`` uint8; their memory is used again, as a decoder's is."""
    format = PixelFormat.parse("gray")
    assert format is not None
    memory = np.empty_like(clip[0])
    for number, luma in enumerate(clip):
        memory[:] = luma
        yield Frame(
            planes=(memory,), format=format, colour=Colour(), index=number, pts=number, time_base=Fraction(1, 25)
        )


def _grey(seed: int, frames: int, side: int = 128, step: tuple[int, int] = (1, 2)) -> np.ndarray:
    """``[T, side, side]`` of a picture that repeats nowhere, moving by ``step`` px a frame."""
    down, across = step
    wide = 2 * side
    rng = np.random.default_rng(seed)
    octaves = [
        np.asarray(Image.fromarray(rng.integers(0, 256, (wide // n, wide // n), np.uint8)).resize((wide, wide)), float)
        for n in (2, 4, 8, 16, 32)
    ]
    picture = (128 + 0.6 * (sum(octaves) - 5 * 127.5)).clip(40, 235).astype(np.uint8)
    return np.stack([picture[t * down : t * down + side, t * across : t * across + side] for t in range(frames)])


def _survey(clip: np.ndarray, length: int = 8, detail: float = 2.0) -> ClipSurvey:
    return look_through(_frames(clip), length, 64, detail)


def _place(number: int, scene: int = 0, motion: float = 1.5, sharpness: float = 1.0, look: int = -1) -> ClipPlace:
    seed = number if look < 0 else look
    values = np.random.default_rng(seed).random(256).round(3).tolist()
    return ClipPlace(frames=[number * 8], left=0, top=0, scene=scene, sharpness=sharpness, motion=motion, look=values)


def test_bins_cover_all_speeds() -> None:
    assert [bin_of(bound) for bound in BINS] == list(range(len(BINS)))
    assert bin_of(0.1) == 0 and bin_of(1e3) == len(BINS) - 1
    assert len(bin_names()) == len(BINS) and bin_names()[-1] == "8 and more"


@pytest.mark.parametrize("step", [(0, 0), (0, 1), (3, 1), (0, 6)])
def test_motion_of_a_place_is_what_it_was_made_with(step: tuple[int, int]) -> None:
    survey = _survey(_grey(12, 16, 192, step))
    assert survey.stretches == 2 and survey.places and survey.scenes == 1
    speed = float(np.hypot(*step))
    for place in survey.places:
        assert place.motion == pytest.approx(speed, abs=0.2 + 0.1 * speed)


def test_stretches_start_again_after_a_cut_also_between_similar_pictures() -> None:
    first, second = _grey(1, 13, step=(0, 1)), _grey(2, 20, step=(0, 1))
    alike = (0.3 * first[-1].astype(float) + 0.7 * second).astype(np.uint8)
    for after in (second, alike):
        survey = _survey(np.concatenate([first, after]))
        assert survey.scenes == 2 and {place.frames[0] for place in survey.places} == {0, 13, 21}
        assert survey.left_out["too short between cuts"] == 1


def test_what_teaches_nothing_is_left_out() -> None:
    clip = _grey(3, 8)
    black = np.full_like(clip, 18)
    assert _survey(black).left_out == {"black, white or fog": 1}
    combed = _grey(3, 9, 128, (0, 5))
    woven = combed[:8].copy()
    woven[:, 1::2] = combed[1:, 1::2]
    assert _survey(woven).left_out == {"combed": 1}
    soft = (textured(4, 128, 128)[..., 1].mean() + np.linspace(-40, 40, 128)[None, None] * np.ones((8, 128, 1))).astype(
        np.uint8
    )
    assert _survey(soft).left_out == {"without detail": 1}
    assert _survey(clip[:, :60]).left_out == {"smaller than a clip": 1}


def test_thin_lines_at_rest_are_not_combing() -> None:
    """Every second line of a part differs from its neighbours, as fields do; what moves does not comb."""
    clip = _grey(3, 8, 256, (0, 2))
    lines = np.where(np.arange(256) % 2, 60, 190).astype(np.uint8)[:, None]
    clip[:, :, :64] = lines
    assert is_combed(clip[0], 255)
    survey = _survey(clip)
    assert not survey.left_out and survey.places


@pytest.mark.parametrize("noise", [0, 1])
def test_repeated_frames_are_passed_over(noise: int) -> None:
    """As in a transfer of 16 frames a second to 25; recompressed, the repeats are not quite the same."""
    clip = _grey(3, 16, 192, (0, 1))
    order = [n * 16 // 25 for n in range(25)]
    shown = clip[order].astype(int)
    shown += np.random.default_rng(0).integers(-noise, noise + 1, shown.shape)
    survey = _survey(shown.astype(np.uint8))
    repeats = [n for n in range(1, 25) if order[n] == order[n - 1]]
    # The first repeats cannot be recognised before anything has moved.
    late = [n for n in repeats if n > 2]
    assert survey.repeats >= len(late) and survey.frames == 25
    numbers = {n for place in survey.places for n in place.frames}
    assert not numbers & set(late)
    assert all(len(place.frames) == 8 and place.motion == pytest.approx(1, abs=0.25) for place in survey.places)


def test_a_still_scene_is_not_a_repeat() -> None:
    moving_then_still = np.concatenate([_grey(3, 9, 128, (0, 1)), np.repeat(_grey(3, 9, 128, (0, 1))[-1:], 20, 0)])
    survey = _survey(moving_then_still)
    assert survey.repeats == 3 and survey.stretches == 3


def test_the_sharper_half_of_a_picture_is_taken() -> None:
    clip = _grey(5, 8, 256, (0, 1)).astype(np.float32)
    blurred = (np.roll(clip, 2, 2) + np.roll(clip, 1, 2) + clip + np.roll(clip, -1, 2) + np.roll(clip, -2, 2)) / 5
    clip[:, :, 128:] = blurred[:, :, 128:]
    survey = _survey(clip.astype(np.uint8))
    best = max(survey.places, key=lambda place: place.sharpness)
    assert best.left + 64 <= 128 + 16
    places = [(p.left, p.top) for p in survey.places]
    assert len(set(places)) == len(places) > 1


def test_bars_are_outside_of_every_place() -> None:
    clip = _grey(6, 8, 192)
    clip[:, :32], clip[:, -32:] = 16, 16
    survey = _survey(clip)
    assert survey.places and all(place.top >= 32 and place.top + 64 <= 160 for place in survey.places)
    assert survey.bars is not None and survey.bars.top == 32


def test_bins_and_scenes_take_turns_and_the_sharpest_come_first() -> None:
    places = [_place(n, scene=n % 2, motion=1.5, sharpness=n) for n in range(10)]
    places += [_place(20, motion=5.0, sharpness=0.1), _place(21, scene=1, motion=0.1, sharpness=0.1)]
    chosen = choose_places(ClipSurvey(places=places), 6, lambda place: True, TakenLooks())
    assert [place.frames[0] // 8 for place in chosen] == [6, 7, 8, 9, 20, 21]
    only = choose_places(ClipSurvey(places=places), 3, lambda place: place.scene == 1, TakenLooks())
    assert [place.frames[0] // 8 for place in only] == [7, 9, 21]


def test_no_look_is_taken_twice_not_even_from_another_source() -> None:
    looks = TakenLooks()
    places = [_place(0, look=7), _place(1, look=7), _place(2, look=8)]
    assert len(choose_places(ClipSurvey(places=places), 9, lambda place: True, looks)) == 2
    assert not choose_places(ClipSurvey(places=[_place(3, look=8)]), 9, lambda place: True, looks)
    assert choose_places(ClipSurvey(places=[_place(3, look=9)]), 9, lambda place: True, looks)


def test_measured_motion_tells_camera_and_own_apart() -> None:
    clip = moving(7, 8, 128, (0, 2))
    motion = measure(clip)
    assert motion.mean == pytest.approx(2, abs=0.2) and motion.camera == pytest.approx(2, abs=0.2)
    assert motion.own < 0.3 and motion.broken == 0
    clip[:, :40, :40] = moving(8, 8, 40, (4, 0))
    mixed = measure(clip)
    assert mixed.camera == pytest.approx(2, abs=0.2) and mixed.own > 2 * motion.own


def test_a_cut_inside_a_clip_is_found() -> None:
    clip = moving(7, 9, 128, (0, 2))
    assert measure(np.concatenate([clip[:5], moving(8, 4, 128)])).broken == 5
    passing = clip.copy()
    for n, left in ((4, 80), (5, 40), (6, 0)):
        passing[n, 20:80, left : left + 48] = 250
    assert measure(passing).broken == 0, "something that passes quickly is not a cut"
    flash = clip.copy()
    flash[4] = (flash[4].astype(int) + 90).clip(0, 255)
    assert measure(flash).broken in (4, 5)
