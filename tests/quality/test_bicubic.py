"""The bicubic filter against pictures that MATLAB made, and against its own definition."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vidsr.quality.bicubic import cubic, resize_bicubic, resize_bicubic_uint8, resize_matrix


def _load(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.array(picture.convert("RGB"))


@pytest.mark.parametrize("number", range(1, 6))
def test_equals_matlab_on_set5(shared: Path, number: int) -> None:
    """The low-resolution pictures of Set5 were made by MATLAB from uint8 pictures: equal but for rounding."""
    high = _load(shared / f"data/Set5/img_{number:03d}_SRF_4_HR.png")
    low = torch.from_numpy(_load(shared / f"data/Set5/img_{number:03d}_SRF_4_LR.png")).permute(2, 0, 1).int()
    ours = resize_bicubic_uint8(torch.from_numpy(high).permute(2, 0, 1), 0.25).int()
    assert (ours - low).abs().max() <= 1
    assert (ours != low).double().mean() < 0.002


def test_edges_differ_as_named() -> None:
    """Repeating the edge pulls a ramp towards its end; mirroring does the same more weakly; inside they agree."""
    ramp = torch.arange(32, dtype=torch.float64).expand(4, 32)
    repeat = ramp @ resize_matrix(32, 8, 0.25, "replicate").T
    mirror = ramp @ resize_matrix(32, 8, 0.25, "mirror").T
    assert torch.equal(repeat[:, 2:6], mirror[:, 2:6])
    assert not torch.allclose(repeat[:, 0], mirror[:, 0])


def test_kernel_values() -> None:
    """At the integers the kernel interpolates; at 0.5 and 1.5 the values of a = -0.5."""
    values = cubic(torch.tensor([0.0, 1.0, 2.0, 3.0, 0.5, -0.5, 1.5])).tolist()
    assert values == pytest.approx([1, 0, 0, 0, 0.5625, 0.5625, -0.0625])


@pytest.mark.parametrize(("source", "target"), [(17, 5), (5, 17), (3, 1), (1, 4), (64, 16), (9, 9)])
def test_rows_sum_to_one_and_flat_stays_flat(source: int, target: int) -> None:
    """A flat picture keeps its value at any size, down to a single sample."""
    matrix = resize_matrix(source, target, target / source)
    assert torch.allclose(matrix.sum(1), torch.ones(target, dtype=torch.float64))
    flat = torch.full((3, source, source), 0.25)
    assert torch.allclose(resize_bicubic(flat, 1, size=(target, target)), torch.full((3, target, target), 0.25))


def test_a_linear_ramp_stays_linear_inside() -> None:
    """Cubic convolution reproduces straight lines; a shift of half a sample would show here."""
    ramp = torch.arange(64, dtype=torch.float64).expand(64, 64)
    out = resize_bicubic(ramp, 0.25)
    assert torch.allclose(out[8, 3:13], torch.arange(3, 13, dtype=torch.float64) * 4 + 1.5)
