"""Game textures and cut-out pictures: colour under transparency, normal maps, sizes that are powers of two.

Arrays are float32 [height, width, channels] in 0..1."""

from __future__ import annotations

import math

import numpy as np

from vidsr.frames import Array


def power_of_two(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) with each side the nearest power of two, by ratio."""
    width, height = (2 ** max(0, round(math.log2(side))) for side in size)
    return width, height


def fill_under_transparency(colour: Array, alpha: Array) -> Array:
    """Give transparent pixels the colour of the visible ones near them; visible pixels keep theirs.

    A cut-out often has black or white under its transparent part. Enlarged with it, that colour bleeds into the
    edge as a dark or bright fringe. The fill is the pull-push scheme of Gortler et al., "The Lumigraph" (1996),
    section 3.3: averages weighted by opacity are halved down until no hole is left, then laid under the holes on
    the way up.

    Args:
        colour: [height, width, channels] in 0..1.
        alpha: [height, width] opacity in 0..1.
    """
    if not (alpha > 0).any():
        return colour
    return _pull_push(colour.astype(np.float32), alpha.astype(np.float32))


def _pull_push(colour: Array, weight: Array) -> Array:
    height, width = weight.shape
    if weight.min() >= 1 or height * width == 1:
        return colour
    padded = np.pad(colour * weight[..., None], ((0, height % 2), (0, width % 2), (0, 0)))
    weights = np.pad(weight, ((0, height % 2), (0, width % 2)))
    halved = padded.reshape(len(padded) // 2, 2, -1, 2, colour.shape[2]).sum(axis=(1, 3))
    total = weights.reshape(len(weights) // 2, 2, -1, 2).sum(axis=(1, 3))
    mean = halved / np.maximum(total, 1e-8)[..., None]
    coarse = _pull_push(mean, np.minimum(total, 1))
    under = _doubled(coarse)[:height, :width]
    opaque = weight[..., None]
    filled: Array = colour * opaque + under * (1 - opaque)
    return filled


def _doubled(pixels: Array) -> Array:
    """Twice the size by linear interpolation (pixel centres aligned)."""
    for axis in (0, 1):
        first = [slice(None)] * 3
        last = [slice(None)] * 3
        first[axis], last[axis] = slice(0, 1), slice(-1, None)
        ringed = np.concatenate([pixels[tuple(first)], pixels, pixels[tuple(last)]], axis=axis)
        before, here, after = (np.take(ringed, np.arange(i, i + pixels.shape[axis]), axis=axis) for i in range(3))
        pair = np.stack([0.25 * before + 0.75 * here, 0.75 * here + 0.25 * after], axis=axis + 1)
        shape = list(pixels.shape)
        shape[axis] *= 2
        pixels = pair.reshape(shape)
    return pixels


def complete_normals(pixels: Array) -> Array:
    """A normal map whose blue channel is empty (two-channel compression) with z computed from x and y."""
    if pixels[..., 2].max() > 0:
        return pixels
    vectors = 2 * pixels - 1
    z = np.sqrt(np.maximum(0, 1 - vectors[..., 0] ** 2 - vectors[..., 1] ** 2))
    return np.dstack([pixels[..., 0], pixels[..., 1], 0.5 * z + 0.5]).astype(np.float32)


def renormalised(pixels: Array) -> Array:
    """A normal map with every vector brought back to length 1 (rgb = 0.5 · n + 0.5)."""
    vectors = 2 * pixels.astype(np.float32) - 1
    length = np.sqrt((vectors**2).sum(axis=2, keepdims=True))
    flat = np.zeros_like(vectors)
    flat[..., 2] = 1
    unit = np.where(length > 1e-3, vectors / np.maximum(length, 1e-3), flat)
    return (0.5 * unit + 0.5).astype(np.float32)
