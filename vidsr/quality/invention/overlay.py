"""The expected error as a red layer: over a grey picture, or as a transparent picture that a page lays over its own."""

from __future__ import annotations

import io

import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.quality.comparison import rgb8

#: Expected error (code values) from which the layer is as red as it gets, and how much of the picture that hides.
_RED_AT, _MOST_RED = 32.0, 0.85
_RED = (0.95, 0.2, 0.1)
#: Width of a layer in pixels at most: the expected error is an average over several pixels and has nothing finer.
_LAYER_PX = 640


def opacity(expected: Tensor) -> Tensor:
    """Share of the picture that the red hides, 0 to 1, of the expected error in code values; any shape."""
    return (expected / _RED_AT).clamp(0, 1) * _MOST_RED


def laid_over(grey: Tensor, expected: Tensor) -> Tensor:
    """``grey`` ``[1, 1, H, W]`` in 0..1, darkened, and the expected error ``[1, 1, H, W]`` in red: ``[1, 3, H, W]``."""
    base = (grey * 0.8).expand(-1, 3, -1, -1)
    red = torch.tensor(_RED, device=grey.device, dtype=grey.dtype).view(1, 3, 1, 1).expand_as(base)
    return torch.lerp(base, red, opacity(expected))


def layer_png(expected: Tensor) -> bytes:
    """A PNG of the expected error ``[1, 1, h, w]``: red throughout, with :func:`opacity` as its alpha channel."""
    from PIL import Image

    height, width = expected.shape[-2:]
    if width > _LAYER_PX:
        expected = F.adaptive_avg_pool2d(expected, (max(1, round(height * _LAYER_PX / width)), _LAYER_PX))
    red = torch.tensor(_RED, device=expected.device).view(1, 3, 1, 1).expand(-1, -1, *expected.shape[-2:])
    picture = Image.fromarray(rgb8(red.clone()))
    picture.putalpha(Image.fromarray(rgb8(opacity(expected))[..., 0]))
    memory = io.BytesIO()
    picture.save(memory, "PNG")
    return memory.getvalue()
