"""Block edges, sharpness and consistency of pictures that were damaged on purpose."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from tests.support.places import STILL
from vidsr.quality.bicubic import resize_bicubic
from vidsr.quality.no_reference.still_measures import blockiness, consistency, sharpness, sharpness_gained


def tensor(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    with Image.open(STILL) as opened:
        return opened.convert("RGB")


def as_jpeg(picture: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def test_blocks_show_more_the_harder_the_compression(picture: Image.Image) -> None:
    plain, light, hard = (blockiness(tensor(p)) for p in (picture, as_jpeg(picture, 60), as_jpeg(picture, 10)))
    assert plain is not None and light is not None and hard is not None
    assert plain < 1.05 < light < hard and hard > 1.5


def test_enlarged_blocks_are_found_with_and_without_the_scale(picture: Image.Image) -> None:
    damaged, clean = (resize_bicubic(tensor(p), 4).clamp(0, 1) for p in (as_jpeg(picture, 10), picture))
    known, found = blockiness(damaged, 4), blockiness(damaged)
    before = blockiness(clean, 4)
    assert known is not None and found is not None and before is not None
    assert known > before + 0.05 and found >= known - 1e-6


def test_no_value_for_a_picture_of_a_few_blocks() -> None:
    assert blockiness(torch.rand(1, 3, 16, 16)) is None
    assert blockiness(torch.rand(1, 3, 64, 64), 4) is None


def test_sharpness_of_a_ramp_is_its_slope() -> None:
    ramp = torch.arange(64).float().view(1, 1, 1, 64).expand(1, 3, 64, 64) * 2 / 255
    inner = sharpness(ramp)
    # Two code values of RGB per pixel are 219/255 of that in limited-range luma; the outermost columns see half of it.
    assert inner == pytest.approx(2 * 219 / 255 * 63 / 64, rel=1e-3)


def test_sharpness_gained(picture: Image.Image) -> None:
    sharp, soft = tensor(picture), tensor(picture.filter(ImageFilter.GaussianBlur(1)))
    gained = sharpness_gained(sharp, soft)
    assert gained is not None and gained > 1.2
    assert sharpness_gained(soft, soft) == pytest.approx(1)
    assert sharpness_gained(sharp, torch.full_like(sharp, 0.5)) is None


@given(st.integers(2, 4), st.floats(0, 0.2), st.integers(0, 1000))
def test_consistency_sees_what_the_source_holds_and_nothing_above_it(scale: int, shift: float, seed: int) -> None:
    source = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(seed)) * 0.6 + 0.1
    large = source.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    same = consistency(source, source)
    assert same == 100
    moved = consistency((source + shift).clamp(0, 1), source)
    assert moved == pytest.approx(min(100, -20 * np.log10(max(shift, 1e-9))), abs=1e-2)
    assert consistency(large + shift, source) <= consistency(large, source) + 10
