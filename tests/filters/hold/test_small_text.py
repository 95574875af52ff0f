"""Lines of small text, drawn over made pictures, and pictures without any."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.faces import with_text
from tests.support.scenes import texture
from vidsr.filters.hold.small_text import small_text

SAMPLE = Path(__file__).parents[3] / "samples" / "bigbuckbunny-320x180.png"
LINES = ((8, 10, "Central Station 24"), (20, 60, "platform for trains"))


@pytest.mark.parametrize("height", [8, 11, 16])
@pytest.mark.parametrize("light", [True, False], ids=["light", "dark"])
def test_lines_of_text_are_found(height: int, light: bool) -> None:
    found = small_text(with_text(texture(90, 200, coarse=8.0), LINES, height, light=light))[0, 0]
    for x, y, text in LINES:
        line = found[y + height // 3 : y + height, x + 2 : x + len(text) * height // 3]
        assert line.mean() > 0.65, (height, light, text)
    assert found[90 - 8 :].mean() < 0.2  # not everything


@pytest.mark.parametrize("ground", [None, 0.4], ids=["texture", "even"])
def test_what_is_too_small_to_be_read_is_left_alone(ground: float | None) -> None:
    """In it even the faithful network draws no letters."""
    picture = texture(90, 200, coarse=8.0) if ground is None else torch.full((1, 3, 90, 200), ground)
    assert not small_text(with_text(picture, LINES, 6)).any()
    assert small_text(with_text(picture, LINES, 10)).any()


def test_a_picture_of_leaves_and_fur_has_none() -> None:
    picture = torch.from_numpy(np.array(Image.open(SAMPLE).convert("RGB"))).movedim(-1, 0)[None].float() / 255
    assert small_text(picture).mean() < 0.01


@pytest.mark.parametrize("coarse", [0.5, 1.0, 2.0])
def test_a_texture_has_none(coarse: float) -> None:
    assert not small_text(texture(120, 160, coarse=coarse)).any()


def test_a_fence_has_none() -> None:
    """Bars that are taller than letters."""
    bars = (torch.arange(160) % 5 < 2).float().expand(1, 3, 120, 160) * 0.6 + 0.2
    assert not small_text(bars)[..., 30:-30, :].any()


def test_tiny_and_even_pictures_have_none() -> None:
    assert not small_text(torch.full((1, 3, 5, 7), 0.5)).any()
    assert not small_text(torch.full((1, 3, 60, 80), 0.5)).any()
