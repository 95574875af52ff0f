"""The error model: a distribution that agrees with itself, and a shipped one that knows more evidence as more error."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vidsr.quality.invention.error_model import OFFSET, ExpectedError, logarithms, shipped_model
from vidsr.quality.invention.evidence import KINDS, RATIOS

#: Evidence of an ordinary place of a clean source.
ORDINARY = (3.0, 2.5, 1.5, 2.5, 12.0, 0.5, 3.0, 4.0, 5.0, 1.5, -0.2, -0.2, -0.7, 1.5)


def at(values: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(values).view(1, -1, 1, 1)


def test_the_distribution_is_the_one_it_says() -> None:
    error = ExpectedError(centre=torch.full((1, 1, 1, 1), 1.2), width=torch.full((1, 1, 1, 1), 0.7))
    draw = torch.Generator().manual_seed(1)
    drawn = (1.2 + 0.7 * torch.randn(200_000, generator=draw)).exp() - OFFSET
    assert float(error.mean()) == pytest.approx(float(drawn.mean()), rel=0.01)
    for bound in (2.0, 4.0, 10.0):
        assert float(error.within(bound)) == pytest.approx(float((drawn <= bound).float().mean()), abs=0.005)
    for share in (0.1, 0.5, 0.9):
        assert float(error.quantile(share)) == pytest.approx(float(drawn.quantile(share)), rel=0.02)


def test_what_was_lost_is_expected_to_be_wrong() -> None:
    """More against a pixel, or a source whose finest detail is gone while coarser detail is there, means more error."""
    model = shipped_model()
    plain = float(model(at(ORDINARY)).mean())
    worse = list(ORDINARY)
    for kind in ("departure", "fine", "room", "contrast"):
        worse[KINDS.index(kind)] *= 4
    assert float(model(at(tuple(worse))).mean()) > 1.5 * plain
    flat = tuple(0.2 * value if kind not in RATIOS else value for kind, value in zip(KINDS, ORDINARY, strict=True))
    calm = model(at(flat))
    assert float(calm.mean()) < 0.8 * plain and float(calm.within()) > float(model(at(ORDINARY)).within())


@given(st.lists(st.floats(-5, 200), min_size=len(KINDS), max_size=len(KINDS)))
def test_any_evidence(values: list[float]) -> None:
    error = shipped_model()(at(tuple(values)))
    assert 0 < float(error.mean()) <= 128 and 0 <= float(error.within()) <= 1
    assert 0 <= float(error.quantile(0.1)) <= float(error.quantile(0.9))


def test_maps_of_any_size() -> None:
    known = at(ORDINARY).expand(1, -1, 5, 7)
    assert shipped_model().expected(known, (20, 28)).shape == (1, 1, 20, 28)
    assert torch.allclose(shipped_model().expected(known, (20, 28)), shipped_model()(known[..., :1, :1]).mean())
    kept = logarithms(known)[:, KINDS.index("finest")]
    assert torch.equal(kept, known[:, KINDS.index("finest")]), "ratios are logarithms already"
