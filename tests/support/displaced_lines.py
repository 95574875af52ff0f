"""Clips whose lines are displaced one by one, as by an unstable playback, with the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tests.support.field_clips import Clip

HEIGHT, WIDTH = 96, 240
Errors = Sequence[npt.NDArray[np.float64]]


def texture(height: int, width: int, seed: int) -> npt.NDArray[np.float64]:
    """Smooth noise, 16 to 235."""
    rng = np.random.default_rng(seed)
    made = rng.standard_normal((height, width))
    taps = np.exp(-0.5 * (np.arange(-6, 7) / 2.0) ** 2)
    for axis in (0, 1):
        made = np.apply_along_axis(lambda line: np.convolve(line, taps, "same"), axis, made)
    return np.asarray((130 + 45 * made / made.std()).clip(16, 235))


def still(count: int, seed: int = 0) -> Clip:
    """The same picture in each frame."""
    return [texture(HEIGHT, WIDTH, seed).astype(np.float32)] * count


def changing(count: int, border: int = 8) -> Clip:
    """Another picture in each frame, between black borders whose edges are soft."""
    made = []
    columns = np.arange(WIDTH)
    rise = np.clip((np.minimum(columns, WIDTH - 1 - columns) - border + 2) / 4, 0, 1)
    window = rise * rise * (3 - 2 * rise)
    for n in range(count):
        picture = 60 + 0.6 * texture(HEIGHT, WIDTH, n)
        made.append((16 + window * (picture - 16)).astype(np.float32))
    return made


def errors(count: int, sigma: float = 0.6, seed: int = 1) -> Errors:
    """A displacement for each line of each frame, px, alike on neighbouring lines."""
    rng = np.random.default_rng(seed)
    taps = np.exp(-0.5 * (np.arange(-6, 7) / 2.0) ** 2)
    lines = [np.convolve(rng.standard_normal(HEIGHT + 12), taps, "valid") for _ in range(count)]
    return [sigma * line / line.std() for line in lines]


def displaced(clip: Clip, shifts: Errors) -> Clip:
    """Each line moved right by its shift, by interpolation between samples four times as dense."""
    columns = np.arange(WIDTH)
    made = []
    for picture, own in zip(clip, shifts, strict=True):
        dense = np.fft.irfft(np.fft.rfft(np.pad(picture, ((0, 0), (0, WIDTH)), mode="symmetric"), axis=1), 8 * WIDTH)
        rows = [
            4 * np.interp(columns - shift, np.arange(8 * WIDTH) / 4, line)
            for line, shift in zip(dense, own, strict=True)
        ]
        made.append(np.asarray(rows, np.float32))
    return made


def noisy(clip: Clip, sigma: float = 1.0) -> Clip:
    rng = np.random.default_rng(5)
    return [(y + rng.normal(0, sigma, y.shape)).astype(np.float32) for y in clip]
