"""How a source was reduced to its size, by the look of its edges and textures.

Neighbouring frames show more than one frame does where the reduction let frequencies through that the source cannot
hold, as averaging over areas does: their aliases differ from frame to frame. Interpolation with a filter as long as
that of bicubic and Lanczos, and strong blurs, let almost none through. A recurrent network has nothing to add there,
and draws less texture than a network of single frames.

Evidence of a frame are the shapes of its edges (how wide, with how much overshoot, how varied) and its spectrum towards
the Nyquist frequency. A small network says from it how likely each of :data:`KINDS` is. ``scripts/fit_reduction.py``
fits it to pictures reduced in all of these ways; figures are in docs/decisions/103-how-a-source-was-reduced.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.filters.detect.noise import dct_basis

#: Reductions that are distinguished, in the order of the network's answers. Gaussians, followed by sampling, have their
#: standard deviation in pixels of an original of four times the size; "none" is a picture as a camera stored it.
KINDS = (
    "area",
    "bicubic",
    "lanczos",
    "gaussian 0.8",
    "gaussian 1.2",
    "gaussian 1.6",
    "gaussian 2.0",
    "gaussian 2.4",
    "none",
)
#: Those that leave aliases of fine detail, different from frame to frame.
ALIASED = ("area", "gaussian 0.8", "gaussian 1.2")
#: Figures of evidence, and hidden units of both layers.
EVIDENCE, HIDDEN = 75, 24
#: Steps from pixel to pixel on either side of the steepest one that are looked at.
_BESIDE = 5
#: Steps in 8-bit code values that are too small to be an edge, and above that one that counts fully.
_FAINT, _CLEAR = 8.0, 16.0
#: How fast an edge loses weight as what lies around it changes.
_LONELINESS = 6.0
#: Added to powers in squared code values before their logarithm is taken, about that of rounding.
_ROUNDING = 0.2
#: Frequencies of 8×8 blocks that are looked at apart from the axes and the diagonal.
_OBLIQUE = ((1, 3), (2, 5), (3, 6), (4, 7), (3, 7), (1, 7), (1, 6))
#: Tiles of a large picture that are looked at, at most, in either direction, and their side.
_TILES, _TILE_PX = 5, 128
_WEIGHTS = Path(__file__).with_name("reduction.safetensors")


class ReductionModel:
    """The network: two hidden layers over the evidence of one frame.

    Args:
        weights: ``mean`` and ``scale`` ``[EVIDENCE]`` of the evidence, then ``hidden0``, ``hidden1`` and ``last``, each
            with ``.weight`` ``[out, in]`` and ``.bias`` ``[out]``.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self._weights = {name: tensor.float() for name, tensor in weights.items()}

    def __call__(self, evidence: Tensor) -> Tensor:
        """Log-odds of :data:`KINDS` ``[N, K]`` for evidence ``[N, EVIDENCE]``."""
        known = {name: tensor.to(evidence) for name, tensor in self._weights.items()}
        x = ((evidence - known["mean"]) / known["scale"]).clamp(-4, 4)
        for name in ("hidden0", "hidden1", "last"):
            x = F.linear(x, known[f"{name}.weight"], known[f"{name}.bias"])
            x = x if name == "last" else F.silu(x)
        return x


def aliasing(grey: Tensor) -> Tensor:
    """Log-odds, a scalar on its device, that a reduction left aliases in a frame of lightness ``[1, 1, h, w]``, 0 to 1,
    both sides 16 pixels at least."""
    return aliasing_of(shipped_model()(evidence(grey)[None]))[0]


def aliasing_of(odds: Tensor) -> Tensor:
    """Log-odds ``[N]`` that it was one of :data:`ALIASED`, from those of all :data:`KINDS` ``[N, K]``."""
    aliased = [KINDS.index(kind) for kind in ALIASED]
    others = [number for number in range(len(KINDS)) if number not in aliased]
    return odds[:, aliased].logsumexp(1) - odds[:, others].logsumexp(1)


def evidence(grey: Tensor) -> Tensor:
    """What a frame of lightness ``[1, 1, h, w]``, 0 to 1, shows of its reduction: ``[EVIDENCE]``. Of large pictures,
    evenly spread tiles are looked at."""
    codes = _tiles(grey)[:, 0] * 255
    across, down = _edges(codes), _edges(codes.transpose(1, 2).contiguous())
    shapes = [total[:-1] / (total[-1] + 1) for total in (across + down).unbind()]
    return torch.cat((*shapes, _spectrum(codes)))


