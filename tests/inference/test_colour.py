"""Planes → RGB → planes: nothing is lost, for every matrix, range, depth, subsampling and siting."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.frames import largest_gap, noise_frame, pixel_format
from vidsr.errors import InferenceError
from vidsr.frames import Colour, Frame
from vidsr.inference import chroma, colour
from vidsr.inference.device_copy import array_from_codes, stack_planes

MATRICES = ("smpte170m", "bt709", "bt2020nc")


def round_trip(frame: Frame) -> list[np.ndarray]:
    planes = [stack_planes([p]) for p in frame.planes[: 3 if frame.format.family != "gray" else 1]]
    rgb = colour.rgb_from_planes(planes, frame.format, frame.colour)
    assert rgb.dtype == torch.float32 and rgb.shape == (1, 3, frame.height, frame.width)
    codes = colour.planes_from_rgb(rgb, frame.format, frame.colour, exact=True)
    return [array_from_codes(c)[0] for c in codes]


@pytest.mark.parametrize("location", ["left", "center"])
@pytest.mark.parametrize("sub", ["420", "422", "444"])
@pytest.mark.parametrize(("matrix", "range_"), list(itertools.product(MATRICES, ("limited", "full"))))
def test_what_nobody_touched_comes_back_equal(matrix: str, range_: str, sub: str, location: str) -> None:
    for suffix in ("", "10le"):
        frame = noise_frame(f"yuv{sub}p{suffix}", (34, 22), matrix=matrix, range=range_, chroma_location=location)
        assert largest_gap(frame.planes, round_trip(frame)) == 0


@pytest.mark.parametrize(
    ("name", "range_", "black", "white"),
    [
        ("yuv444p", "limited", (16, 128), (235, 128)),
        ("yuv444p10le", "limited", (64, 512), (940, 512)),
        ("yuv444p12le", "limited", (256, 2048), (3760, 2048)),
        ("yuv444p", "full", (0, 128), (255, 128)),
        ("yuv444p10le", "full", (0, 512), (1023, 512)),
    ],
)
def test_black_and_white_are_the_code_values_of_the_standard(
    name: str, range_: str, black: tuple[int, int], white: tuple[int, int]
) -> None:
    """ITU-R BT.601, BT.709 and BT.2020: 16 and 235 at 8 bits, shifted left at more; neutral chroma in the middle."""
    frame = noise_frame(name, (2, 2), matrix="bt709", range=range_)
    for (luma, neutral), shade in ((black, 0.0), (white, 1.0)):
        planes = [np.full((2, 2), code, frame.planes[0].dtype) for code in (luma, neutral, neutral)]
        rgb = colour.rgb_from_planes([stack_planes([p]) for p in planes], frame.format, frame.colour)
        assert rgb.numpy() == pytest.approx(shade, abs=1e-6)
        codes = colour.planes_from_rgb(torch.full((1, 3, 2, 2), shade), frame.format, frame.colour)
        assert [set(array_from_codes(c)[0].flat) for c in codes] == [{luma}, {neutral}, {neutral}]


@given(
    name=st.sampled_from(
        ["yuv420p", "yuv422p", "yuv440p", "yuv411p", "yuv410p", "yuv444p", "yuv420p12le", "gray", "gray10le", "gbrp"]
    ),
    width=st.integers(1, 23),
    height=st.integers(1, 23),
    matrix=st.sampled_from(["bt709", "smpte170m", "bt470bg", "fcc", "smpte240m", "bt2020nc", "ycgco"]),
    range_=st.sampled_from(["limited", "full"]),
    location=st.sampled_from(["left", "center", "topleft", "top", "bottomleft", "bottom"]),
)
@settings(max_examples=80, deadline=None)
def test_every_size_and_format(name: str, width: int, height: int, matrix: str, range_: str, location: str) -> None:
    frame = noise_frame(name, (width, height), matrix=matrix, range=range_, chroma_location=location)
    assert largest_gap(frame.planes, round_trip(frame)) == 0


def test_sixteen_bit_comes_back_within_one_code() -> None:
    frame = noise_frame("yuv444p16le", (16, 16), range="full")
    assert largest_gap(frame.planes, round_trip(frame)) <= 1


def test_primaries_have_their_known_codes() -> None:
    # BT.709 limited: EBU Tech 3320 / SMPTE RP 177 colour bars at 100 %, (Y, Cb, Cr) in 8 bits.
    bars = {(1, 1, 1): (235, 128, 128), (1, 0, 0): (63, 102, 240), (0, 1, 0): (173, 42, 26), (0, 0, 1): (32, 240, 118)}
    for rgb, expected in bars.items():
        flat = torch.tensor(rgb, dtype=torch.float32).reshape(1, 3, 1, 1).expand(1, 3, 8, 8)
        planes = colour.planes_from_rgb(flat, pixel_format("yuv444p"), Colour())
        means = [p.float().mean().item() for p in planes]
        assert means == pytest.approx(expected, abs=0.55)


def test_super_white_is_not_clamped_between() -> None:
    frame = noise_frame("yuv444p", (4, 4))
    frame.planes[0][:] = 254
    frame.planes[1][:] = 250
    assert largest_gap(frame.planes, round_trip(frame)) == 0
    rgb = colour.rgb_from_planes([stack_planes([p]) for p in frame.planes], frame.format, frame.colour)
    assert rgb.max() > 1.2


def test_dither_keeps_the_mean_and_depends_on_place_only() -> None:
    grey = torch.full((2, 3, 64, 64), 0.50017)
    first, second = colour.planes_from_rgb(grey, pixel_format("gray"), Colour(range="full"))[0]
    assert torch.equal(first, second)
    assert first.unique().numel() == 2
    assert first.float().mean().item() == pytest.approx(0.50017 * 255, abs=0.02)


def test_left_sited_chroma_is_half_a_pixel_from_centred() -> None:
    ramp = torch.arange(8, dtype=torch.float32).reshape(1, 1, 8)
    left = chroma.upsample(ramp, (1, 16), "left")[0, 0]
    centre = chroma.upsample(ramp, (1, 16), "center")[0, 0]
    assert left[4:12].tolist() == [2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5]
    assert (left - centre)[2:-2].tolist() == pytest.approx([0.25] * 12)


@pytest.mark.parametrize("location", ["left", "center", "topleft", "bottom"])
@pytest.mark.parametrize("exact", [True, False])
def test_downsampling_keeps_place_and_level(location: str, exact: bool) -> None:
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    horizontal, vertical = chroma.positions(location)
    shift = {"first": 0.0, "middle": 0.5, "last": 1.0}
    for plane, offset, axis in ((columns, shift[horizontal], -1), (rows, shift[vertical], -2)):
        small = chroma.downsample(plane, (1, 1), location, exact=exact)
        line = small.select(-1 if axis == -2 else -2, 3)
        expected = torch.arange(8.0) * 2 + offset
        assert line[2:-2].tolist() == pytest.approx(expected[2:-2].tolist())


def test_unknown_matrix_is_named() -> None:
    with pytest.raises(InferenceError, match="smpte2085"):
        colour.rgb_matrix("smpte2085")
