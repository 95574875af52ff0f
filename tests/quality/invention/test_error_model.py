"""The error model: fitted to errors of known scale, monotone and calibrated."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vidsr.quality.invention.error_model import KNOTS, MODEL, fitted
from vidsr.quality.invention.evidence import KINDS


def test_known_weights_are_found_again() -> None:
    chance = torch.Generator().manual_seed(3)
    evidence = torch.rand(6, 60_000, generator=chance, dtype=torch.float64) * 20
    weights = torch.tensor([0.5, 0.3, 0.0, 0.2, 0.1, 0.0], dtype=torch.float64)
    scale = (weights @ evidence.log1p() - 0.4).exp()
    error = -scale * torch.rand(len(scale), generator=chance, dtype=torch.float64).clamp(min=1e-9).log()
    model = fitted(evidence, error)
    assert model.weights == pytest.approx(weights.tolist(), abs=0.03) and model.bias == pytest.approx(-0.4, abs=0.1)
    expected = model.expected(evidence[None, :, :, None]).flatten()
    within = model.within(expected)
    for low, high in ((0.2, 0.4), (0.4, 0.6), (0.6, 0.8)):
        said = (within >= low) & (within < high)
        assert (error[said] <= 4).double().mean() == pytest.approx(float(within[said].mean()), abs=0.03)


def test_the_shipped_model() -> None:
    assert len(MODEL.weights) == len(KINDS) and len(MODEL.shares) == len(KNOTS)
    assert list(MODEL.shares) == sorted(MODEL.shares, reverse=True), "a larger expected error is never likelier right"
    assert MODEL.shares[0] > 0.9 and MODEL.shares[-1] < 0.3


@given(st.lists(st.floats(0, 200), min_size=6, max_size=6))
def test_any_evidence(values: list[float]) -> None:
    expected = MODEL.expected(torch.tensor(values).view(1, 6, 1, 1))
    assert 0 < float(expected) <= 128 and 0 <= float(MODEL.within(expected)) <= 1
