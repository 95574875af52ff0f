"""The edges of the blanking, line by line."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.displaced_lines import HEIGHT, changing, displaced, errors, noisy, texture
from vidsr.filters.tape.blanking import blanking_columns, edges_of


@pytest.mark.parametrize("noise", [0.0, 1.5])
def test_edges_move_with_their_lines(noise: float) -> None:
    clip = changing(1)
    shifts = errors(1)
    (moved,) = noisy(displaced(clip, shifts), noise)
    for edge in edges_of(moved):
        assert edge.known.mean() > 0.8
        apart = edge.place - shifts[0]
        assert np.std((apart - np.median(apart))[edge.known]) < 0.25
    left, right = edges_of(moved)
    both = left.known & right.known
    assert np.corrcoef(left.place[both], right.place[both])[0, 1] > 0.8
    assert 5 < np.median(left.place[both]) < 11 and 229 < np.median(right.place[both]) < 235


def test_columns_of_blanking() -> None:
    (picture,) = changing(1)
    assert 5 <= blanking_columns(picture) <= 8
    assert blanking_columns(texture(HEIGHT, 240, 0).astype(np.float32)) < 2
    assert blanking_columns(np.full((64, 240), 200, np.float32)) == 0


def test_pictures_without_blanking_and_dark_lines_have_no_edge() -> None:
    assert not any(edge.known.any() for edge in edges_of(texture(HEIGHT, 240, 0).astype(np.float32)))
    assert not any(edge.known.any() for edge in edges_of(np.full((64, 240), 16, np.float32)))
    (picture,) = changing(1)
    picture[20:40] = 20
    left, right = edges_of(picture)
    assert not left.known[21:39].any() and not right.known[21:39].any()
