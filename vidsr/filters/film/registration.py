"""How far the whole picture moved from one frame to the next, to some hundredths of a pixel.

Inverse compositional alignment (Baker and Matthews, "Lucas-Kanade 20 years on", IJCV 56, 2004), coarse to fine, of
blocks rather than pixels: each block votes, and blocks that move on their own lose their vote. The coarsest start is
phase correlation (Kuglin and Hines 1975), which finds fast pans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidsr.frames import Array, Floats

#: Pictures are halved before registration until their shorter side is shorter than this; and further for the coarse
#: start, until it is shorter than that.
_FINEST_PX, _COARSEST_PX = 400, 64
#: Side of a block; pixels at the edges that do not vote (film shows its frame there, tape its switching).
_BLOCK_PX, _EDGE = 16, 0.03
#: Radii of the blur that makes sampling between pixels exact enough, and of the local mean that is taken off.
_SMOOTH, _LOCAL_PX = (1.0, 4.0, 6.0, 4.0, 1.0), 7
#: A block's own displacement from the common one, px, from which it loses its vote (Geman and McClure's weights).
_OWN_WAY = 0.2
#: Steps of alignment at the finest level, and at those above it.
_STEPS, _COARSE_STEPS = 5, 3
#: Least mean square gradient of a block that votes, in squares of 8-bit code values; and least ratio of its two
#: principal gradients for it to have a displacement of its own.
_TEXTURED, _CORNER = 1.0, 0.1
#: A block counts as moving with the picture if its own displacement is no larger, px.
_WITH = 0.35
#: Two blocks show the same if their difference has no more than this share of their power; of unlike ones it has all.
_LIKE = 0.6
#: Mean difference, in 8-bit code values, of a frame that shows the one before again.
_REPEAT = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """What moved from one frame to the next: ``x`` right and ``y`` down, px of the full picture.

    ``trust`` is the share of the textured blocks that moved with it, 0 to 1; ``repeat`` whether nothing changed.
    """

    x: float
    y: float
    trust: float
    repeat: bool


@dataclass(frozen=True, slots=True)
class _Level:
    """A picture without its local mean; its gradients; and per block the sums of their products."""

    picture: Floats
    gx: Floats
    gy: Floats
    xx: Floats
    xy: Floats
    yy: Floats


class Registered:
    """A frame's luma, prepared for registration: levels from the finest to the coarsest.

    Args:
        luma: the plane, of any depth.
        max_code: its largest code value.
        finest_px: it is halved until its shorter side is shorter than this.
    """

    def __init__(self, luma: Array, max_code: int, finest_px: int = _FINEST_PX) -> None:
        picture = luma.astype(np.float32)
        if max_code != 255:
            picture *= np.float32(255 / max_code)
        self.scale = 1
        while min(picture.shape) >= finest_px:
            picture = _halved(picture)
            self.scale *= 2
        self.picture = picture
        self.levels = [_level(picture)]
        while min(picture.shape) >= 2 * _COARSEST_PX:
            picture = _halved(picture)
            self.levels.append(_level(picture))


def registered_shift(before: Registered, now: Registered) -> Shift:
    """How the picture moved from ``before`` to ``now``, which have the same size."""
    if float(np.abs(before.picture - now.picture).mean()) < _REPEAT:
        return Shift(x=0.0, y=0.0, trust=1.0, repeat=True)
    coarsest = len(before.levels) - 1
    starts = {(0.0, 0.0), _correlated(before.levels[-1].picture, now.levels[-1].picture)}
    tried = (_aligned(before.levels[-1], now.levels[-1], start, _steps(coarsest)) for start in sorted(starts))
    x, y, trust = max(tried, key=lambda found: found[2])
    for number in range(coarsest - 1, -1, -1):
        x, y, trust = _aligned(before.levels[number], now.levels[number], (2 * x, 2 * y), _steps(number))
    return Shift(x=x * before.scale, y=y * before.scale, trust=trust, repeat=False)


def _steps(level: int) -> int:
    return _STEPS if level == 0 else _COARSE_STEPS


def _halved(picture: Floats) -> Floats:
    height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
    kept = picture[:height, :width]
    return np.asarray((kept[::2, ::2] + kept[1::2, ::2] + kept[::2, 1::2] + kept[1::2, 1::2]) * np.float32(0.25))


def _level(picture: Floats) -> _Level:
    smooth = _filtered(_filtered(picture, _SMOOTH, 0), _SMOOTH, 1)
    box = [1.0] * (2 * _LOCAL_PX + 1)
    detail = smooth - _filtered(_filtered(smooth, box, 0), box, 1)
    gx, gy = np.zeros_like(detail), np.zeros_like(detail)
    gx[:, 1:-1] = (detail[:, 2:] - detail[:, :-2]) * np.float32(0.5)
    gy[1:-1] = (detail[2:] - detail[:-2]) * np.float32(0.5)
    for gradient in (gx, gy):
        _blank_edges(gradient)
    return _Level(detail, gx, gy, _blocks(gx * gx), _blocks(gx * gy), _blocks(gy * gy))


def _blank_edges(gradient: Floats) -> None:
    """Set what lies at the edges to 0, in place."""
    rows, columns = (max(3, round(_EDGE * side)) for side in gradient.shape)
    gradient[:rows] = gradient[-rows:] = 0
    gradient[:, :columns] = gradient[:, -columns:] = 0


def _filtered(picture: Floats, taps: Sequence[float], axis: int) -> Floats:
    """The mean of ``picture`` along ``axis``, weighted by an odd number of taps; edges repeat."""
    radius, length = len(taps) // 2, picture.shape[axis]
    padding = [(0, 0), (0, 0)]
    padding[axis] = (radius, radius)
    padded = np.pad(picture, padding, mode="edge")
    if len(set(taps)) == 1:
        sums = np.cumsum(padded, axis, dtype=np.float64)
        sums = np.insert(sums, 0, 0, axis)
        upper, lower = np.arange(len(taps), len(taps) + length), np.arange(length)
        return np.asarray((sums.take(upper, axis) - sums.take(lower, axis)) / len(taps), np.float32)
    total = np.zeros_like(picture)
    for number, tap in enumerate(taps):
        part = padded[number : number + length] if axis == 0 else padded[:, number : number + length]
        total += np.float32(tap / sum(taps)) * part
    return total


def _blocks(values: Floats) -> Floats:
    """Sums over blocks."""
    height, width = values.shape
    rows, columns = np.arange(0, height, _BLOCK_PX), np.arange(0, width, _BLOCK_PX)
    return np.asarray(np.add.reduceat(np.add.reduceat(values, rows, 0), columns, 1), np.float32).ravel()


def _correlated(before: Floats, now: Floats) -> tuple[float, float]:
    """The displacement in whole pixels at which the phases of two pictures agree."""
    height, width = before.shape
    window = np.hanning(height)[:, None] * np.hanning(width)[None]
    cross = np.fft.rfft2(now * window) * np.conj(np.fft.rfft2(before * window))
    surface = np.fft.irfft2(cross / (np.abs(cross) + 1e-3 * np.abs(cross).max() + 1e-9), s=(height, width))
    y, x = np.unravel_index(int(np.argmax(surface)), surface.shape)
    return float((x + width // 2) % width - width // 2), float((y + height // 2) % height - height // 2)


def _aligned(before: _Level, now: _Level, start: tuple[float, float], steps: int) -> tuple[float, float, float]:
    """The displacement from ``start`` on, and the share of the blocks that have it."""
    x, y = start
    size = float(_BLOCK_PX**2)
    trace = before.xx + before.yy
    votes = trace > _TEXTURED * size
    if not votes.any():
        return x, y, 0.0
    xx, xy, yy, trace = (values[votes].astype(np.float64) for values in (before.xx, before.xy, before.yy, trace))
    determinant = xx * yy - xy * xy
    corner = determinant > _CORNER * (trace / 2) ** 2
    damped = determinant + 1e-3 * trace**2
    own = np.zeros(len(xx))
    for step in range(steps):
        error = _moved_back(now.picture, x, y) - before.picture
        bx = _blocks(before.gx * error)[votes].astype(np.float64)
        by = _blocks(before.gy * error)[votes].astype(np.float64)
        # In the next frame, what this one has at a place p lies at p + d; the error has the sign of -d.
        dx, dy = -(yy * bx - xy * by) / damped, -(xx * by - xy * bx) / damped
        if step == 0 and corner.sum() >= 3:
            mx, my = float(np.median(dx[corner])), float(np.median(dy[corner]))
            x, y = x + float(np.clip(mx, -1.5, 1.5)), y + float(np.clip(my, -1.5, 1.5))
            continue
        own = np.hypot(dx, dy)
        mx, my = _common(xx, xy, yy, bx, by, own)
        x, y = x + mx, y + my
    there = _moved_back(now.picture, x, y)
    error = there - before.picture
    bx = _blocks(before.gx * error)[votes].astype(np.float64)
    by = _blocks(before.gy * error)[votes].astype(np.float64)
    own = np.hypot((yy * bx - xy * by) / damped, (xx * by - xy * bx) / damped)
    rest, power = _blocks(error * error)[votes], _blocks(before.picture**2 + there**2)[votes]
    return x, y, float(((own <= _WITH) & (rest <= _LIKE * power)).mean())


def _common(
    xx: npt.NDArray[np.float64],
    xy: npt.NDArray[np.float64],
    yy: npt.NDArray[np.float64],
    bx: npt.NDArray[np.float64],
    by: npt.NDArray[np.float64],
    own: npt.NDArray[np.float64],
) -> tuple[float, float]:
    """The step that all blocks take together, those that go their own way with little weight."""
    x = y = 0.0
    for _ in range(3):
        away = own if x == y == 0 else own_way(xx, xy, yy, bx, by, (x, y))
        weight = 1 / (1 + (away / _OWN_WAY) ** 2) ** 2
        a, b, c = float((weight * xx).sum()), float((weight * xy).sum()), float((weight * yy).sum())
        p, q = float((weight * bx).sum()), float((weight * by).sum())
        determinant = a * c - b * b + 1e-6 * (a + c) ** 2 + 1e-12
        x, y = -(c * p - b * q) / determinant, -(a * q - b * p) / determinant
    return float(np.clip(x, -1.0, 1.0)), float(np.clip(y, -1.0, 1.0))


def own_way(
    xx: npt.NDArray[np.float64],
    xy: npt.NDArray[np.float64],
    yy: npt.NDArray[np.float64],
    bx: npt.NDArray[np.float64],
    by: npt.NDArray[np.float64],
    common: tuple[float, float],
) -> npt.NDArray[np.float64]:
    """How far each block is from the ``common`` step, px, in the directions in which it has texture."""
    px, py = bx + xx * common[0] + xy * common[1], by + xy * common[0] + yy * common[1]
    damped = xx * yy - xy * xy + 1e-3 * (xx + yy) ** 2
    return np.asarray(np.hypot((yy * px - xy * py) / damped, (xx * py - xy * px) / damped))


def _moved_back(picture: Floats, x: float, y: float) -> Floats:
    """``picture`` sampled ``x`` to the right and ``y`` below each pixel, by cubic interpolation; edges repeat."""
    for axis, distance in ((0, y), (1, x)):
        whole = int(np.floor(distance))
        t = distance - whole
        length = picture.shape[axis]
        # Keys 1981, a = -0.5.
        taps = (
            -0.5 * t**3 + t**2 - 0.5 * t,
            1.5 * t**3 - 2.5 * t**2 + 1,
            -1.5 * t**3 + 2 * t**2 + 0.5 * t,
            0.5 * t**3 - 0.5 * t**2,
        )
        first = whole - 1
        before, after = max(0, -first), max(0, first + 4)
        padding = [(0, 0), (0, 0)]
        padding[axis] = (min(before, length), min(after, length))
        padded = np.pad(picture, padding, mode="edge")
        start = max(0, min(first + padding[axis][0], padded.shape[axis] - length - 3))
        total = np.zeros_like(picture)
        for number, tap in enumerate(taps):
            low = start + number
            part = padded[low : low + length] if axis == 0 else padded[:, low : low + length]
            total += np.float32(tap) * part
        picture = total
    return picture
