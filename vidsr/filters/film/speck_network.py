"""Whether a region that only one frame has is a speck: a network of two layers that sees its measures.

``benchmarks.quality.speck_training`` fits it, on material that judges nothing;
docs/decisions/099-specks-by-a-network.md says what it gains over a sum of few measures.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidsr.filters.film.speck_measures import NAMES

Values = npt.NDArray[np.float64]
_WEIGHTS = Path(__file__).with_name("speck_network.safetensors")
#: Areas in px of which there are few specks to learn from: how much of a region may have been beside its place.
_LARGE_PX, _LARGER_PX = 150, 200
_MOVED, _MOVED_FAINTLY = 1.0, 0.5
#: What few measures say for a speck, what is said for it beforehand, and the least evidence of the network beside it.
_FEW = {"differ around": -5.5, "misfit around": -1.3, "far, worse": -3.4, "outside 1 px": 1.8}
_FEW_BEFOREHAND = 0.2
_DOUBTFUL = -2.0
#: Standard deviations from the mean beyond which a measure says no more.
_FAR = 4.0


def are_specks(measured: Values, threshold: float) -> npt.NDArray[np.bool_]:
    """Whether these are the measures of specks, ``[regions, measures]``
    (:func:`vidsr.filters.film.speck_measures.measures`), for each region.

    The network has seen simulated specks only. So a region that is not faint, one that exceeds the ``threshold``
    somewhere, in 8-bit code values, may also be taken by the sum of few measures, unless the network is sure of the
    contrary.
    """
    said = evidence(measured, _network())
    clear = measured[:, NAMES.index("peak")] > np.log(threshold)
    return np.asarray(((said > 0) & ~have_moved(measured)) | (clear & (said > _DOUBTFUL) & _by_few(measured)))


def have_moved(measured: Values, least_px: int = _LARGE_PX) -> npt.NDArray[np.bool_]:
    """Whether a region of ``least_px`` pixels or more was largely beside its place before and is beside it after."""
    area, moved, faintly = (measured[:, NAMES.index(name)] for name in ("area", "moved", "moved, faint"))
    large, larger = (area >= np.log(size) for size in (least_px, _LARGER_PX))
    return np.asarray((large & (moved >= _MOVED)) | (larger & (faintly >= _MOVED_FAINTLY)))


def _by_few(measured: Values) -> npt.NDArray[np.bool_]:
    """Whether the rule of docs/decisions/134-dust-by-regions.md takes regions for specks."""
    said = sum(share * measured[:, NAMES.index(name)] for name, share in _FEW.items())
    return np.asarray((said > -_FEW_BEFOREHAND) & ~have_moved(measured, 1))


def evidence(measured: Values, network: dict[str, Values]) -> Values:
    """The logarithm of the odds for a speck, ``[regions]``."""
    given = np.clip((measured - network["mean"]) / network["deviation"], -_FAR, _FAR)
    # Not a matrix product: BLAS adds in an order that depends on how many regions there are.
    hidden = np.tanh(np.einsum("rm,mh->rh", given, network["first"], optimize=False) + network["first_bias"])
    return np.asarray(np.einsum("rh,h->r", hidden, network["second"], optimize=False) + network["second_bias"])


@lru_cache(maxsize=1)
def _network() -> dict[str, Values]:
    from safetensors.numpy import load_file

    return {name: values.astype(np.float64) for name, values in load_file(_WEIGHTS).items()}
