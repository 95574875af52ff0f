"""Network interpolation: a model between two of one family.

Source: Wang et al., "ESRGAN", section 3.4 (θ = (1 − α) θ_A + α θ_B), and "Deep Network Interpolation", CVPR 2019:
it works where one network was trained from the other, and gives noise between unrelated ones.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import torch

from vidsr.errors import ModelError, OptionsError
from vidsr.models.architecture import State
from vidsr.models.checkpoint import LoadedModel
from vidsr.models.known_architectures import ARCHITECTURES

#: Cosine of the convolution weights below which two networks are taken as unrelated. Pairs that blend well were
#: measured at 0.99; networks of one shape that share only their data lie at 0.4 and below.
RELATED = 0.8


def correlation(a: LoadedModel, b: LoadedModel) -> float:
    """Cosine between all convolution weights of two networks of one shape, -1 to 1."""
    dot = norm_a = norm_b = 0.0
    other = b.network.state_dict()
    for name, weight in a.network.state_dict().items():
        if weight.ndim == 4:
            x, y = weight.double(), other[name].double()
            dot += float((x * y).sum())
            norm_a += float(x.square().sum())
            norm_b += float(y.square().sum())
    return dot / math.sqrt(norm_a * norm_b) if norm_a and norm_b else 0.0


def blend(a: LoadedModel, b: LoadedModel, alpha: float) -> tuple[State, dict[str, str]]:
    """(weights in fp32, card) of the model that lies ``alpha`` of the way from ``a`` to ``b``.

    Raises:
        OptionsError: ``alpha`` is not between 0 and 1.
        ModelError: the networks differ in shape, or are not of one family.
    """
    if not 0 <= alpha <= 1:
        raise OptionsError(f"--alpha {alpha:g}: must be between 0 (all {a.path.name}) and 1 (all {b.path.name})")
    if (a.architecture, a.config) != (b.architecture, b.config):
        raise ModelError(
            f"{a.path.name} and {b.path.name} cannot be blended: {a.architecture} {_shape(a)} is not "
            f"{b.architecture} {_shape(b)}"
        )
    likeness = correlation(a, b)
    if likeness < RELATED:
        raise ModelError(
            f"{a.path.name} and {b.path.name} cannot be blended: their weights correlate by {likeness:.2f} only, so "
            f"they are not of one family (at least {RELATED} is needed); blending them gives noise"
        )
    first, second = a.network.state_dict(), b.network.state_dict()
    state = {name: torch.lerp(first[name].double(), second[name].double(), alpha).float() for name in first}
    card = {
        "name": f"{a.path.stem} + {alpha:g} {b.path.stem}",
        "blend_alpha": f"{alpha:g}",
        "blend_of": f"{a.path.name} {a.sha256}, {b.path.name} {b.sha256}",
        "blend_correlation": f"{likeness:.4f}",
    }
    licences = dict.fromkeys(m.card["licence"] for m in (a, b) if "licence" in m.card)
    return state, card | ({"licence": ", ".join(licences)} if licences else {})


def between(a: LoadedModel, b: LoadedModel, alpha: float) -> LoadedModel:
    """The model that lies ``alpha`` of the way from ``a`` to ``b``, ready to run; at 0 and 1 it is one of them.

    Raises:
        OptionsError, ModelError: as :func:`blend`.
    """
    state, card = blend(a, b, alpha)
    if alpha in (0, 1):
        return b if alpha else a
    network = ARCHITECTURES[b.architecture].build(b.config)
    network.load_state_dict(state)
    return replace(
        b,
        network=network.eval().requires_grad_(False),
        sha256=hashlib.sha256(f"{a.sha256} {b.sha256} {alpha!r}".encode()).hexdigest(),
        card=card,
        layout="blend",
        blended_with=a.path,
    )


def _shape(model: LoadedModel) -> str:
    values = (getattr(model.config, name) for name in model.config.__dataclass_fields__)
    return f"({', '.join(str(value) for value in values)})"
