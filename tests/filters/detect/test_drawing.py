"""Drawings and pictures of a camera, told apart by outlines between even areas."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.support.drawings import drawn, filmed
from tests.support.places import ROOT
from vidsr.filters.detect.drawing import SMALLEST_PX, is_drawing, look
from vidsr.frames import Array


def test_even_shapes_with_outlines_are_a_drawing_and_soft_noisy_ones_are_not() -> None:
    assert is_drawing([look(drawn(n)) for n in range(3)])
    assert not is_drawing([look(filmed(n)) for n in range(3)])


def test_the_size_of_a_drawing_and_its_contrast_hardly_matter() -> None:
    for factor in (2, 4):
        assert is_drawing([look(drawn().repeat(factor, 0).repeat(factor, 1))])
    assert is_drawing([look((drawn() * 0.7 + 40).astype(np.uint8))])


def test_a_rendered_film_counts_as_camera_footage() -> None:
    with Image.open(ROOT / "samples" / "bigbuckbunny-320x180.png") as picture:
        assert not is_drawing([look(np.asarray(picture.convert("RGB")))])


@pytest.mark.parametrize("picture", [np.zeros((120, 160, 3), np.uint8), np.full((90, 90, 3), 255, np.uint8)])
def test_an_empty_picture_is_no_drawing(picture: Array) -> None:
    assert not is_drawing([look(picture)])


def test_what_is_too_small_is_not_judged() -> None:
    assert look(drawn()[: SMALLEST_PX - 1]) is None
    assert not is_drawing([None, None])
    assert is_drawing([None, look(drawn())])
