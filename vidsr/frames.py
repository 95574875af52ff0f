"""The data of the pipeline: frames as planes, with their pixel format, colour and timestamps.

Independent of torch and PyAV. A plane is a numpy array and may be a view of a decoder's memory.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[Any]
#: An array of any dtype.
Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
#: An RGB picture [height, width, 3], uint8.
Rgb8 = npt.NDArray[np.uint8]

Matrix = Literal["bt709", "smpte170m", "bt470bg", "fcc", "smpte240m", "bt2020nc", "gbr", "ycgco"]
Range = Literal["limited", "full"]
ChromaLocation = Literal["left", "center", "topleft", "top", "bottomleft", "bottom"]

#: Luma weights (Kr, Kb) of each matrix; ITU-T H.273, table 4. Kg = 1 - Kr - Kb.
LUMA_WEIGHTS: dict[str, tuple[float, float]] = {
    "bt709": (0.2126, 0.0722),
    "smpte170m": (0.299, 0.114),
    "bt470bg": (0.299, 0.114),
    "fcc": (0.30, 0.11),
    "smpte240m": (0.212, 0.087),
    "bt2020nc": (0.2627, 0.0593),
}


def packed(numbers: Sequence[int], code: Literal["q", "I"] = "q") -> Sequence[int]:
    """Whole numbers, one or a few for each frame of what may be a long film, as an :class:`array.array`.

    They take 8 bytes each as int64 (``code`` "q"), 4 as uint32 ("I"), where a tuple of them takes 40. Numbers that do
    not fit stay a tuple.
    """
    if isinstance(numbers, array) and numbers.typecode == code:
        return numbers
    try:
        return array(code, numbers)
    except OverflowError:
        return tuple(numbers)


def luma_weights(matrix: str) -> tuple[float, float, float]:
    """The weights of red, green and blue in luma, for a matrix of :data:`LUMA_WEIGHTS`; they sum to 1."""
    red, blue = LUMA_WEIGHTS[matrix]
    return red, round(1 - red - blue, 6), blue  # rounded, so that green is the standard's decimal number


# log2 of the horizontal and vertical chroma subsampling of each planar YUV family.
_SUBSAMPLING = {"444": (0, 0), "422": (1, 0), "420": (1, 1), "440": (0, 1), "411": (2, 0), "410": (2, 2)}
_NAME = re.compile(r"^(?:(yuva?)(\d{3})p|(gray)|(gbra?)p)(\d{1,2})?(?:le)?$")


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """A planar pixel format, by its FFmpeg name.

    ``family`` "yuv" has planes Y, U, V; "gray" has Y; "rgb" has FFmpeg's plane order G, B, R. A last plane A
    follows where ``alpha`` is true. Samples are uint8 up to 8 bits and little-endian uint16 above.
    """

    name: str
    family: Literal["yuv", "gray", "rgb"]
    depth: int
    log2_chroma_w: int = 0
    log2_chroma_h: int = 0
    alpha: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8 for 8-bit formats, uint16 for deeper ones."""
        return np.dtype(np.uint8 if self.depth <= 8 else np.uint16)

    @property
    def max_code(self) -> int:
        """The largest code value, ``2**depth - 1``."""
        return (1 << self.depth) - 1

    @property
    def plane_count(self) -> int:
        """Number of planes, alpha included."""
        return (1 if self.family == "gray" else 3) + self.alpha

    def plane_shape(self, plane: int, width: int, height: int) -> tuple[int, int]:
        """(rows, columns) of one plane of a ``width`` × ``height`` frame; chroma sizes round up."""
        if self.family == "yuv" and plane in (1, 2):
            return -(-height >> self.log2_chroma_h), -(-width >> self.log2_chroma_w)
        return height, width

    @staticmethod
    @cache
    def parse(name: str) -> PixelFormat | None:
        """The planar format with this FFmpeg name, or None if vidsr does not handle it as planes.

        ``yuvj*`` names are the full-range twins of ``yuv*``; the range itself is part of :class:`Colour`.
        """
        match = _NAME.match(name.replace("yuvj", "yuv"))
        if not match or name.endswith("be"):
            return None
        yuv, sub, gray, rgb, depth = match.groups()
        bits = int(depth or 8)
        if not 8 <= bits <= 16:
            return None
        clean = name.replace("yuvj", "yuv")
        if gray:
            return PixelFormat(clean, "gray", bits)
        if rgb:
            return PixelFormat(clean, "rgb", bits, alpha=rgb == "gbra")
        if sub not in _SUBSAMPLING:
            return None
        return PixelFormat(clean, "yuv", bits, *_SUBSAMPLING[sub], alpha=yuv == "yuva")

    def with_depth(self, depth: int) -> PixelFormat:
        """The same family and subsampling at another bit depth."""
        base = re.sub(r"(?<=p|y)\d{1,2}le$|le$", "", self.name)
        return replace(self, name=base if depth == 8 else f"{base}{depth}le", depth=depth)


@dataclass(frozen=True, slots=True, kw_only=True)
class Colour:
    """How code values map to colour, in FFmpeg's names for the H.273 code points.

    ``primaries`` and ``transfer`` are None where the source does not say; ``matrix`` and ``range`` always
    hold the values used for conversion, guessed where the source does not say (see ``media.probe``).
    """

    matrix: str = "bt709"
    range: Range = "limited"
    chroma_location: ChromaLocation = "left"
    primaries: str | None = None
    transfer: str | None = None


@dataclass(slots=True, kw_only=True)
class Frame:
    """One picture: its planes and its timestamp.

    ``planes`` are 2-D arrays shaped as ``format.plane_shape`` says, uint8 or uint16, possibly strided views of
    a decoder's memory: **never write into them**. ``pts`` and ``duration`` count ``time_base`` units of the
    source's video stream; ``index`` is the frame's number in the source, from 0. Where the format has alpha,
    it is the last plane. ``master`` is the same moment of a preservation master, where ``--masters`` makes one.
    """

    planes: tuple[Plane, ...]
    format: PixelFormat
    colour: Colour
    index: int
    pts: int
    time_base: Fraction
    duration: int | None = None
    master: Frame | None = None

    def __post_init__(self) -> None:
        if len(self.planes) != self.format.plane_count:
            raise ValueError(f"{self.format.name} has {self.format.plane_count} planes, got {len(self.planes)}")
        height, width = self.planes[0].shape
        for number, plane in enumerate(self.planes):
            if plane.shape != self.format.plane_shape(number, width, height):
                raise ValueError(
                    f"plane {number} of a {width}x{height} {self.format.name} frame has shape {plane.shape}"
                )

    @property
    def width(self) -> int:
        """Width in luma samples."""
        return int(self.planes[0].shape[1])

    @property
    def height(self) -> int:
        """Height in luma samples."""
        return int(self.planes[0].shape[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRange:
    """Frame numbers of a stream: that of the first frame fed, and the half-open range of those to be enlarged."""

    first: int
    start: int
    stop: int


#: Reads frames ``first`` to ``stop`` (not included) of a source.
ReadFrames = Callable[[int, int], Iterator[Frame]]
