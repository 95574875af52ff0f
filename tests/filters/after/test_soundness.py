"""What speaks against several frames: noise, blocks, lost or unsteady detail, stillness; nothing on sound ones."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from tests.support.places import STILL
from vidsr.filters.after import soundness
from vidsr.filters.after.soundness import FEWEST, Judgement, compression, hopeless, judge, look, unbroken
from vidsr.filters.detect.noise import dct_basis
from vidsr.filters.flow import gaussian

FRAMES = 9
#: Softens :func:`pan` so that less detail is left than sharp sources have.
SOFT_PX = 0.5


def pan(frames: int = FRAMES) -> list[Tensor]:
    """A part of a real picture, reduced by two by area, that moves by one pixel of the original from frame to frame."""
    whole = np.asarray(Image.open(STILL).convert("RGB"), np.float32) / 255
    picture = torch.from_numpy(whole).permute(2, 0, 1)[None]
    return [rounded(F.avg_pool2d(picture[..., 10:170, n : n + 288], 2)) for n in range(frames)]


def rounded(rgb: Tensor) -> Tensor:
    return (rgb * 255).round().clamp(0, 255) / 255


def noisy(rgb: Tensor, sigma: float, seed: int) -> Tensor:
    drawn = torch.randn(rgb.shape, generator=torch.Generator().manual_seed(seed))
    return rounded(rgb + drawn * sigma / 255)


def as_jpeg(rgb: Tensor, quality: int) -> Tensor:
    file = io.BytesIO()
    codes = (rgb[0].permute(1, 2, 0) * 255).round().byte().numpy()
    Image.fromarray(codes).save(file, "JPEG", quality=quality)
    back = np.asarray(Image.open(file), np.float32) / 255
    return torch.from_numpy(back).permute(2, 0, 1)[None]


def judged(frames: list[Tensor]) -> Judgement:
    with torch.inference_mode():
        return judge([look(one) for one in frames])


def test_a_sound_source_is_trusted() -> None:
    assert judged(pan()) == Judgement(1.0, "")
    assert not hopeless([look(one) for one in pan()])


def soft(frames: int = FRAMES) -> list[Tensor]:
    """The same with less fine detail than a sharp source has."""
    return [rounded(gaussian(one, SOFT_PX)) for one in pan(frames)]


def test_a_soft_source_is_trusted_where_it_changes_as_a_cameras_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder repeats most places exactly from frame to frame."""
    monkeypatch.setattr(soundness, "ALIASING", (-9.0, -10.0))  # a blur after the reduction takes the aliases too
    moving, kept = soft(), soft()
    for before, now in pairwise(kept):
        now[..., :60, :] = before[..., :60, :]
    assert judged(moving).trust == 1
    assert judged(kept) == Judgement(0.0, "little fine detail")


