"""Crop: bars cut off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from vidsr.errors import InputError
from vidsr.filters.before.descriptor import FilterDescriptor
from vidsr.filters.before.filter import with_planes
from vidsr.filters.detect.inspection import Inspection
from vidsr.frames import Frame, PixelFormat, Plane

#: Smallest side of a picture after the crop.
SMALLEST_PX = 16


class CropWindow(NamedTuple):
    """The part of the picture that is kept, in luma pixels."""

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> CropWindow:
        """From ``LEFT:TOP:WIDTH:HEIGHT``.

        Raises:
            ValueError: the text is not written so.
        """
        try:
            left, top, width, height = (int(part) for part in text.split(":"))
        except ValueError:
            raise ValueError("write it as crop=LEFT:TOP:WIDTH:HEIGHT") from None
        return cls(left, top, width, height)

    def write(self) -> str:
        """The inverse of :meth:`parse`."""
        return ":".join(map(str, self))


class Crop:
    """Cuts bars off. ``left``, ``top``, ``width``, ``height`` are luma pixels, even where chroma is subsampled."""

    name = "crop"
    lookaround = (0, 0)

    def __init__(self, left: int, top: int, width: int, height: int) -> None:
        self.left, self.top, self.width, self.height = left, top, width, height

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            yield with_planes(frame, [self._cut(frame, n) for n in range(len(frame.planes))])

    def _cut(self, frame: Frame, number: int) -> Plane:
        is_chroma = frame.format.family == "yuv" and number in (1, 2)
        right, down = (frame.format.log2_chroma_w, frame.format.log2_chroma_h) if is_chroma else (0, 0)
        rows, columns = frame.format.plane_shape(number, self.width, self.height)
        top, left = self.top >> down, self.left >> right
        return frame.planes[number][top : top + rows, left : left + columns]


def _make(window: CropWindow | None) -> Crop:
    assert window is not None, "the window is found before filters are made"
    return Crop(*window)


def _size(window: CropWindow, size: tuple[int, int], format: PixelFormat) -> tuple[int, int]:
    """The size of the crop.

    Raises:
        InputError: the window is not inside the picture, or begins between samples of subsampled chroma.
    """
    left, top, width, height = window
    inside = left >= 0 and top >= 0 and left + width <= size[0] and top + height <= size[1]
    if not inside or width < SMALLEST_PX or height < SMALLEST_PX:
        raise InputError(f"--restore crop={window.write()}: the picture is {size[0]}x{size[1]}")
    if left % (1 << format.log2_chroma_w) or top % (1 << format.log2_chroma_h):
        raise InputError(f"--restore crop={window.write()}: left and top must be even here")
    return width, height


def _find(found: Inspection) -> CropWindow | None:
    return CropWindow(*found.crop) if found.has_bars else None


FILTER: FilterDescriptor[CropWindow] = FilterDescriptor(
    name="crop",
    help="removes dark bars, on even pixels, the same for all frames",
    syntax="LEFT:TOP:WIDTH:HEIGHT",
    parse=CropWindow.parse,
    write=CropWindow.write,
    make=_make,
    resize=_size,
    find=_find,
    absent="no bars were found (crop=LEFT:TOP:WIDTH:HEIGHT crops anyway)",
    recommended=lambda found: found.has_bars,
    whole=True,
)
