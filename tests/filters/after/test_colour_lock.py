"""The colour lock by its definition: lightness and chroma of what is missing, each blurred by itself."""

from __future__ import annotations

import pytest
import torch

from tests.support.kernels import agree, noise
from vidsr.filters.after import colour_lock
from vidsr.filters.flow import gaussian


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_low_frequencies(share: float, count: int) -> None:
    missing = noise(count, 3, 40, 50) - 0.5
    whole = torch.full((count, 1, 1, 1), share)
    light = missing.mean(1, keepdim=True)
    coarse, fine = (gaussian(missing - light, s) for s in (colour_lock.LIGHTNESS_SIGMA, colour_lock.CHROMA_SIGMA))
    expected = gaussian(light, colour_lock.LIGHTNESS_SIGMA) + torch.lerp(coarse, fine, whole)
    agree((colour_lock.low_frequencies(missing, whole), expected), 1e-6)


def test_a_single_coloured_pixel_is_seen() -> None:
    grey = noise(1, 1, 33, 41).expand(-1, 3, -1, -1).clone()
    assert colour_lock._is_grey(grey).tolist() == [True]
    for row, column in ((0, 0), (5, 3), (32, 40)):
        tinted = grey.clone()
        tinted[0, 1, row, column] += 1 / 255
        assert colour_lock._is_grey(tinted).tolist() == [False]
    assert colour_lock._is_grey(torch.cat((grey, tinted))).tolist() == [True, False]
