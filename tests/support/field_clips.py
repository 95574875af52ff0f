"""Made clips as fields see them: progressive, interlaced, telecined; as luma pictures and as frames."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from tests.support.scenes import pan
from vidsr.frames import Colour, Frame, PixelFormat

Clip = list[npt.NDArray[np.float32]]
YUV = PixelFormat("yuv420p", "yuv", 8, 1, 1)


def moments(count: int, dx: int = 2, dy: int = 0, seed: int = 0) -> Clip:
    """Luma pictures 96×128 of a moving texture."""
    return [(p.numpy() * 255).astype(np.float32) for p in pan(count, dx, dy, seed).mean(1)]


def woven(pictures: Clip, order: str) -> Clip:
    """Two moments a frame, one for each field."""
    frames = []
    for first, second in zip(pictures[0::2], pictures[1::2], strict=True):
        frame = first.copy()
        frame[1 if order == "tff" else 0 :: 2] = second[1 if order == "tff" else 0 :: 2]
        frames.append(frame)
    return frames


def pulled_down(film: Clip, order: str, phase: int = 0) -> Clip:
    """3:2 pulldown: each film frame for two fields, then three, and so on."""
    fields = [n for n in range(len(film)) for _ in range(3 if n % 2 else 2)][phase:]
    frames = []
    for first, second in zip(fields[0::2], fields[1::2], strict=False):
        frame = film[first].copy()
        frame[1 if order == "tff" else 0 :: 2] = film[second][1 if order == "tff" else 0 :: 2]
        frames.append(frame)
    return frames


def frames_of(clip: Clip, chroma: int = 128) -> list[Frame]:
    colour = np.full((clip[0].shape[0] // 2, clip[0].shape[1] // 2), chroma, np.uint8)
    return [
        Frame(
            planes=(np.clip(np.round(y), 0, 255).astype(np.uint8), colour, colour),
            format=YUV,
            colour=Colour(),
            index=n,
            pts=n,
            time_base=Fraction(1, 25),
        )
        for n, y in enumerate(clip)
    ]
