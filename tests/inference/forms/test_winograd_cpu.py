"""Pictures go into the tiles of winograd.c and come back as PyTorch would arrange them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from tests.support.kernels import noise
from vidsr.inference.forms.winograd_cpu import Buffer, Packer
from vidsr.inference.forms.winograd_library import library

sides = st.integers(1, 40)


@given(height=sides, width=sides, planes=st.integers(1, 5), scale=st.integers(1, 3), based=st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_picture_there_and_back(height: int, width: int, planes: int, scale: int, based: bool) -> None:
    kernels = library()
    if kernels is None:
        pytest.skip("no C compiler")
    count = planes * scale**2
    picture, base = noise(count, height, width), noise(planes, height, width)
    buffer = Buffer(kernels, height, width, count)
    buffer.put(noise(count, height, width) - 3)  # something to overwrite
    buffer.put(picture)
    assert torch.equal(buffer.features(count), picture)
    first = height // 3
    out = torch.full((planes, height * scale, width * scale), -1.0)
    buffer.get(out[:, first * scale :], base[:, first:] if based else None, scale=scale, first=first)
    expected = F.pixel_shuffle(picture, scale)
    if based:
        expected = expected + F.interpolate(base[None], scale_factor=float(scale), mode="nearest")[0]
    assert torch.equal(out[:, first * scale :], expected[:, first * scale :])
    assert torch.equal(out[:, : first * scale], torch.full((planes, first * scale, width * scale), -1.0))


def test_channels_that_fill_up_a_group_are_zero() -> None:
    kernels = library()
    if kernels is None:
        pytest.skip("no C compiler")
    buffer = Buffer(kernels, 7, 5, 1)
    buffer.put(noise(1, 7, 5))
    lanes = int(kernels.winograd_lanes())
    assert torch.equal(buffer.features(lanes)[1:], torch.zeros(lanes - 1, 7, 5))


def test_a_convolution_reads_no_channel_without_weights() -> None:
    kernels = library()
    if kernels is None:
        pytest.skip("no C compiler")
    pack = Packer(kernels)
    made = pack(torch.nn.Conv2d(3, 4, 3), [3])
    assert (made.depth, made.cin, made.cout, made.stored) == (3, pack.wide, pack.wide, pack.wide // 2)
    made = pack(torch.nn.Conv2d(pack.wide + 4, 2 * pack.wide, 3), [4, pack.wide])
    assert (made.depth, made.cin, made.stored) == (2 * pack.wide, 2 * pack.wide, 2 * pack.wide)
