"""How low-resolution pictures are made: one function for all recipes.

``bicubic`` is MATLAB's antialiased filter, the standard of the field. All randomness comes from the given
generator, so a patch with the same seed is always degraded the same way.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from vidsr.quality.bicubic import resize_bicubic_uint8
from vidsr.training.degradation.options import DegradationOptions
from vidsr.training.degradation.second_order import second_order


def degrade(high: Tensor, scale: int, options: DegradationOptions, rng: np.random.Generator) -> Tensor:
    """The low-resolution picture ``[3, H/scale, W/scale]`` of ``[3, H, W]``, both uint8 RGB, on the CPU."""
    if options.recipe == "bicubic":
        return resize_bicubic_uint8(high, 1 / scale)
    return second_order(high.float() / 255, scale, options, rng)
