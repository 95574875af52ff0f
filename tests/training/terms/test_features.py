"""Losses on VGG16 features: their formula against numpy, their gradients against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vidsr.training.terms.features import LearnedDistance, StructureAndTexture, _similarity


def similarity_by_hand(x: np.ndarray, y: np.ndarray) -> float:
    values = []
    for a, b in zip(x.reshape(-1, 20), y.reshape(-1, 20), strict=True):
        texture = (2 * a.mean() * b.mean() + 1e-6) / (a.mean() ** 2 + b.mean() ** 2 + 1e-6)
        covariance = ((a - a.mean()) * (b - b.mean())).mean()
        values.append((texture + (2 * covariance + 1e-6) / (a.var() + b.var() + 1e-6)) / 2)
    return float(np.mean(values))


def test_similarity_and_its_gradient() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.random((2, 3, 4, 5)), rng.random((2, 3, 4, 5))
    given = torch.tensor(x, requires_grad=True)
    value = _similarity(given, torch.tensor(y))
    value.backward()
    assert value.item() == pytest.approx(similarity_by_hand(x, y))
    wanted = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i], down[i] = up[i] + 1e-6, down[i] - 1e-6
        wanted[i] = (similarity_by_hand(up, y) - similarity_by_hand(down, y)) / 2e-6
    assert given.grad is not None and np.allclose(given.grad.numpy(), wanted, atol=1e-7)


@pytest.fixture(scope="module")
def pictures() -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(3)
    target = torch.rand(1, 3, 8, 8, generator=rng).repeat_interleave(4, -1).repeat_interleave(4, -2)
    return target + 0.05 * torch.randn(1, 3, 32, 32, generator=rng), target


@pytest.mark.long
@pytest.mark.parametrize("make", [LearnedDistance, StructureAndTexture])
def test_losses_on_the_real_network(
    make: Callable[[], nn.Module], shared: Path, pictures: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDSR_WEIGHTS", str(shared / "weights"))
    loss, (noisy, target) = make(), pictures
    assert abs(float(loss(target, target))) < 1e-5
    x = noisy.clone().requires_grad_(True)
    value = loss(x, target)
    value.backward()
    assert x.grad is not None and value > 1e-3
    # Along the gradient itself, in double precision, where rounding does not hide the difference.
    double, direction = loss.double(), x.grad.double() / x.grad.norm()
    with torch.no_grad():
        up, down = (float(_in_double(double, noisy.double() + s * direction, target.double())) for s in (1e-6, -1e-6))
    assert (up - down) / 2e-6 == pytest.approx(float(x.grad.norm()), rel=1e-2)
    assert not any(p.requires_grad for p in loss.parameters())
    blurred = torch.nn.functional.avg_pool2d(target, 5, 1, 2)
    assert loss.float()(blurred, target) > loss(target + 0.01 * (noisy - target), target)


def _in_double(loss: nn.Module, result: Tensor, target: Tensor) -> Tensor:
    """A loss without its own rounding to fp32."""
    if isinstance(loss, LearnedDistance):
        return loss._distance(result, target).mean()
    assert isinstance(loss, StructureAndTexture)
    pairs = zip(loss._layers(result), loss._layers(target), strict=True)
    return 1 - torch.stack([_similarity(a, b) for a, b in pairs]).mean()
