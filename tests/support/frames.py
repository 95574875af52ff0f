"""Made-up frames for the tests of inference."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from vidsr.frames import Colour, Frame, PixelFormat

if TYPE_CHECKING:
    from vidsr.inference.upscaler import Upscaler


def pixel_format(name: str) -> PixelFormat:
    """The planar format of this name, which must exist."""
    found = PixelFormat.parse(name)
    assert found is not None, name
    return found


def noise_frame(name: str, size: tuple[int, int], *, index: int = 0, seed: int = 0, **colour: str) -> Frame:
    """A frame (width, height) of legal noise: luma and chroma anywhere in the range."""
    pf, col = pixel_format(name), Colour(**colour)  # type: ignore[arg-type]
    rng = np.random.default_rng(seed)
    step = 1 << (pf.depth - 8)
    planes = []
    for number in range(pf.plane_count):
        full = col.range == "full" or (pf.alpha and number == pf.plane_count - 1)
        low, high = (0, pf.max_code + 1) if full else (16 * step, 235 * step + 1)
        shape = pf.plane_shape(number, *size)
        planes.append(rng.integers(low, high, shape).astype(pf.dtype))
    return Frame(
        planes=tuple(planes), format=pf, colour=col, index=index, pts=1000 + 40 * index, time_base=Fraction(1, 1000)
    )


def largest_gap(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> int:
    """Largest difference between two frames' planes in code values."""
    return max(int(np.abs(p.astype(int) - q.astype(int)).max()) for p, q in zip(a, b, strict=True))


def through(upscaler: Upscaler, frames: Sequence[Frame]) -> list[Frame]:
    """The frames as one stream enlarges them, in their own format."""
    size = (frames[0].width * upscaler.scale, frames[0].height * upscaler.scale)
    return list(upscaler.stream(size, frames[0].format)(iter(frames)))


def stream_gap(want: Sequence[Frame], got: Sequence[Frame]) -> int:
    """Largest difference between two streams of the same frames in code values."""
    assert [f.index for f in want] == [f.index for f in got]
    return max(largest_gap(a.planes, b.planes) for a, b in zip(want, got, strict=True))