def test_a_source_whose_reduction_left_no_aliases_has_nothing_to_gain() -> None:
    whole = Image.open(STILL).convert("RGB")
    half = whole.resize((whole.width // 2, whole.height // 2), Image.Resampling.LANCZOS)
    small = np.asarray(half, np.float32) / 255
    picture = torch.from_numpy(small).permute(2, 0, 1)[None]
    frames = [picture[..., 5:85, n : n + 144] for n in range(FRAMES)]
    assert judged(frames) == Judgement(0.0, "reduced without aliases")
    assert hopeless([look(one) for one in frames])


UNSTEADY = "detail that changes from frame to frame"
DAMAGES: dict[str, tuple[Callable[[Tensor, int], Tensor], str]] = {
    "noise of 2": (lambda rgb, n: noisy(rgb, 2, n), "noise"),
    "noise of 10": (lambda rgb, n: noisy(rgb, 10, n), "noise"),
    "JPEG 75": (lambda rgb, n: as_jpeg(rgb, 75), "compression blocks"),
    "JPEG 40": (lambda rgb, n: as_jpeg(rgb, 40), "compression blocks"),
    "blur": (lambda rgb, n: rounded(gaussian(rgb, 0.8)), "little fine detail"),
    "B frames": (lambda rgb, n: rounded(gaussian(rgb, 0.4)) if n % 3 else rgb, UNSTEADY),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named(name: str) -> None:
    damage, against = DAMAGES[name]
    damaged = [damage(one, n) for n, one in enumerate(pan())]
    found = judged(damaged)
    assert found.trust == 0 and found.against == against, found
    assert hopeless([look(one) for one in damaged]) == (against not in (UNSTEADY, "noise"))


@pytest.mark.parametrize(
    ("sigma", "least", "most"),
    [(0.5, 0.0, 0.0), (2, 0.3, 0.9), (5, 1.0, 1.0), (10, 0.2, 0.8), (20, 0.0, 0.0)],
)
def test_noise_alone_can_be_removed(sigma: float, least: float, most: float) -> None:
    found = judged([noisy(one, sigma, n) for n, one in enumerate(pan())])
    assert least <= found.noisy <= most, found
    assert found.is_used == (found.noisy > 0 or found.trust > 0)


@pytest.mark.parametrize("quality", [75, 40])
def test_noise_under_other_damage_is_left_alone(quality: int) -> None:
    compressed = judged([as_jpeg(noisy(one, 5, n), quality) for n, one in enumerate(pan())])
    assert not compressed.is_used, compressed


def test_a_scene_that_stands_still_is_left_alone() -> None:
    assert judged([pan(1)[0]] * FRAMES) == Judgement(0.0, "nothing moves")


@pytest.mark.parametrize(("height", "width", "top", "left"), [(48, 64, 0, 0), (40, 56, 20, 40)])
@torch.inference_mode()
def test_small_frames_do_not_waver_between_broken_and_unbroken(height: int, width: int, top: int, left: int) -> None:
    """By chance they show some of what a grid of blocks shows."""
    frames = [one[..., top : top + height, left : left + width] for one in pan()]
    assert {unbroken(one) for one in frames} == {1.0}
    assert {unbroken(as_jpeg(one, 90)) for one in frames} == {0.0}


def test_few_or_small_frames_are_not_trusted() -> None:
    assert judged(pan(FEWEST - 1)).trust == 0
    assert judged(pan(FEWEST)).trust == 1
    assert judged([one[..., :20, :] for one in pan()]).trust == 0
    assert hopeless([None, None])


def recoded(frames: list[Tensor], step: float, corner: int = 0) -> list[Tensor]:
    """Frames of which only changes were coded, quantised in 8×8 blocks on a grid that begins at ``corner``."""
    made = frames[:1]
    for one in frames[1:]:
        basis = dct_basis(one)
        change = (one - made[-1])[..., corner:, corner:]
        height, width = change.shape[-2] // 8 * 8, change.shape[-1] // 8 * 8
        coefficients = basis @ change[..., :height, :width].unfold(2, 8, 8).unfold(3, 8, 8) @ basis.T
        kept = basis.T @ ((coefficients * 255 / step).round() * step / 255) @ basis
        now = made[-1].clone()
        now[..., corner : corner + height, corner : corner + width] += kept.transpose(-3, -2).reshape(
            1, 3, height, width
        )
        made.append(rounded(now))
    return made


@given(st.floats(4, 40))
@settings(max_examples=5)
def test_changes_that_were_coded_in_blocks_are_seen(step: float) -> None:
    """Whatever the frames themselves show; not where the grid lies elsewhere, as a subject's own edges may."""
    with torch.inference_mode():
        for frames, seen in ((recoded(pan(FEWEST), step), True), (recoded(pan(FEWEST), step, 2), False)):
            looks = [one for one in map(look, frames) if one is not None]
            assert (soundness._in_blocks(looks) > soundness.IN_BLOCKS[1]) == seen


@torch.inference_mode()
def test_compression_is_found_by_damage_alone() -> None:
    """Neither stillness nor noise nor missing aliases count."""
    for frames, coded in (
        (pan(), False),
        ([pan(1)[0]] * FEWEST, False),
        ([noisy(one, 3, n) for n, one in enumerate(pan())], False),
        (recoded(pan(), 12), True),
        ([as_jpeg(one, 75) for one in pan()], True),
    ):
        looks = [one for one in map(look, frames) if one is not None]
        assert bool(compression(looks)) == coded
        assert bool(compression(looks[:FEWEST])) == coded


def test_words_say_what_is_partly_so() -> None:
    assert Judgement(0.5, "noise").words == "partly: noise"
    assert Judgement(0.0, "noise", 0.4).words == "partly: noise, which is removed first"
    assert Judgement(0.0, "noise").words == "noise" and Judgement(1.0, "").words == ""
