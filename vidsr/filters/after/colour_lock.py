"""Colour lock: the result keeps the source's colour. Networks shift white balance and tint black-and-white film.

The source's low frequencies replace the result's: the lightness over some ten source pixels, the chroma over a few, or
over as many as the lightness where compression has left chroma coarse and blocky. Where the source is grey, so is the
result, exactly.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vidsr.filters.after.correction import Correction, Follow, Source
from vidsr.filters.after.fidelity import intact
from vidsr.filters.after.step import StepDescriptor
from vidsr.filters.flow import gaussian

#: Blur, in source pixels, below which lightness and the chroma of damaged sources are the source's.
LIGHTNESS_SIGMA = 6.0
#: The same for the chroma of intact sources.
CHROMA_SIGMA = 2.0
#: A frame is grey if no pixel's channels differ by more than this: under one code value of 8 bits.
GREY = 0.6 / 255


class ColourLock(Correction):
    """Replaces the low frequencies of the result by those of the source."""

    def follow(self, source: Source, missing: Tensor, size: tuple[int, int]) -> Follow:
        """See :class:`~vidsr.filters.after.correction.Correction`."""
        whole = source.measured(intact).view(-1, 1, 1, 1)
        return lambda lack: _low_frequencies(lack, whole)

    def neutral(self, source: Source) -> Tensor:
        """See :class:`~vidsr.filters.after.correction.Correction`."""
        return _is_grey(source.rgb)


def _low_frequencies(missing: Tensor, whole: Tensor) -> Tensor:
    """What of ``missing`` ``[N, 3, h, w]`` is followed; chroma finely as far as it is ``whole`` ``[N, 1, 1, 1]``."""
    alone = missing.device.type == "cpu" and len(missing) == 1  # elsewhere to ask would wait for the device
    share = float(whole) if alone else 0.5
    coarse = gaussian(missing, LIGHTNESS_SIGMA) if share < 1 else missing
    if share == 0:
        return coarse
    fine = gaussian(missing, CHROMA_SIGMA)
    if missing.device.type == "cpu":
        light = missing.mean(1, keepdim=True)
        fine = fine + (gaussian(light, LIGHTNESS_SIGMA) - gaussian(light, CHROMA_SIGMA))
    else:  # the mean of the blurred channels is the blurred mean
        fine = fine + (coarse - fine).mean(1, keepdim=True)
    return fine if share == 1 else torch.lerp(coarse, fine, whole)


def _is_grey(rgb: Tensor) -> Tensor:
    """For each of ``[N, 3, h, w]``: do all pixels have equal channels? Boolean ``[N]``."""
    if rgb.device.type == "cpu":  # a few pixels show that nearly all pictures are not grey
        some = rgb[..., ::8, ::8]
        if bool(((some.amax(1) - some.amin(1)).amax((1, 2)) >= GREY).all()):
            return torch.zeros(len(rgb), dtype=torch.bool)
    return (rgb.amax(1) - rgb.amin(1)).amax((1, 2)) < GREY


STEP = StepDescriptor(option="colour_lock", make=lambda options: ColourLock() if options.colour_lock else None)
