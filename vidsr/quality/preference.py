"""What votes between pairs say: the share that prefers each, with its confidence interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

#: Half the width of the central 95 % of the normal distribution.
_Z = 1.959963984540054
_ROUNDS, _CLOSE = 10_000, 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """How often one of several was preferred: ``share`` (0 to 1) within 95 % confidence of ``low`` to ``high``.

    With two candidates the share is that of the votes; with more it is the probability that it wins against an average
    one of the others, in the model of Bradley and Terry. ``wins`` counts a vote for neither as one half.
    """

    wins: float
    votes: int
    share: float
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"wins": self.wins, "votes": self.votes, "share": self.share, "low": self.low, "high": self.high}


def wilson(wins: float, votes: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share, 0 to 1; the whole range where nobody voted.

    Source: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22, 1927.
    """
    if votes == 0:
        return 0.0, 1.0
    share, z2 = wins / votes, _Z**2
    middle = (share + z2 / (2 * votes)) / (1 + z2 / votes)
    reach = _Z * math.sqrt(share * (1 - share) / votes + z2 / (4 * votes**2)) / (1 + z2 / votes)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def preferences(candidates: int, votes: Sequence[tuple[int, int, float]]) -> list[Preference]:
    """Who is preferred, from ``votes`` of (one, another, share of the one: 1, 0, or 0.5 for neither).

    Raises:
        ValueError: fewer than two candidates.
    """
    if candidates < 2:
        raise ValueError("a preference needs two candidates")
    won = np.zeros((candidates, candidates))
    for one, another, share in votes:
        won[one, another] += share
        won[another, one] += 1 - share
    counts = [round(float(won[i].sum() + won[:, i].sum())) for i in range(candidates)]
    if candidates == 2:
        bounds = [
            (float(won[i].sum()) / counts[i] if counts[i] else 0.5, *wilson(won[i].sum(), counts[i])) for i in (0, 1)
        ]
    else:
        bounds = _bradley_terry(won)
    return [
        Preference(wins=float(won[i].sum()), votes=counts[i], share=share, low=low, high=high)
        for i, (share, low, high) in enumerate(bounds)
    ]


def _bradley_terry(won: npt.NDArray[np.float64]) -> list[tuple[float, float, float]]:
    """(share, low, high) of each: strengths by Hunter's MM algorithm, errors from the Fisher information.

    Half a made-up tie between any two keeps strengths finite where one won every vote, and pulls shares of few votes
    towards one half.

    Sources: Bradley, Terry, Biometrika 39, 1952; Hunter, "MM algorithms for generalized Bradley-Terry models", 2004.
    """
    count = len(won)
    won = won + 0.25 * (1 - np.eye(count))
    met = won + won.T
    strength = np.ones(count)
    for _ in range(_ROUNDS):
        weight = met / (strength[:, None] + strength[None])
        new = won.sum(1) / weight.sum(1)
        new /= np.exp(np.log(new).mean())
        done = np.abs(new - strength).max() < _CLOSE
        strength = new
        if done:
            break
    chance = strength[:, None] / (strength[:, None] + strength[None])
    information = -met * chance * chance.T
    np.fill_diagonal(information, 0)
    np.fill_diagonal(information, -information.sum(1))
    # The strengths are known up to a factor: the pseudo-inverse is their covariance around the mean.
    covariance = np.linalg.pinv(information)
    found = []
    for i in range(count):
        others = np.arange(count) != i
        share = float(chance[i, others].mean())
        # How the share moves with each logarithm of a strength; then the interval on the logit, which stays in 0..1.
        slope = -chance[i] * chance[:, i] / (count - 1)
        slope[i] = -slope[others].sum()
        error = math.sqrt(slope @ covariance @ slope) / (share * (1 - share))
        logit = math.log(share / (1 - share))
        low, high = (1 / (1 + math.exp(-(logit + side * error))) for side in (-_Z, _Z))
        found.append((share, low, high))
    return found
