"""Pictures that kernels are tried on, and how close results must be."""

from __future__ import annotations

import torch
from torch import Tensor

TOLERANCE = 1e-5


def agree(results: tuple[Tensor, Tensor], tolerance: float = TOLERANCE) -> None:
    """Assert that the kernels' result is PyTorch's."""
    torch.testing.assert_close(results[0], results[1], atol=tolerance, rtol=tolerance)


def noise(*shape: int) -> Tensor:
    """White noise, 0 to 1; the same for each shape."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape)))
