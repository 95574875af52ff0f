"""A picture with a face, in the public domain, and lines of text drawn over pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F


def astronaut(reduced: int = 4) -> Tensor:
    """NASA's portrait of Eileen Collins, ``[1, 3, h, w]`` of 512 / ``reduced`` pixels a side, rounded to 8 bits.

    The face is 110 / ``reduced`` pixels high, with its middle at 44 % of the width and 23 % of the height.
    """
    from skimage import data

    picture = torch.from_numpy(data.astronaut().copy()).movedim(-1, 0)[None].float() / 255
    return (F.avg_pool2d(picture, reduced) * 255).round() / 255


def with_text(picture: Tensor, lines: Sequence[tuple[int, int, str]], height: int, *, light: bool = True) -> Tensor:
    """``picture`` ``[1, 3, h, w]`` with lines (x, y, text) of a font of ``height`` pixels, as a camera sees them: drawn
    four times as large and averaged down."""
    big = F.interpolate(picture, scale_factor=4.0, mode="bilinear", align_corners=False)
    image = Image.fromarray((big[0].movedim(0, -1).numpy() * 255).round().astype(np.uint8))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(height * 4)
    fill, edge = ((245, 245, 245), (10, 10, 10)) if light else ((10, 10, 10), (245, 245, 245))
    for x, y, text in lines:
        draw.text((4 * x, 4 * y), text, font=font, fill=fill, stroke_width=4, stroke_fill=edge)
    drawn = torch.from_numpy(np.array(image)).movedim(-1, 0)[None].float() / 255
    return (F.avg_pool2d(drawn, 4) * 255).round() / 255
