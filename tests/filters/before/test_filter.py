"""Samples of 16 bits stand for the same picture."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from vidsr.filters.before.filter import DEEP, deepened
from vidsr.frames import Colour, Frame, PixelFormat, Range
from vidsr.inference.colour import rgb_of, unit_from_codes


@pytest.mark.parametrize("range_", ["limited", "full"])
@pytest.mark.parametrize("name", ["yuv420p", "yuv444p10le", "yuva420p", "gray", "gbrp", "gbrap12le", "yuv422p16le"])
def test_a_deepened_frame_shows_the_same(name: str, range_: Range) -> None:
    format = PixelFormat.parse(name)
    assert format is not None
    rng = np.random.default_rng(5)
    planes = tuple(
        rng.integers(1, format.max_code + 1, format.plane_shape(n, 24, 16)).astype(format.dtype)
        for n in range(format.plane_count)
    )
    frame = Frame(planes=planes, format=format, colour=Colour(range=range_), index=0, pts=0, time_base=Fraction(1, 25))
    deep = deepened(frame)
    assert deep.format.depth == DEEP and all(p.dtype == np.uint16 for p in deep.planes)
    assert float((rgb_of(deep) - rgb_of(frame)).abs().max()) < 4e-5
    if format.alpha:
        of = [
            unit_from_codes(torch.from_numpy(f.planes[-1].astype(np.int32)), f.format, f.colour, alpha=True)
            for f in (deep, frame)
        ]
        assert float((of[0] - of[1]).abs().max()) < 4e-5
    assert deepened(deep) is deep
