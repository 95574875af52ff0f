"""The kernel for fields along the motion gives what PyTorch gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from vidsr.filters.before import carried_fields


def around(height: int, width: int, parity: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """A moment, two neighbours, both carried; and two phases: related pictures, in part equal."""
    generator = torch.Generator().manual_seed(height * width)
    base = torch.rand(1, 1, height, width, generator=generator)
    pictures = [base]
    for strength in (0.0, 0.02, 0.1, 0.5):
        change = torch.randn(base.shape, generator=generator) * strength
        change[..., : width // 3] = 0
        pictures.append((base + change).clamp(0, 1))
    lines = (height - parity + 1) // 2
    return pictures, [torch.rand(1, 1, lines, width, generator=generator) / 4 - 0.125 for _ in range(2)]


@pytest.mark.parametrize("shape", [(2, 1), (3, 40), (8, 7), (21, 70), (90, 160)])
@pytest.mark.parametrize("parity", [0, 1])
def test_missing_lines(both: Any, shape: tuple[int, int], parity: int) -> None:
    pictures, phases = around(*shape, parity)
    made, plain = both(lambda: carried_fields.missing_lines(pictures, phases, parity=parity, still=0.002))
    assert made.shape == plain.shape == (1, 1, (shape[0] - parity + 1) // 2, shape[1])
    assert (made - plain).abs().max() < 1e-5


def test_rows_that_lie_apart(both: Any) -> None:
    """A picture of a larger one is copied rather than misread."""
    pictures, phases = around(16, 48, 1)
    cut = [picture[..., :40] for picture in pictures], [one[..., :40] for one in phases]
    made, plain = both(lambda: carried_fields.missing_lines(*cut, parity=1, still=0.002))
    assert (made - plain).abs().max() < 1e-5
