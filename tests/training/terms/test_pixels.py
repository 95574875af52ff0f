"""Losses of single pictures against numpy, their gradients against finite differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from vidsr.training.terms.pixels import artefacts, charbonnier, consistency, frequency, local_variance

RNG = np.random.default_rng(4)
RESULT, TARGET, AVERAGED = (RNG.random((2, 3, 8, 10)) for _ in range(3))
SOURCE = RNG.random((2, 3, 4, 5))


def numeric(function: Callable[[np.ndarray], float], at: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """The gradient by central differences, in float64."""
    gradient = np.zeros_like(at)
    for i in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[i] += step
        down[i] -= step
        gradient[i] = (function(up) - function(down)) / (2 * step)
    return gradient


def by_torch(loss: Callable[..., torch.Tensor], result: np.ndarray, *others: np.ndarray) -> tuple[float, np.ndarray]:
    x = torch.tensor(result, dtype=torch.float32, requires_grad=True)
    value = loss(x, *(torch.tensor(o, dtype=torch.float32) for o in others))
    value.backward()
    assert x.grad is not None
    return value.item(), x.grad.numpy()


def charbonnier_by_hand(x: np.ndarray) -> float:
    return float(np.sqrt((x - TARGET) ** 2 + 1e-6).mean())


def frequency_by_hand(x: np.ndarray) -> float:
    """By the sums of the transform's definition."""
    height, width = x.shape[2:]
    down = np.exp(-2j * np.pi * np.outer(np.arange(height), np.arange(height)) / height)
    across = np.exp(-2j * np.pi * np.outer(np.arange(width), np.arange(width)) / width)[:, : width // 2 + 1]
    spectrum = np.einsum("ky,ncyx,xl->nckl", down, x - TARGET, across) / np.sqrt(height * width)
    return float((np.abs(spectrum.real) + np.abs(spectrum.imag)).mean() / 2)


def consistency_by_hand(x: np.ndarray) -> float:
    return float(np.abs(x.reshape(2, 3, 4, 2, 5, 2).mean((3, 5)) - SOURCE).mean())


def variance_by_hand(error: np.ndarray) -> np.ndarray:
    """The variance in the 7×7 pixels around each of ``[H, W]``, one by one."""
    padded = np.pad(error, 3, mode="reflect")
    return np.array([[padded[y : y + 7, x : x + 7].var(ddof=1) for x in range(10)] for y in range(8)])


def artefact_weights() -> np.ndarray:
    weights = []
    for x, y, mean in zip(RESULT, TARGET, AVERAGED, strict=True):
        error, averaged = np.abs(y - x).sum(0), np.abs(y - mean).sum(0)
        weight = variance_by_hand(error) * error.var(ddof=1) ** 0.2
        weights.append(np.where(error < averaged, 0, weight)[None])
    return np.stack(weights)


WEIGHTS = artefact_weights()


def artefacts_by_hand(x: np.ndarray) -> float:
    """With the weights of ``RESULT``: they are not differentiated."""
    return float(np.abs(WEIGHTS * (x - TARGET)).mean())


CASES: dict[str, tuple[Callable[..., torch.Tensor], tuple[np.ndarray, ...], Callable[[np.ndarray], float]]] = {
    "charbonnier": (charbonnier, (TARGET,), charbonnier_by_hand),
    "frequency": (frequency, (TARGET,), frequency_by_hand),
    "consistency": (consistency, (SOURCE,), consistency_by_hand),
    "artefacts": (artefacts, (TARGET, AVERAGED), artefacts_by_hand),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name: str) -> None:
    loss, others, by_hand = CASES[name]
    value, gradient = by_torch(loss, RESULT, *others)
    assert value == pytest.approx(by_hand(RESULT), rel=1e-5)
    wanted = numeric(by_hand, RESULT)
    assert np.abs(wanted).max() > 0
    assert np.allclose(gradient, wanted, rtol=1e-3, atol=1e-5 * np.abs(wanted).max() + 1e-7)


def test_the_frequency_loss_sees_a_pattern_that_spreads_little_in_space() -> None:
    """Of two errors of the same L1, the periodic one has few and strong frequencies: its loss is smaller."""
    x = torch.arange(16) * 1.0
    stripes = 0.1 * torch.sin(x * np.pi / 2 + 0.7).sign().expand(1, 3, 16, 16)
    noise = 0.1 * (torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) - 0.5).sign()
    flat = torch.zeros(1, 3, 16, 16)
    assert charbonnier(stripes, flat) == pytest.approx(float(charbonnier(noise, flat)))
    assert frequency(stripes, flat) < 0.5 * frequency(noise, flat)


def test_artefacts_weigh_isolated_errors_and_spare_improvements() -> None:
    target = torch.full((1, 3, 16, 16), 0.5)
    result = target.clone()
    result[..., 8, 8] += 0.3
    worse_average, same_average = result + 0.3 * (result != target), target
    assert artefacts(result, target, same_average) > 0
    assert artefacts(result, target, worse_average) == 0


def test_local_variance() -> None:
    error = RNG.random((8, 10))
    got = local_variance(torch.tensor(error)[None, None])[0, 0].numpy()
    assert np.allclose(got, variance_by_hand(error))
