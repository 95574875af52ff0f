"""From where the picture lay in each frame to where it should lie: without the gate's unsteadiness, with all pans.

Around each frame lines and parabolas are fitted to the positions, over longer and longer stretches, as far as they
agree with the shorter ones within what the unsteadiness explains: the rule of intersecting confidence intervals
(Goldenshluger and Nemirovski, "On spatial adaptive estimation of nonparametric regression", Math. Methods Statist. 6,
1997). Over a steady pan or a locked camera that is all of the window; where the camera starts, stops or sways, it is
less. The fits that agree are averaged, the surest with most weight: choosing one would make the choice itself flicker.
Where there is no unsteadiness, the fits follow the positions, and nothing is corrected.

A hand-held camera is unsteady too. It is left alone: a gate places each frame afresh, so that a step to one side tends
to be followed by one back, where a hand moves on.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

#: Frames on either side that a position is fitted to at most: a second of film.
REACH = 24
#: Half widths of the stretches that are tried.
_HALVES = (1, 2, 3, 4, 6, 8, 11, 14, 18, REACH)
#: Half width of the curves that the unsteadiness is measured against; slower motion counts as the camera's.
_CURVE = 8
#: Half the confidence interval, in standard deviations; and by how much more a mean of slow weave varies than one of
#: values that do not depend on each other.
_INTERVAL, _SLOWNESS = 2.0, 2.0
#: Power of its spread by which a fit loses weight.
_SURER = 4
#: Spreads below this, px, are all the same.
_EXACT = 1e-3
#: Fewest frames of a scene whose unsteadiness can be judged.
FEWEST = 7
#: Correlations, without their sign, up to which motion is a hand's, and from which it is a gate's; and the least
#: trembling from frame to frame, px, by which a gate is recognised.
_HAND, _GATE, _LEAST_JITTER = 0.1, 0.3, 0.03
#: Of a normal distribution, the standard deviation per median absolute deviation; per RMS of the third difference.
_MEDIAN, _THIRD = 1.4826, 1 / np.sqrt(20)

_Values = npt.NDArray[np.float64]


def unsteadiness(positions: _Values) -> float:
    """Standard deviation of the positions ``[N]`` of one direction around smooth curves, px; robust against cuts of the
    camera's motion."""
    count = len(positions)
    if count < FEWEST:
        return 0.0
    rest = positions - _curves(count) @ positions
    free = 1 - np.diag(_curves(count))
    scaled = rest / np.sqrt(np.maximum(free, 0.05))
    return float(_MEDIAN * np.median(np.abs(scaled)))


def frame_jitter(positions: _Values) -> float:
    """Standard deviation of what changes from frame to frame only, from the third differences; smooth motion of any
    speed has none."""
    if len(positions) < FEWEST:
        return 0.0
    return float(_MEDIAN * np.median(np.abs(np.diff(positions, 3))) * _THIRD)


def returning(positions: _Values) -> float:
    """Correlation of the steps from frame to frame, their trend taken off, with the next ones.

    It is -0.5 where each position is independent of the one before, as in a gate, and positive where motion goes on for
    several frames, as a hand's does.
    """
    steps = np.diff(positions)
    if len(steps) > 6:
        steps = steps - np.convolve(np.pad(steps, 3, mode="reflect"), np.ones(7) / 7, "valid")
    power = float((steps**2).sum())
    return float((steps[1:] * steps[:-1]).sum()) / power if power > 0 else 0.0


def gate_share(paths: Sequence[_Values]) -> float:
    """How far positions in some directions are a gate's, 0 to 1, judged by the one that is most so."""
    shares = [0.0]
    for positions in paths:
        if frame_jitter(positions) >= _LEAST_JITTER:
            shares.append((-returning(positions) - _HAND) / (_GATE - _HAND))
    return float(np.clip(max(shares), 0, 1))


def steady_position(positions: _Values, at: int) -> float:
    """Where the picture of frame ``at`` of ``positions`` ``[N]`` should lie in one direction, px."""
    whole = unsteadiness(positions)
    quick = min(whole, frame_jitter(positions))
    slow = float(np.sqrt(whole**2 - quick**2))
    own = float(positions[at])
    fits, spreads = [own], [whole]
    for degree in (1, 2):
        low, high = own - _INTERVAL * whole, own + _INTERVAL * whole
        for half in _HALVES:
            row = _weights(len(positions), at, half, degree)
            if len(row) < 2 * degree + 1:
                continue
            first = max(0, at - half)
            fitted = float(row @ positions[first : first + len(row)])
            share = float(np.sqrt((row**2).sum()))
            spread = share * float(np.hypot(quick, min(_SLOWNESS, 1 / share) * slow))
            low, high = max(low, fitted - _INTERVAL * spread), min(high, fitted + _INTERVAL * spread)
            if low > high:
                break
            fits.append(fitted)
            spreads.append(spread)
    weights = 1 / np.maximum(spreads, _EXACT) ** _SURER
    return float(weights @ np.array(fits) / weights.sum())


@lru_cache(maxsize=8192)
def _weights(count: int, at: int, half: int, degree: int) -> _Values:
    """The weights of a polynomial's value at ``at``, fitted to the values of ``count`` frames within ``half``."""
    return _fit_weights(np.arange(max(0, at - half), min(count, at + half + 1)) - at, degree)


@lru_cache(maxsize=64)
def _curves(count: int) -> _Values:
    """The matrix that takes positions to their fit by local parabolas."""
    matrix = np.zeros((count, count))
    for at in range(count):
        first, stop = max(0, at - _CURVE), min(count, at + _CURVE + 1)
        matrix[at, first:stop] = _fit_weights(np.arange(first, stop) - at, 2)
    return matrix


def _fit_weights(places: npt.NDArray[np.int_], degree: int) -> _Values:
    """The weights with which values at ``places`` make up the value at 0 of the polynomial fitted to them."""
    powers = np.vander(places.astype(np.float64), min(degree, len(places) - 1) + 1, increasing=True)
    return np.asarray(np.linalg.pinv(powers)[0])
