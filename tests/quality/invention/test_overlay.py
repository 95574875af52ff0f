"""The red layer of the expected error."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image

from vidsr.quality.invention.overlay import laid_over, layer_png


def test_layer_and_laid_over_picture_agree() -> None:
    expected = torch.linspace(0, 60, 64).view(1, 1, 1, 64).expand(1, 1, 8, 64)
    grey = torch.full((1, 1, 8, 64), 0.5)
    layer = Image.open(io.BytesIO(layer_png(expected)))
    below = Image.new("RGBA", (64, 8), (102, 102, 102, 255))  # 0.5 × 0.8
    mixed = np.asarray(Image.alpha_composite(below, layer).convert("RGB")).astype(int)
    direct = (laid_over(grey, expected)[0].permute(1, 2, 0) * 255).round().int().numpy()
    assert abs(mixed - direct).max() <= 2
    assert (np.diff(mixed[0, :, 0]) >= -1).all() and mixed[0, -1, 0] - mixed[0, -1, 2] > 120


def test_a_wide_layer_is_made_smaller() -> None:
    layer = Image.open(io.BytesIO(layer_png(torch.full((1, 1, 720, 1280), 16.0))))
    assert layer.size == (640, 360) and np.ptp(np.asarray(layer)) > 0
