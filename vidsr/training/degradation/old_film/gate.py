"""Motion of the film in the gate: weave, jump and splices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vidsr.frames import Floats
from vidsr.training.degradation.old_film.options import OldFilmOptions

#: Band of the slow motion, Hz. Its power falls with the square of the frequency, as that of a random walk.
_SLOWEST_HZ, _FASTEST_HZ = 0.5, 4.0
#: Motion across the main direction of weave and of jump, as a share of it.
_CROSSWISE = 0.4
#: Half the taps of the windowed sinc that moves pictures (Lanczos, a = 4).
_REACH = 4
#: A splice throws the picture by up to this share of its height; each frame after it by this share of the one before.
_THROW, _DECAY = 0.02, 0.4
#: Height of the glue along the edge, px, and its brightness.
_GLUE_PX, _GLUE = (2, 6), (0.75, 1.0)


def slow_walk(count: int, rate: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """``count`` values of a random walk limited to the band of the slow motion, with an RMS of 1."""
    length = max(256, 2 * count)
    frequency = np.fft.rfftfreq(length, 1 / rate)
    inside = (frequency >= _SLOWEST_HZ) & (frequency <= min(_FASTEST_HZ, 0.4 * rate))
    spectrum = np.fft.rfft(rng.standard_normal(length))
    spectrum = np.where(inside, spectrum / np.maximum(frequency, 1e-9), 0)
    walk = np.fft.irfft(spectrum, length)
    return np.asarray(walk[:count] / max(float(np.sqrt((walk**2).mean())), 1e-12))


def gate_path(count: int, width: int, options: OldFilmOptions, rng: np.random.Generator) -> Floats:
    """Where the picture lies in the gate: ``[count, 2]``, x and y in pixels."""
    weave, jump = options.weave * width / 100, options.jump * width / 100
    slow = [slow_walk(count, options.rate, rng) for _ in range(2)]
    quick = rng.standard_normal((2, count))
    x = weave * slow[0] + _CROSSWISE * jump * quick[0]
    y = _CROSSWISE * weave * slow[1] + jump * quick[1]
    return np.stack((x, y), 1).astype(np.float32)


def splice_places(count: int, splices: int, rng: np.random.Generator) -> list[int]:
    """The first frames after each splice, in order."""
    return sorted(map(int, rng.choice(np.arange(1, count), size=min(splices, max(0, count - 1)), replace=False)))


def thrown(count: int, height: int, places: list[int], rng: np.random.Generator) -> Floats:
    """The vertical jump, px, that each of ``count`` frames has from the splices before it."""
    path = np.zeros(count, np.float32)
    for place in places:
        throw = rng.uniform(0.3, 1) * rng.choice((-1, 1)) * _THROW * height
        path[place:] += throw * _DECAY ** np.arange(count - place)
    return path


def glued(frame: Floats, upper: bool, rng: np.random.Generator) -> Floats:
    """``frame`` ``[H, W, 3]`` with the glue of a splice along its upper or lower edge."""
    height, width = frame.shape[:2]
    thick = rng.uniform(*_GLUE_PX) + np.cumsum(rng.normal(0, 0.15, width))
    rows = np.arange(height)[:, None] if upper else np.arange(height)[::-1, None]
    cover = np.clip(thick[None] - rows, 0, 1)[..., None]
    return np.asarray(frame + (rng.uniform(*_GLUE) - frame) * cover, np.float32)


def moved(frame: Floats, x: float, y: float) -> Floats:
    """``frame`` ``[H, W, C]`` moved right by ``x`` and down by ``y`` px; edges repeat."""
    for axis, distance in ((1, x), (0, y)):
        if distance:
            frame = _moved_along(frame, distance, axis)
    return frame


def _moved_along(frame: Floats, distance: float, axis: int) -> Floats:
    whole = int(np.floor(distance))
    at = np.arange(-_REACH + 1, _REACH + 1) - (1 - (distance - whole))
    taps = np.sinc(at) * np.sinc(at / _REACH)
    taps /= taps.sum()
    length = frame.shape[axis]
    places = np.arange(length)[:, None] - whole - 1 + np.arange(-_REACH + 1, _REACH + 1)[None]
    places = np.clip(places, 0, length - 1)
    total = np.zeros_like(frame)
    for tap, place in zip(taps, places.T, strict=True):
        total += np.float32(tap) * np.take(frame, place, axis)
    return total
