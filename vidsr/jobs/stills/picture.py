"""Enhancing one still picture: blocks of it through the network, with what its kind needs around that."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from vidsr.errors import OptionsError
from vidsr.filters import textures
from vidsr.frames import Array
from vidsr.jobs.disk_space import check_output
from vidsr.jobs.state.result import PictureResult
from vidsr.jobs.stills.restoration import Restoring, settle
from vidsr.media.pictures.animation import ANIMATED, Animation, animation_frames, read_animation, write_animation
from vidsr.media.pictures.files import FORMATS, read_picture, write_picture
from vidsr.media.pictures.metadata import exif_for_size, scaled_geotiff
from vidsr.media.pictures.types import Picture
from vidsr.options.enhance_options import EnhanceOptions, PictureOptions

#: Pictures up to this many pixels go through the network as one; larger ones by blocks, in bounded memory.
WHOLE_PX = 2_000_000
#: Pixels of the source around a block that the network sees and that are then cut off.
_CONTEXT_PX = 32
_BLOCK_ROWS, _BLOCK_COLUMNS = 256, 1024
#: A picture whose size does not divide into blocks evenly is done as one up to here (about 8 GB at x4).
_MISALIGNED_PX = 40_000_000


class PictureUpscaler(Protocol):
    """What enlarges: float32 [h, w, 3] or [h, w] with white 1 → the same at ``size`` = (width, height)."""

    scale: int

    def picture(self, picture: Array, size: tuple[int, int] | None = None) -> Array:
        """The picture at ``size``, neither rounded nor clamped."""


def enhance_picture(source: Path, output: Path, options: EnhanceOptions, network: PictureUpscaler) -> PictureResult:
    """Enhance one picture file into another.

    Raises:
        InputError: the source is not a usable picture.
        OutputError: the result exists and may not be replaced, is the source, or cannot be written.
    """
    began = time.monotonic()
    check_output(source, output, overwrite=options.output.overwrite)
    animation = read_animation(source)
    if animation is not None and FORMATS.get(output.suffix.lower()) in ANIMATED:
        return _enhance_animation(animation, output, options, network)
    picture = read_picture(source)
    try:
        target = target_size(picture.size, options, network.scale)
        plan = _Plan.of(picture, target, options.pictures)
        restoring = _restoring(picture, options, network)
        out = _for_output(picture, target)
        bands = _bands(picture, plan, _Enlarger(picture, options.pictures, network, restoring))
        write_picture(output, out, bands, size=target, quality=options.pictures.picture_quality)
    finally:
        picture.close()
    return PictureResult(
        source=source,
        output=output,
        source_size=picture.size,
        size=target,
        seconds=time.monotonic() - began,
        notes=tuple(dict.fromkeys(out.notes)),
    )


def enhanced_window(
    picture: Picture, window: tuple[slice, slice], options: EnhanceOptions, network: PictureUpscaler
) -> tuple[Array, Array]:
    """A window (rows, columns) of a picture as it is and enhanced as a part of the whole, [rows, columns, channels]."""
    target = target_size(picture.size, options, network.scale)
    pixels = np.ascontiguousarray(picture.pixels[window])
    part = replace(picture, pixels=pixels)
    factors = target[0] / picture.size[0], target[1] / picture.size[1]
    size = tuple(max(1, round(side * factor)) for side, factor in zip(part.size, factors, strict=True))
    enlarge = _Enlarger(part, options.pictures, network, _restoring(part, options, network))
    return pixels, enlarge(pixels, (size[0], size[1]), (0, 0))


def _enhance_animation(
    animation: Animation, output: Path, options: EnhanceOptions, network: PictureUpscaler
) -> PictureResult:
    """Every frame as a picture of its own; durations and repetitions stay."""
    began = time.monotonic()
    target = target_size(animation.size, options, network.scale)
    notes: list[str] = []
    frames = 0

    def enhanced() -> Iterator[Array]:
        nonlocal frames
        before: tuple[Array, Array] | None = None
        restoring: Restoring | None = None
        for frame in animation_frames(animation):
            if before is None or not np.array_equal(before[0], frame):
                picture = Picture(
                    path=animation.path,
                    format=animation.format,
                    mode="RGBA" if animation.alpha else "RGB",
                    pixels=frame,
                    value_range=(0, 255),
                    notes=notes,
                )
                plan = _Plan.of(picture, target, options.pictures)
                restoring = restoring or _restoring(picture, options, network)
                enlarge = _Enlarger(picture, options.pictures, network, restoring)
                before = frame, np.concatenate(list(_bands(picture, plan, enlarge)))
            frames += 1
            yield before[1]

    quality = options.pictures.picture_quality
    write_animation(output, animation, enhanced(), quality=quality, notes=notes)
    return PictureResult(
        source=animation.path,
        output=output,
        source_size=animation.size,
        size=target,
        frames=frames,
        seconds=time.monotonic() - began,
        notes=tuple(notes),
    )


def target_size(size: tuple[int, int], options: EnhanceOptions, model_scale: int) -> tuple[int, int]:
    """(width, height) of the result."""
    target = options.size.target(*size, model_scale)
    return textures.power_of_two(target) if options.pictures.power_of_two else target


def _for_output(picture: Picture, target: tuple[int, int]) -> Picture:
    """The picture with its metadata brought to the new size; pixels are not touched."""
    factor = target[0] / picture.size[0], target[1] / picture.size[1]
    meta = replace(
        picture.meta, exif=exif_for_size(picture.meta.exif, *target), tags=scaled_geotiff(picture.meta.tags, factor)
    )
    return replace(picture, meta=meta)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """How a picture is cut: blocks (rows, columns) and context in source pixels, per axis (x, y)."""

    target: tuple[int, int]
    options: PictureOptions
    block: tuple[int, int]
    margin: tuple[int, int]

    @staticmethod
    def of(picture: Picture, target: tuple[int, int], options: PictureOptions) -> _Plan:
        """Blocks whose edges fall on whole pixels of source and result alike.

        Raises:
            OptionsError: the picture is too large to be done as one and its size has no such blocks.
        """
        width, height = picture.size
        step = width // math.gcd(width, target[0]), height // math.gcd(height, target[1])
        margin = tuple(s * -(-_CONTEXT_PX // s) for s in step)
        whole = width * height <= WHOLE_PX
        if not whole and (step[0] > _BLOCK_COLUMNS or step[1] > _BLOCK_ROWS):
            if width * height > _MISALIGNED_PX:
                raise OptionsError(
                    f"{picture.path}: {width}x{height} cannot be cut evenly for a result of {target[0]}x{target[1]}; "
                    f"take a whole factor for a picture this large, for example --scale {max(1, target[0] // width)}"
                )
            whole = True
        block = (width, height) if whole else (_BLOCK_COLUMNS // step[0] * step[0], _BLOCK_ROWS // step[1] * step[1])
        return _Plan(target=target, options=options, block=block, margin=(margin[0], margin[1]))


def _restoring(picture: Picture, options: EnhanceOptions, network: PictureUpscaler) -> Restoring:
    return settle(picture, options.restore, getattr(network, "device", "cpu"))


def _bands(picture: Picture, plan: _Plan, enlarge: _Enlarger) -> Iterator[Array]:
    """The result from top to bottom, one row of blocks at a time, [rows, width, channels]."""
    width, height = picture.size
    for top in range(0, height, plan.block[1]):
        bottom = min(height, top + plan.block[1])
        row = [
            _block(picture, plan, (left, top, min(width, left + plan.block[0]), bottom), enlarge)
            for left in range(0, width, plan.block[0])
        ]
        yield row[0] if len(row) == 1 else np.concatenate(row, axis=1)


def _block(picture: Picture, plan: _Plan, box: tuple[int, int, int, int], enlarge: _Enlarger) -> Array:
    """One block of the result, computed with its surroundings in view. ``box``: left, top, right, bottom."""
    width, height = picture.size
    left, top, right, bottom = box
    mx, my = plan.margin
    if plan.options.tileable:
        columns, rows = (
            np.arange(a - m, b + m) % n for a, b, m, n in ((left, right, mx, width), (top, bottom, my, height))
        )
        window = _wrapped_window(picture, rows, columns)
        cut_left, cut_top, x0, y0 = mx, my, left - mx, top - my
    else:
        x0, y0 = max(0, left - mx), max(0, top - my)
        window = picture.pixels[y0 : min(height, bottom + my), x0 : min(width, right + mx)]
        cut_left, cut_top = left - x0, top - y0
    fx, fy = plan.target[0] / width, plan.target[1] / height
    grown = enlarge(window, (round(window.shape[1] * fx), round(window.shape[0] * fy)), (x0, y0))
    x, y = round(cut_left * fx), round(cut_top * fy)
    return grown[y : y + round((bottom - top) * fy), x : x + round((right - left) * fx)]


def _wrapped_window(picture: Picture, rows: Array, columns: Array) -> Array:
    """The pixels of these rows and columns, each taken modulo the picture's size."""
    runs = np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1)
    parts = [picture.pixels[int(run[0]) : int(run[-1]) + 1, 0 : picture.size[0]][:, columns] for run in runs]
    return np.concatenate(parts)


