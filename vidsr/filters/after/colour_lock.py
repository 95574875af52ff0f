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
from vidsr.filters.flow import gaussian, gaussian_taps
from vidsr.native import pictures

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
        return lambda lack: low_frequencies(lack, whole)

    def neutral(self, source: Source) -> Tensor:
        """See :class:`~vidsr.filters.after.correction.Correction`."""
        return _is_grey(source.rgb)


def low_frequencies(missing: Tensor, whole: Tensor) -> Tensor:
    """What of ``missing`` ``[N, 3, h, w]`` is followed; chroma finely as far as it is ``whole`` ``[N, 1, 1, 1]``."""
    taps = gaussian_taps(LIGHTNESS_SIGMA), gaussian_taps(CHROMA_SIGMA)
    made = pictures.low_frequencies(missing, *taps, whole.flatten())
    if made is not None:
        return made
    coarse, fine = gaussian(missing, LIGHTNESS_SIGMA), gaussian(missing, CHROMA_SIGMA)
    fine = fine + (coarse - fine).mean(1, keepdim=True)  # the mean of the blurred channels is the blurred mean
    return torch.lerp(coarse, fine, whole)


def _is_grey(rgb: Tensor) -> Tensor:
    """For each of ``[N, 3, h, w]``: do all pixels have equal channels? Boolean ``[N]``."""
    made = pictures.neutral(rgb, GREY)
    return (rgb.amax(1) - rgb.amin(1)).amax((1, 2)) < GREY if made is None else torch.tensor(made)


STEP = StepDescriptor(option="colour_lock", make=lambda options: ColourLock() if options.colour_lock else None)
