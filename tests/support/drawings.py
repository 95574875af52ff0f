"""Pictures that are drawn, and the same as a camera would see them."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from vidsr.frames import Array


def drawn(seed: int = 0) -> Array:
    """Even shapes with dark outlines."""
    chance = np.random.default_rng(seed)
    picture = Image.new("RGB", (480, 360), (150, 190, 220))
    pen = ImageDraw.Draw(picture)
    for _ in range(40):
        x, y = int(chance.integers(0, 400)), int(chance.integers(0, 300))
        fill = tuple(int(c) for c in chance.integers(90, 255, 3))
        pen.ellipse((x, y, x + 90, y + 70), fill=fill, outline=(20, 20, 25), width=3)
    return np.asarray(picture)


def filmed(seed: int = 0) -> Array:
    """The same shapes out of focus, with the noise of a sensor."""
    soft = np.asarray(Image.fromarray(drawn(seed)).filter(ImageFilter.GaussianBlur(4))).astype(float)
    return np.clip(soft + np.random.default_rng(seed).normal(0, 4, soft.shape), 0, 255).astype(np.uint8)