class _Enlarger:
    """Enlarges a window of a picture, in the picture's own sample type: alpha, inks, normals, missing values."""

    def __init__(
        self, picture: Picture, options: PictureOptions, network: PictureUpscaler, restoring: Restoring
    ) -> None:
        self._mode = picture.mode
        self._dtype = picture.pixels.dtype
        self._low, self._high = picture.value_range
        self._nodata = picture.meta.details.get("nodata")
        self._options = options
        self._network = network
        self._restoring = restoring
        self._origin = (0, 0)

    def __call__(self, window: Array, size: tuple[int, int], origin: tuple[int, int]) -> Array:
        """[h, w, channels] → [H, W, channels] for ``size`` = (W, H); ``origin``: its first pixel, (x, y)."""
        self._origin = origin
        missing = self._missing(window)
        unit = ((window.astype(np.float64) - self._low) / (self._high - self._low)).astype(np.float32)
        unit = unit.clip(0, 1)
        if missing is not None:
            known = 1 - missing.astype(np.float32)
            unit = textures.fill_under_transparency(np.where(missing[..., None], 0, unit), known)
        out = self._parts(unit, size).clip(0, 1).astype(np.float64) * (self._high - self._low) + self._low
        if self._dtype.kind in "iu":
            out = np.rint(out)
        result = out.astype(self._dtype)
        if missing is not None:
            result[_nearest(missing, size)] = np.nan if self._nodata is None else self._nodata
        return result

    def _missing(self, window: Array) -> Array | None:
        """Where the picture says "nothing here": not-a-number, or the value named by its own tag."""
        missing = np.zeros(window.shape[:2], bool)
        if self._dtype.kind == "f":
            missing |= ~np.isfinite(window).all(axis=2)
        if self._nodata is not None:
            missing |= (window == self._nodata).all(axis=2)
        return missing if missing.any() else None

    def _parts(self, unit: Array, size: tuple[int, int]) -> Array:
        if self._mode == "CMYK":
            inks = 1 - self._colour(1 - unit[..., :3], size)
            return np.dstack([inks, self._grey(unit[..., 3], size)])
        if self._mode in ("L", "RGB"):
            return self._colour(unit, size)
        alpha = unit[..., -1]
        colour = unit[..., :-1]
        if self._options.under_alpha == "fill":
            colour = textures.fill_under_transparency(colour, alpha)
        return np.dstack([self._colour(colour, size), self._alpha(alpha, size)])

    def _colour(self, colour: Array, size: tuple[int, int]) -> Array:
        colour = self._restoring.filters(colour, self._origin)
        normals = self._options.normal_map and colour.shape[2] == 3
        if normals:
            colour = textures.complete_normals(colour)
        if colour.shape[2] == 1:
            grown = self._grey(colour[..., 0], size)[..., None]
        else:
            grown = self._network.picture(np.ascontiguousarray(colour), size)
        grown = self._restoring.steps(colour, grown)
        return textures.renormalised(grown) if normals else grown

    def _grey(self, grey: Array, size: tuple[int, int]) -> Array:
        if grey.min() == grey.max():
            return np.full((size[1], size[0]), grey.flat[0], np.float32)
        return self._network.picture(np.ascontiguousarray(grey), size)

    def _alpha(self, alpha: Array, size: tuple[int, int]) -> Array:
        """Opacity through the network, held between the smallest and largest of the 3×3 source pixels around: what
        was wholly clear or wholly opaque stays so, and no ringing can show."""
        grown = self._grey(alpha, size)
        low, high = _extremes(alpha)
        held: Array = grown.clip(_nearest(low, size), _nearest(high, size))
        return held


def _extremes(plane: Array) -> tuple[Array, Array]:
    """Smallest and largest value of each pixel's 3×3 neighbourhood."""
    padded = np.pad(plane, 1, mode="edge")
    height, width = plane.shape
    around = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.minimum.reduce(around), np.maximum.reduce(around)


def _nearest(plane: Array, size: tuple[int, int]) -> Array:
    """The plane at another size, each pixel that of the source pixel it lies in."""
    height, width = plane.shape
    rows = (np.arange(size[1]) * height) // size[1]
    columns = (np.arange(size[0]) * width) // size[0]
    grown: Array = plane[rows[:, None], columns[None]]
    return grown
