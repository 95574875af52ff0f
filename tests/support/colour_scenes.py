"""Made scenes in colour: things of many colours, from deep shadow to full light, under lights of many colours."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from vidsr.frames import Colour, Floats, Frame, PixelFormat, Rgb8

RGB = PixelFormat("gbrp", "rgb", 8)


def scene(seed: int, light: tuple[float, float, float] | None = None) -> Floats:
    """A picture ``[48, 64, 3]``, 0 to 1, with shadows; ``light`` of a random warm or cold colour unless given."""
    rng = np.random.default_rng(seed)
    palette = rng.uniform(0.3, 2.5, 3)
    things = (0.1 + 0.9 * rng.uniform(0, 1, (12, 16, 3)) ** palette).repeat(4, 0).repeat(4, 1)
    # Some scenes lie mostly in the sun, others in the shade.
    shade = np.exp(-3 * rng.uniform(0, 1, (6, 8)) ** rng.uniform(0.4, 3)).repeat(8, 0).repeat(8, 1)[..., None]
    warm = rng.uniform(-0.25, 0.25)
    lamp = np.array((1 + min(warm, 0), 1 - abs(warm) / 2, 1 - max(warm, 0)) if light is None else light)
    grain = rng.normal(0, 0.004, (48, 64, 3))
    return np.clip(things * shade * lamp + grain, 0, 1).astype(np.float32)


def film(scenes: int, length: int = 1, seed: int = 0) -> list[Floats]:
    """The pictures of a film of different scenes, each ``length`` frames long."""
    return [scene(1000 * seed + n) for n in range(scenes) for _ in range(length)]


def stored(pictures: list[Floats]) -> list[Rgb8]:
    """As 8-bit RGB."""
    return [np.rint(picture * 255).astype(np.uint8) for picture in pictures]


def rgb_frames(pictures: list[Floats]) -> list[Frame]:
    """As frames of planar RGB."""
    return [
        Frame(
            planes=tuple(np.ascontiguousarray(picture[..., plane]) for plane in (1, 2, 0)),
            format=RGB,
            colour=Colour(matrix="gbr", range="full"),
            index=n,
            pts=n,
            time_base=Fraction(1, 24),
        )
        for n, picture in enumerate(stored(pictures))
    ]
