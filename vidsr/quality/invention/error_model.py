"""The error to expect of a pixel from the evidence against it, and how sure it is to lie within a bound.

The expected absolute error is ``exp(bias + Σ weight · log(1 + evidence))``, fitted as the mean of an exponential
distribution (a generalised linear model with a logarithmic link: McCullagh, Nelder, "Generalized Linear Models", 1989),
on results of several networks on sequences with a known original. What share of the pixels then lies within
:data:`BOUND` is a table over the expected error, made from the same pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vidsr.quality.invention.evidence import KINDS

#: Code values that a pixel may be off and still count as right.
BOUND = 4.0
#: Expected errors (code values) at which the table has its entries.
KNOTS = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)
_LEAST, _MOST = 0.25, 128.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorModel:
    """``weights`` by kind of evidence, ``bias``, and ``shares``: how many pixels lie within the bound at each knot."""

    weights: tuple[float, ...]
    bias: float
    shares: tuple[float, ...]

    def expected(self, evidence: Tensor) -> Tensor:
        """Expected absolute error in code values, ``[N, 1, H, W]``, of ``[N, 6, H, W]``."""
        weights = torch.tensor(self.weights, dtype=evidence.dtype, device=evidence.device).view(1, -1, 1, 1)
        log = (evidence.clamp(min=0).log1p() * weights).sum(1, keepdim=True) + self.bias
        return log.exp().clamp(_LEAST, _MOST)

    def within(self, expected: Tensor) -> Tensor:
        """Probability, 0 to 1, that a pixel with this expected error is off by :data:`BOUND` code values at most."""
        knots = torch.tensor(KNOTS, dtype=expected.dtype, device=expected.device).log()
        shares = torch.tensor(self.shares, dtype=expected.dtype, device=expected.device)
        place = expected.log().clamp(float(knots[0]), float(knots[-1])).contiguous()
        above = torch.searchsorted(knots, place).clamp(1, len(KNOTS) - 1)
        part = (place - knots[above - 1]) / (knots[above] - knots[above - 1])
        return torch.lerp(shares[above - 1], shares[above], part)


def fitted(evidence: Tensor, error: Tensor) -> ErrorModel:
    """The model that explains ``error`` ``[n]`` (code values) best by ``evidence`` ``[6, n]``."""
    known = evidence.double().clamp(min=0).log1p()
    known = torch.cat((known, torch.ones_like(known[:1])))
    true = error.double()
    weights = torch.zeros(len(known), dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        weights[-1] = true.mean().log()
    optimiser = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        log = weights @ known
        value = (log + true * (-log).exp()).mean()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        optimiser.step(loss)  # type: ignore[no-untyped-call]
    found = weights.detach()
    model = ErrorModel(weights=tuple(found[:-1].tolist()), bias=float(found[-1]), shares=(0.0,) * len(KNOTS))
    expected = model.expected(evidence.double()[None, :, :, None]).flatten()
    return ErrorModel(weights=model.weights, bias=model.bias, shares=_shares(expected, true <= BOUND))


def _shares(expected: Tensor, right: Tensor) -> tuple[float, ...]:
    """Shares at the knots, from the pixels around each (half-way to the next), made to fall with the expected error."""
    log, knots = expected.log(), torch.tensor(KNOTS, dtype=torch.float64).log()
    edges = (knots[1:] + knots[:-1]) / 2
    place = torch.bucketize(log, edges)
    counts = torch.bincount(place, minlength=len(KNOTS)).double()
    sums = torch.bincount(place, weights=right.double(), minlength=len(KNOTS))
    # Pooling neighbours that are out of order (isotonic regression) keeps the table falling.
    pools: list[list[float]] = []
    for total, count in zip(sums.tolist(), counts.tolist(), strict=True):
        pools.append([total, count, 1])
        while len(pools) > 1 and pools[-2][0] * pools[-1][1] <= pools[-1][0] * pools[-2][1]:
            last = pools.pop()
            pools[-1] = [a + b for a, b in zip(pools[-1], last, strict=True)]
    return tuple(share for total, count, width in pools for share in [total / max(count, 1)] * int(width))


#: Fitted by ``benchmarks.quality.invention --fit``; see docs/invention.md for the sequences.
MODEL = ErrorModel(
    weights=(0.1696, 0.0789, 0.0140, 0.2267, 0.5176, 0.1230),
    bias=-0.2578,
    shares=(0.9942, 0.9942, 0.9857, 0.9636, 0.9076, 0.7859, 0.6453, 0.4318, 0.3046, 0.2354, 0.1634, 0.1185, 0.0802),
)
assert len(MODEL.weights) == len(KINDS)
