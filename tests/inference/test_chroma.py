"""Chroma samples lie where ITU-T H.273 puts them."""

from __future__ import annotations

import pytest
import torch

from vidsr.inference import chroma

#: FFmpeg's name → distance of the first chroma sample from the first luma sample, (right, down) in luma samples;
#: H.273, figure 1: types 0 to 5.
H273 = {
    "left": (0.0, 0.5), "center": (0.5, 0.5), "topleft": (0.0, 0.0), "top": (0.5, 0.0), "bottomleft": (0.0, 1.0),
    "bottom": (0.5, 1.0),
}  # fmt: skip


@pytest.mark.parametrize("location", H273)
def test_a_ramp_stays_where_it_is(location: str) -> None:
    """Chroma taken from a plane that rises evenly gives that plane back, away from the edges."""
    right, down = H273[location]
    x = torch.arange(8) * 2 + right
    y = torch.arange(6)[:, None] * 2 + down
    full = torch.arange(16) + 100.0 * torch.arange(12)[:, None]
    large = chroma.upsample((x + 100.0 * y)[None, None], (12, 16), location)
    assert torch.allclose(large[0, 0, 2:-2, 2:-2], full[2:-2, 2:-2], atol=1e-3)