def _tiles(grey: Tensor) -> Tensor:
    """``[N, 1, h, w]``: the picture, or parts of a large one."""
    height, width = grey.shape[-2:]
    if max(height, width) <= _TILES * _TILE_PX:
        return grey
    tall, wide = min(height, _TILE_PX), min(width, _TILE_PX)
    tops, lefts = (
        sorted({round(n * (side - part) / (_TILES - 1)) for n in range(_TILES)})
        for side, part in ((height, tall), (width, wide))
    )
    return torch.cat([grey[..., y : y + tall, x : x + wide] for y in tops for x in lefts])


def _edges(codes: Tensor) -> Tensor:
    """Shapes of the edges across ``[N, h, w]``, each figure summed over them and then the number of edges ``[2, 17]``:
    of all edges, and of those with nothing near them.

    An edge is where the step from one pixel to the next is steepest; its shape are the steps beside it, in units of it.
    """
    steps = codes[..., 1:] - codes[..., :-1]
    count = steps.shape[-1]

    def beside(by: int) -> Tensor:
        return steps[..., _BESIDE + by : count - _BESIDE + by]

    steepest, height = beside(0), beside(0).abs()
    is_peak = (height >= beside(-1).abs()) & (height > beside(1).abs())
    clear = ((height - _FAINT) / _CLEAR).clamp(0, 1) * is_peak
    unit = torch.where(height < 1, torch.ones_like(steepest), steepest)
    shape = {by: (beside(by) / unit).clamp(-1.5, 1.5) for by in range(-_BESIDE, _BESIDE + 1) if by}
    near = (shape[-3].abs() + shape[3].abs()) / 2
    far = sum((shape[by].abs() for by in (-5, -4, 4, 5)), torch.zeros_like(near)) / 4
    lone = clear * (-_LONELINESS * (near + far)).exp()
    more, less = torch.maximum(shape[-1], shape[1]), torch.minimum(shape[-1], shape[1])
    more2, less2 = torch.maximum(shape[-2], shape[2]), torch.minimum(shape[-2], shape[2])
    figures = (
        more,
        less,
        more * less,
        (more - less) ** 2,
        less2,
        more2,
        (-less2).clamp(min=0),
        (-more2).clamp(min=0),
        (less < -0.03).float(),
        (less < -0.15).float(),
        (less2 < -0.04).float(),
        (more2 > 0.15).float(),
        (more < 0.25).float(),
        (less > 0.45).float(),
        (shape[-3] + shape[3]) / 2,
        near,
        torch.ones_like(near),
    )
    return torch.stack([torch.stack([(figure * weight).sum() for figure in figures]) for weight in (clear, lone)])


def _spectrum(codes: Tensor) -> Tensor:
    """How power falls towards the Nyquist frequency in the busier 8×8 blocks of ``[N, h, w]``: the logarithms of its
    mean and the means of its logarithm at 21 frequencies, each less their average, and what these averages differ by.
    """
    blocks = codes.unfold(1, 8, 2).unfold(2, 8, 2).flatten(0, 2)
    basis = dct_basis(codes)
    power = (basis @ blocks @ basis.T) ** 2
    contrast = power.flatten(1).sum(1) - power[:, 0, 0]
    busy = power[contrast >= contrast.median()]
    rows, columns = _frequencies()
    found = []
    for grid in ((busy.mean(0) + _ROUNDING).log(), (busy + _ROUNDING).log().mean(0)):
        found.append((grid[rows, columns] + grid[columns, rows]) / 2)
    levels = [one.mean() for one in found]
    return torch.cat((found[0] - levels[0], found[1] - levels[1], (levels[0] - levels[1])[None]))


@lru_cache(maxsize=1)
def _frequencies() -> tuple[list[int], list[int]]:
    """Rows and columns of the coefficients that are looked at: on the axes, on the diagonal, and between them."""
    pairs: Sequence[tuple[int, int]] = (*((n, 0) for n in range(1, 8)), *((n, n) for n in range(1, 8)), *_OBLIQUE)
    return [row for row, _ in pairs], [column for _, column in pairs]


@lru_cache(maxsize=1)
def shipped_model() -> ReductionModel:
    """The network that vidsr ships."""
    from safetensors.torch import load_file

    return ReductionModel(load_file(_WEIGHTS))
