"""The error to expect of a pixel from the evidence about it, its spread, and how sure it is to lie within a bound.

A small network looks at the evidence of one place and gives a distribution of the absolute error: log(error + 0.5) is
normal, with a mean and a standard deviation that both depend on the evidence. ``scripts/fit_invention.py`` fits it to
results of several networks for clips with a known original, clean and damaged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.quality.invention.evidence import KINDS, RATIOS

#: Code values that a pixel may be off and still count as right.
BOUND = 4.0
#: Added to an error before its logarithm is taken, in code values: half a step of rounding.
OFFSET = 0.5
_LEAST, _MOST = 0.25, 128.0
_WEIGHTS = Path(__file__).with_name("error_model.safetensors")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedError:
    """The distribution of the absolute error at every place: mean and standard deviation of log(error + 0.5), both
    ``[N, 1, H, W]``, errors in 8-bit code values."""

    centre: Tensor
    width: Tensor

    def mean(self) -> Tensor:
        """The expected absolute error in code values."""
        mean: Tensor = ((self.centre + self.width**2 / 2).exp() - OFFSET).clamp(_LEAST, _MOST)
        return mean

    def within(self, bound: float = BOUND) -> Tensor:
        """Probability, 0 to 1, that the error is ``bound`` code values at most."""
        place = (torch.log(torch.tensor(bound + OFFSET)).to(self.centre) - self.centre) / self.width
        chance: Tensor = torch.special.ndtr(place)
        return chance

    def quantile(self, share: float) -> Tensor:
        """The code values that the error exceeds with a probability of 1 - ``share``."""
        place = torch.special.ndtri(torch.tensor(share, dtype=torch.float64)).to(self.centre)
        error: Tensor = ((self.centre + place * self.width).exp() - OFFSET).clamp(min=0)
        return error

    def resized(self, size: tuple[int, int]) -> ExpectedError:
        """The same at (height, width), interpolated linearly."""
        both = F.interpolate(torch.cat((self.centre, self.width), 1), size=size, mode="bilinear", align_corners=False)
        return ExpectedError(centre=both[:, :1], width=both[:, 1:])


class ErrorModel:
    """The network: two hidden layers over the evidence of one place.

    Args:
        weights: ``mean`` and ``scale`` ``[K]`` of what :func:`logarithms` gives, then ``hidden0``, ``hidden1`` and
            ``last``, each with ``.weight`` ``[out, in]`` and ``.bias`` ``[out]``.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self._weights = {name: tensor.float() for name, tensor in weights.items()}

    def __call__(self, evidence: Tensor) -> ExpectedError:
        """The distribution of the error at every place of ``[N, K, H, W]``."""
        known = {name: tensor.to(evidence) for name, tensor in self._weights.items()}
        x = (logarithms(evidence) - known["mean"].view(1, -1, 1, 1)) / known["scale"].view(1, -1, 1, 1)
        x = x.clamp(-4, 4)
        for name in ("hidden0", "hidden1", "last"):
            x = F.conv2d(x, known[f"{name}.weight"][..., None, None], known[f"{name}.bias"])
            x = x if name == "last" else F.silu(x)
        return ExpectedError(centre=x[:, :1].clamp(-0.7, 4.9), width=0.2 + F.softplus(x[:, 1:]))

    def expected(self, evidence: Tensor, size: tuple[int, int]) -> Tensor:
        """Expected absolute error in code values, ``[N, 1, *size]``, of ``[N, K, h, w]``."""
        return self(evidence).resized(size).mean()


def logarithms(evidence: Tensor) -> Tensor:
    """What the network sees of ``[N, K, …]``: kinds in code values by their logarithm, ratios as they are."""
    ratios = [KINDS.index(kind) for kind in RATIOS]
    seen = evidence.clamp(min=0).log1p()
    seen[:, ratios] = evidence[:, ratios]
    return seen


@lru_cache(maxsize=1)
def shipped_model() -> ErrorModel:
    """The model that vidsr ships."""
    from safetensors.torch import load_file

    return ErrorModel(load_file(_WEIGHTS))
