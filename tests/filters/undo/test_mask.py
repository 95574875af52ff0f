"""Masks: black keeps, white restores, grey blends; chroma follows."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vidsr.filters.before.filter import deepened, with_planes
from vidsr.filters.undo.mask import FrameMask
from vidsr.frames import Colour, Frame, PixelFormat


def frame(width: int, height: int, seed: int, name: str = "yuv420p") -> Frame:
    format = PixelFormat.parse(name)
    assert format is not None
    rng = np.random.default_rng(seed)
    shapes = [format.plane_shape(n, width, height) for n in range(format.plane_count)]
    planes = tuple(rng.integers(0, format.max_code + 1, shape).astype(format.dtype) for shape in shapes)
    return Frame(planes=planes, format=format, colour=Colour(), index=0, pts=0, time_base=Fraction(1, 25))


@given(st.integers(4, 21), st.integers(4, 21), st.sampled_from(["yuv420p", "yuv422p10le", "yuv444p", "gbrp"]))
def test_black_keeps_and_white_restores_bit_for_bit(width: int, height: int, name: str) -> None:
    was, now = frame(width, height, 1, name), frame(width, height, 2, name)
    for value, expected in ((0, was), (1, now)):
        made = FrameMask(np.full((height, width), value, np.float32)).applied(was, now)
        assert all(np.array_equal(a, b) for a, b in zip(made.planes, expected.planes, strict=True))


def test_grey_blends_and_an_edge_in_luma_lies_at_the_same_place_in_chroma() -> None:
    was = frame(16, 8, 1)
    now = with_planes(was, [np.full_like(p, 200) for p in was.planes])
    share = np.zeros((8, 16), np.float32)
    share[:, 8:] = 0.25
    made = FrameMask(share).applied(was, now)
    assert np.array_equal(made.planes[0][:, :8], was.planes[0][:, :8])
    assert np.array_equal(made.planes[1][:, :4], was.planes[1][:, :4])
    blend = np.rint(0.75 * was.planes[2][:, 4:] + 50)
    assert np.array_equal(made.planes[2][:, 4:], blend)


def test_a_plane_that_was_not_touched_is_handed_on() -> None:
    was = frame(16, 8, 1)
    now = with_planes(was, [was.planes[0] // 2, *was.planes[1:]])
    assert FrameMask(np.full((8, 16), 0.5, np.float32)).applied(was, now).planes[1] is was.planes[1]


def test_a_crop_of_a_mask_is_the_mask_of_the_crop() -> None:
    share = np.random.default_rng(3).random((12, 20)).astype(np.float32)
    assert np.array_equal(FrameMask(share).cropped(4, 2, 10, 8).share, share[2:10, 4:14])


def test_where_the_filter_gave_more_bits_black_keeps_the_picture() -> None:
    was, now = frame(16, 8, 1), deepened(frame(16, 8, 2))
    share = np.zeros((8, 16), np.float32)
    share[:, 8:] = 1
    made = FrameMask(share).applied(was, now)
    assert made.format.depth == 16
    assert np.array_equal(made.planes[0][:, :8], was.planes[0][:, :8].astype(np.uint16) << 8)
    assert np.array_equal(made.planes[0][:, 8:], now.planes[0][:, 8:])
