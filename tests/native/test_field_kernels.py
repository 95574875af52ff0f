"""The kernels for fields give what NumPy gives, whatever the size and the vectors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.scenes import gray_frames
from vidsr.filters.before.field_interpolation import bob
from vidsr.filters.detect import interlace
from vidsr.native import field_kernels


def pictures(count: int, *shape: int) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
    random = np.random.default_rng(sum(shape))
    first = random.uniform(0, 255, shape)
    return [(first + random.normal(0, 6, shape)).clip(0, 255).astype(np.float32) for _ in range(count)]


@pytest.mark.parametrize("depth", [8, 10, 16])
@pytest.mark.parametrize("shape", [(2, 3), (3, 40), (8, 7), (21, 70)])
@pytest.mark.parametrize("first", [False, True])
def test_missing_lines(both: Any, depth: int, shape: tuple[int, int], first: bool) -> None:
    """All parities, with rows that are further apart than they are long."""
    most = (1 << depth) - 1
    frames = []
    for picture in pictures(3, shape[0], shape[1] + 5):
        codes = (picture * (most / 255)).astype(np.uint8 if depth == 8 else np.uint16)[:, : shape[1]]
        frame = gray_frames(1)[0]
        frames.append(replace(frame, planes=(codes,), format=replace(frame.format, depth=depth)))
    for order in ("tff", "bff"):
        made, plain = both(lambda order=order: bob(*frames, first=first, order=order).planes[0])
        gap = np.abs(made.astype(int) - plain.astype(int))
        assert made.dtype == plain.dtype and gap.max() <= (depth > 8) and (gap > 0).mean() < 0.01
        keep = 0 if (order == "tff") == first else 1
        assert np.array_equal(made[keep::2], frames[1].planes[0][keep::2])


@given(height=st.integers(2, 14), width=st.integers(2, 70), spread=st.integers(0, 255), seed=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_missing_lines_of_bytes_are_exact(height: int, width: int, spread: int, seed: int) -> None:
    """Whatever arithmetic the kernel chooses, and where values lie on limits."""
    random = np.random.default_rng(seed)
    scene = random.integers(0, 256, (height, width))
    frame, planes = gray_frames(1)[0], []
    for _ in range(3):
        noisy = scene + random.integers(-spread, spread + 1, scene.shape)
        planes.append(noisy.clip(0, 255).astype(np.uint8))
    frames = [replace(frame, planes=(plane,)) for plane in planes]
    made = [bob(*frames, first=first, order="tff").planes[0] for first in (True, False)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(field_kernels, "library", lambda: None)
        plain = [bob(*frames, first=first, order="tff").planes[0] for first in (True, False)]
    assert all(np.array_equal(a, b) for a, b in zip(made, plain, strict=True))


@pytest.mark.parametrize("shape", [(4, 4), (6, 34), (40, 96)])
@pytest.mark.parametrize("tolerance", [0.0, 3.0])
def test_measures(both: Any, shape: tuple[int, int], tolerance: float) -> None:
    a, b = pictures(2, *shape)
    for measure in (
        lambda: interlace.comb(a[0::2], b[1::2], tolerance),
        lambda: interlace.comb(b[0::2], b[1::2], tolerance),
        lambda: interlace.detail(a, tolerance),
        lambda: interlace.changes(a, b, tolerance),
    ):
        made, plain = both(measure)
        assert made == pytest.approx(plain, rel=1e-5)


@given(height=st.integers(2, 20), width=st.integers(2, 70), flat=st.booleans())
@settings(max_examples=40, deadline=None)
def test_what_fields_of_one_still_picture_show(height: int, width: int, flat: bool) -> None:
    """Lines of a picture without vertical detail do not stick out, and a picture does not differ from itself."""
    row = np.random.default_rng(width).uniform(0, 0 if flat else 255, 2 * width).astype(np.float32)
    picture = np.repeat(row[None], 2 * height, axis=0)
    assert interlace.comb(picture[0::2], picture[1::2]) == 0
    assert interlace.changes(picture, picture) == (0, 0, 0, 0)
    assert (interlace.detail(picture) == 0) == flat


def test_what_the_kernels_do_not_take() -> None:
    picture = np.zeros((4, 8), np.float32)
    others: list[Any] = [picture.astype(np.float64), picture[:, ::2], picture[:, :0]]
    for other in others:
        assert field_kernels.comb(other, other, 1.0) is None
        assert field_kernels.detail(other, 1.0) is None
        assert field_kernels.changes(other, other, 1.0) is None
    assert field_kernels.changes(picture, picture[:2], 1.0) is None
    assert field_kernels.comb(picture[:1], picture[:1], 1.0) is None
