"""A still picture: its pixels, read as needed, and its metadata."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vidsr.frames import Array

#: Meaning of the channels: grey, grey with alpha, colour, colour with alpha, printing inks.
CHANNELS: dict[str, int] = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}


class Pixels(Protocol):
    """Pixels [height, width, channels] that need not all be in memory: only slices are ever read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(height, width, channels)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8, uint16, or for scientific pictures any integer or float type."""

    def __getitem__(self, where: tuple[slice, slice], /) -> Array:
        """The pixels of these rows and columns, [rows, columns, channels]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureMeta:
    """The metadata of a picture file.

    ``exif`` are the bytes of the EXIF block (a TIFF header and its directories), ``dpi`` is (x, y) in pixels per
    inch. ``tags`` are TIFF tags beyond the structural ones, as (code, type, count, value, write once).
    ``details`` are facts a format needs to write the same kind again, such as the compression of a DDS.
    """

    exif: bytes | None = None
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    xmp: bytes | None = None
    texts: tuple[tuple[str, str], ...] = ()
    tags: tuple[tuple[Any, ...], ...] = ()
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Picture:
    """One still picture.

    ``mode`` is a key of :data:`CHANNELS`. ``value_range`` is the pair of values that mean black and white: the
    dtype's own for photographs, the smallest and largest found for grey deeper than 8 bit. ``notes`` say what of
    the file could not be kept. ``close`` frees the file behind ``pixels``.
    """

    path: Path
    format: str
    mode: str
    pixels: Pixels
    value_range: tuple[float, float]
    meta: PictureMeta = field(default_factory=PictureMeta)
    notes: list[str] = field(default_factory=list)
    close: Callable[[], None] = lambda: None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is opacity."""
        return self.mode in ("LA", "RGBA")
