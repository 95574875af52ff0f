"""The kernels for pictures give what PyTorch gives, whatever the size, the vectors and the pixel format."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.kernels import agree, noise
from tests.support.scenes import gray_frames, texture
from vidsr.filters.after import fidelity
from vidsr.filters.after.colour_lock import GREY, ColourLock, low_frequencies
from vidsr.filters.after.correction import Corrections
from vidsr.filters.before.motion import plane_of, unit
from vidsr.filters.flow import gaussian, luma, resize_flow
from vidsr.filters.resample import area_down, cubic_up, separable, without
from vidsr.frames import Colour, PixelFormat
from vidsr.inference import colour
from vidsr.native import pictures

sides = st.integers(1, 90)


@pytest.mark.parametrize("size", [(1, 1), (2, 130), (7, 64), (33, 101), (90, 160)])
@pytest.mark.parametrize("sigma", [0.4, 1.5, 6.0])
def test_gaussian(both: Any, size: tuple[int, int], sigma: float) -> None:
    picture = noise(2, 3, *size)
    agree(both(lambda: gaussian(picture, sigma)))
    agree(both(lambda: gaussian(picture.transpose(2, 3), sigma)))  # not contiguous


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 40), (45, 80)])
def test_resampling(both: Any, size: tuple[int, int]) -> None:
    small = noise(2, 3, *size) - 0.2
    for ratio in ((1, 2), (2, 2), (3, 3), (4, 4), (2, 5), (8, 8), (1, 1)):
        large = (size[0] * ratio[0], size[1] * ratio[1])
        base = noise(2, 3, *large)
        agree(both(lambda large=large: cubic_up(small, large)))
        agree(both(lambda large=large, base=base: cubic_up(small, large, base)))
        agree(both(lambda base=base: area_down(base, size)))
        agree(both(lambda large=large: without(small * 2, small, large)))


@given(height=sides, width=sides, down=st.integers(0, 20), across=st.integers(0, 20))
@settings(max_examples=40, deadline=None)
def test_any_filter_of_any_picture(height: int, width: int, down: int, across: int) -> None:
    if pictures.library() is None:
        pytest.skip("no C compiler")
    taps = [list(torch.rand(2 * n + 1, generator=torch.Generator().manual_seed(n))) for n in (down, across)]
    lists = [[float(t / (len(side) * 0.5)) for t in side] for side in taps]
    picture = noise(1, 2, height, width)
    native = pictures.filtered(picture, lists[0], lists[1])
    assert native is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "library", lambda: None)
        agree((native, separable(picture, lists[0], lists[1])))


@pytest.mark.parametrize("size", [(1, 1), (7, 40), (33, 101)])
def test_low_frequencies(both: Any, size: tuple[int, int]) -> None:
    missing, whole = noise(3, 3, *size) - 0.5, torch.tensor([0.0, 0.4, 1.0]).view(3, 1, 1, 1)
    agree(both(lambda: low_frequencies(missing, whole)))
    agree(both(lambda: low_frequencies(missing.transpose(2, 3), whole)))  # not contiguous


@given(height=sides, width=sides, at=st.floats(0, 1), gap=st.sampled_from([0.0, 0.5 / 255, 0.7 / 255]))
@settings(max_examples=40, deadline=None)
def test_one_coloured_pixel_makes_a_picture_coloured(height: int, width: int, at: float, gap: float) -> None:
    grey = noise(1, 1, height, width).expand(2, 3, -1, -1).clone()
    grey[1, 2].view(-1)[int(at * (height * width - 1))] += gap
    made = pictures.neutral(grey, GREY)
    assert made is None or made == [True, gap < GREY]


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (33, 101)])
def test_what_stands_out_of_noise(both: Any, size: tuple[int, int]) -> None:
    source, missing = noise(2, 3, *size), (noise(2, 3, *size) - 0.5) * 0.1
    share = torch.tensor([0.3, 1.0])
    agree(both(lambda: luma(source)))
    agree(both(lambda: fidelity.above_noise(missing, fidelity.noise(source), share)), 1e-4)


@pytest.mark.parametrize("noisy", [False, True])
def test_the_default_corrections(both: Any, noisy: bool) -> None:
    source = texture(60, 88) + (5 / 255 * torch.randn(1, 3, 60, 88) if noisy else 0)
    out = texture(240, 352, seed=5)
    steps = Corrections([fidelity.Fidelity(), ColourLock()])
    agree(both(lambda: steps(source, out, gray_frames(1))), 2e-5)


LOCATIONS: tuple[Literal["left", "center", "topleft", "top", "bottomleft", "bottom"], ...]
LOCATIONS = ("left", "center", "topleft", "top", "bottomleft", "bottom")
FORMATS = [
    PixelFormat(name=f"{layout}, {depth}", family="yuv", depth=depth, log2_chroma_w=w, log2_chroma_h=h, alpha=False)
    for layout, (h, w) in {"4:2:0": (1, 1), "4:2:2": (0, 1), "4:4:0": (1, 0), "4:4:4": (0, 0)}.items()
    for depth in (8, 10, 16)
]


@pytest.mark.parametrize("pixel_format", FORMATS, ids=lambda f: f.name)
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 5), (35, 70)])
def test_planes(both: Any, pixel_format: PixelFormat, size: tuple[int, int]) -> None:
    rgb = noise(2, 3, *size) * 1.4 - 0.2
    for tags in (*(Colour(chroma_location=place) for place in LOCATIONS), Colour(matrix="bt2020nc", range="full")):
        native, plain = both(lambda tags=tags: colour.planes_from_rgb(rgb, pixel_format, tags))
        for a, b in zip(native, plain, strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape
            gap = ((a.int() & 0xFFFF) - (b.int() & 0xFFFF)).abs()
            assert int(gap.max()) <= 1
            # Rounding differs by some 1e-6 of white.
            assert float(gap.float().mean()) <= 1e-5 * pixel_format.max_code + 1e-4


@pytest.mark.parametrize("pixel_format", FORMATS, ids=lambda f: f.name)
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 5), (35, 70)])
def test_rgb(both: Any, pixel_format: PixelFormat, size: tuple[int, int]) -> None:
    shapes = [pixel_format.plane_shape(n, size[1], size[0]) for n in range(3)]
    planes = [(noise(2, *shape) * (pixel_format.max_code + 0.99)).int() for shape in shapes]
    codes = [plane.to(torch.uint8 if pixel_format.depth == 8 else torch.int16) for plane in planes]
    for tags in (*(Colour(chroma_location=place) for place in LOCATIONS), Colour(matrix="bt2020nc", range="full")):
        native, plain = both(lambda tags=tags: colour.rgb_from_planes(codes, pixel_format, tags))
        agree((native, plain), 1e-6)


@given(height=sides, width=sides, rows=sides, columns=sides)
@settings(max_examples=40, deadline=None)
def test_any_linear_resizing(height: int, width: int, rows: int, columns: int) -> None:
    flow = noise(2, 2, height, width)
    native = resize_flow(flow, (rows, columns))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "library", lambda: None)
        agree((native, resize_flow(flow, (rows, columns))))


@pytest.mark.parametrize("depth", [8, 10, 16])
def test_a_plane_to_numbers_and_back(both: Any, depth: int) -> None:
    """Rows of decoded frames are further apart than they are long."""
    most = (1 << depth) - 1
    wide = np.random.default_rng(0).integers(0, most + 1, (9, 70)).astype(np.uint8 if depth == 8 else np.uint16)
    frame = gray_frames(1)[0]
    frame = replace(frame, planes=(wide[:, :33],), format=replace(frame.format, depth=depth))
    for values in both(lambda: unit(frame)):
        assert torch.equal(values[0, 0], torch.from_numpy(wide[:, :33].astype(np.float32)) / most)
        for codes in both(lambda values=values: plane_of(values * 1.2301 - 0.1131, frame)):
            expected = np.rint(wide[:, :33].astype(np.float64) * 1.2301 - 0.1131 * most).clip(0, most)
            assert codes.dtype == wide.dtype and np.abs(codes - expected).max() <= 1
            assert (codes != expected).mean() < 0.02
        assert np.array_equal(both(lambda values=values: plane_of(values, frame))[0], wide[:, :33])


@pytest.mark.parametrize("depth", [8, 10, 16])
def test_sum_and_table_of_a_plane(depth: int) -> None:
    """Rows of decoded frames are further apart than they are long."""
    if pictures.library() is None:
        pytest.skip("no C compiler")
    most, random = (1 << depth) - 1, np.random.default_rng(1)
    dtype = np.uint8 if depth == 8 else np.uint16
    plane = random.integers(0, most + 1, (9, 70)).astype(dtype)[:, :33]
    table = random.permutation(most + 1).astype(dtype)
    assert pictures.total(plane) == int(plane.astype(np.int64).sum())
    looked_up = pictures.looked_up(plane, table)
    assert looked_up is not None and looked_up.dtype == dtype and np.array_equal(looked_up, table[plane])
    short = pictures.looked_up(plane, table[:100])
    assert short is not None and np.array_equal(short, table[np.minimum(plane, 99)])
    assert pictures.looked_up(plane, table.astype(np.int64)) is None
    assert pictures.total(plane.T) is None
    wide = np.full((2, 70_000), most, dtype)
    assert pictures.total(wide) == 140_000 * most


def test_codes_are_those_of_exact_arithmetic(both: Any) -> None:
    """Colours that are whole code values stay them: no dither or rounding moves them."""
    ramp = torch.arange(256.0).expand(4, 256) / 255
    grey = PixelFormat(name="4:4:4", family="yuv", depth=8, log2_chroma_w=0, log2_chroma_h=0, alpha=False)
    tags = Colour(matrix="bt709", range="full")
    for planes in both(lambda: colour.planes_from_rgb(ramp.expand(1, 3, 4, 256), grey, tags)):
        assert torch.equal(planes[0][0], torch.arange(256, dtype=torch.uint8).expand(4, 256))
        assert bool((planes[1] == 128).all()) and bool((planes[2] == 128).all())


def test_what_the_kernels_do_not_take() -> None:
    picture = torch.rand(1, 3, 8, 8)
    for other in (picture.double(), picture.half(), picture.clone().requires_grad_(), torch.empty(1, 3, 0, 8)):
        assert pictures.filtered(other, [1.0], [1.0]) is None
        assert pictures.averaged(other, 2, 2) is None
    assert pictures.filtered(picture, [1.0] * 301, [1.0]) is None
    assert pictures.filtered(picture.to("meta"), [1.0], [1.0]) is None


def test_gradients_pass_where_they_are_recorded() -> None:
    picture = torch.rand(1, 3, 8, 8, requires_grad=True)
    cubic_up(gaussian(picture, 1.0), (16, 16)).sum().backward()
    assert picture.grad is not None and float(picture.grad.sum()) == pytest.approx(3 * 256, rel=1e-4)
