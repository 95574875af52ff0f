"""Faults that sit on lines: dropouts, the head-switching band, tracking noise, and time-base errors.

All take and give clips ``[T, H, W, 3]`` float32 as luma (0 to 1) and colour differences U and V, and draw from the
generator they are given.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vidsr.frames import Floats

FILLS = ("white", "black", "noise", "colour")
#: Dropouts: median length in µs, spread of its logarithm, bounds; chance of each further line in a row.
_MEDIAN_US, _SPREAD, _LEAST_US, _MOST_US, _NEXT_LINE = 8.0, 0.8, 2.0, 52.0, 0.35
_MOST_LINES = 4
#: Head switching: displacement grows towards the bottom by this power of the depth (as in ntsc-rs); noise of the band.
_POWER, BAND_NOISE = 1.5, 0.03
#: Correlation of the time-base error from line to line, and from frame to frame.
_LINE_MEMORY, _FRAME_MEMORY = 0.9, 0.3
#: Tracking noise: chance that a pixel begins a streak of snow, and its length in px (as in ntsc-rs: 5 %).
_SNOW, _STREAK_PX = 0.05, 12


def dropouts(
    clip: Floats, per_frame: float, fill: str, rng: np.random.Generator, *, rate: float, interlaced: bool
) -> Floats:
    """Parts of lines lost, ``per_frame`` of them on average; ``fill`` is one of :data:`FILLS` or "mixed".

    Lines are sampled at ``rate`` MHz. Rows of one dropout lie side by side, or two apart if ``interlaced``.
    """
    out = clip.copy()
    count, height, width = clip.shape[:3]
    for n in range(count):
        for _ in range(rng.poisson(per_frame)):
            kind = str(rng.choice(FILLS)) if fill == "mixed" else fill
            row, start = int(rng.integers(height)), int(rng.integers(-4, width - 4))
            rows = 1
            while rows < _MOST_LINES and rng.random() < _NEXT_LINE:
                rows += 1
            for line in range(rows):
                length = rng.lognormal(np.log(_MEDIAN_US), _SPREAD)
                pixels = int(np.clip(length, _LEAST_US, _MOST_US) * rate)
                y = row + line * (2 if interlaced else 1)
                first = max(0, start + int(rng.integers(-3, 4)))
                if y < height and first < width:
                    _drop(out[n, y], first, min(width, first + max(pixels, 6)), kind, rng)
    return out


def _drop(line: Floats, first: int, stop: int, kind: str, rng: np.random.Generator) -> None:
    """Replace pixels ``first`` to ``stop`` of ``line`` ``[W, 3]``."""
    length = stop - first
    noise = rng.standard_normal((length, 3), np.float32)
    lost = np.empty((length, 3), np.float32)
    lost[:, 0] = {
        "white": 0.95 + 0.03 * noise[:, 0],
        "black": 0.03 + 0.02 * noise[:, 0],
        "noise": 0.5 + 0.35 * noise[:, 0],
        "colour": line[first:stop, 0],
    }[kind]
    # Without its carrier colour is noise around grey; the colour-under signal holds little of it.
    lost[:, 1:] = (0.15 if kind == "colour" else 0.03) * noise[:, 1:]
    if kind == "colour":
        lost[:, 1:] = np.repeat(lost[::6, 1:], 6, axis=0)[:length] + rng.choice([-0.18, 0.18], (1, 2))
    line[first:stop] = lost
    line[first:stop, 0] = line[first:stop, 0].clip(0, 1)


def head_switching(
    clip: Floats, rows: int, shift: float, rng: np.random.Generator, *, sigma: float = BAND_NOISE
) -> Floats:
    """The last ``rows`` rows displaced by up to ``shift`` px at the bottom, the new edge black, with noise."""
    out = clip.copy()
    height, width = clip.shape[1:3]
    depth = np.arange(1, rows + 1) / rows
    for n in range(clip.shape[0]):
        shifts = np.zeros(height)
        shifts[height - rows :] = shift * depth**_POWER * (
            1 + 0.03 * rng.standard_normal()
        ) + 0.3 * rng.standard_normal(rows)
        out[n] = rows_moved(clip[n], shifts, black=True)
        noise = rng.standard_normal((rows, width), np.float32) * np.float32(sigma)
        out[n, height - rows :, :, 0] = (out[n, height - rows :, :, 0] + noise).clip(0, 1)
    return out


def wobbled(clip: Floats, sigma: float, rng: np.random.Generator) -> Floats:
    """Lines displaced by time-base errors of standard deviation ``sigma`` px, alike on neighbouring lines."""
    out = np.empty_like(clip)
    for n, error in enumerate(time_base_errors(clip.shape[0], clip.shape[1], rng)):
        out[n] = rows_moved(clip[n], sigma * error, black=False)
    return out


def time_base_errors(count: int, height: int, rng: np.random.Generator) -> list[npt.NDArray[np.float64]]:
    """The displacement of each line of ``count`` frames, of unit variance."""
    errors: list[npt.NDArray[np.float64]] = []
    for _ in range(count):
        fresh = _smooth_noise(height, rng)
        kept = np.sqrt(1 - _FRAME_MEMORY**2)
        errors.append(_FRAME_MEMORY * errors[-1] + kept * fresh if errors else fresh)
    return errors


def tracking_noise(clip: Floats, rows: int, shift: float, rng: np.random.Generator) -> Floats:
    """A band of ``rows`` rows that climbs through the clip: waves of up to ``shift`` px, snow, and no colour."""
    out = clip.copy()
    count, height, width = clip.shape[:3]
    bottom = float(rng.uniform(rows, height))
    for n in range(count):
        top = int(bottom - rows * (1 + n / 4)) % max(1, height - rows)
        band = slice(top, min(height, top + rows))
        deep = np.sin(np.linspace(0, np.pi, band.stop - band.start))
        shifts = np.zeros(height)
        shifts[band] = shift * deep * _smooth_noise(band.stop - band.start, rng)
        moved = rows_moved(clip[n], shifts, black=False)[band]
        snow = np.zeros((len(deep), width), np.float32)
        for y, x in np.argwhere(rng.random(snow.shape) < _SNOW * deep[:, None] / 2):
            streak = np.exp(-np.arange(min(_STREAK_PX, width - x)) / (_STREAK_PX / 3))
            snow[y, x : x + len(streak)] = np.maximum(snow[y, x : x + len(streak)], rng.uniform(0.4, 1) * streak)
        moved[..., 0] = np.maximum(moved[..., 0], snow)
        moved[..., 1:] *= (1 - 0.8 * deep)[:, None, None].astype(np.float32)
        out[n, band] = moved
    return out


def _smooth_noise(count: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Unit variance, correlated from line to line."""
    fresh = rng.standard_normal(count)
    made = np.empty(count)
    last = fresh[0]
    for n, value in enumerate(fresh):
        last = value if n == 0 else _LINE_MEMORY * last + np.sqrt(1 - _LINE_MEMORY**2) * value
        made[n] = last
    return made


def rows_moved(picture: Floats, shifts: npt.NDArray[np.float64], *, black: bool) -> Floats:
    """Row y of ``[H, W, 3]`` moved right by ``shifts[y]`` px by cubic interpolation (Keys, a = −0.5)."""
    width = picture.shape[1]
    out = picture.copy()
    columns = np.arange(width)
    for y in np.flatnonzero(np.abs(shifts) > 1e-6):
        place = columns - shifts[y]
        whole = np.floor(place).astype(int)
        t = (place - whole)[:, None]
        weights = (
            ((-0.5 * t + 1) * t - 0.5) * t,
            (1.5 * t - 2.5) * t * t + 1,
            ((-1.5 * t + 2) * t + 0.5) * t,
            (0.5 * t - 0.5) * t * t,
        )
        row = sum(w * picture[y, (whole + n - 1).clip(0, width - 1)] for n, w in enumerate(weights))
        if black:
            row[(place < 0) | (place > width - 1)] = 0
        out[y] = row
    return out
