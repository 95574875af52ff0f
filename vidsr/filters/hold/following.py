"""A correction that follows the source inside of a mask."""

from __future__ import annotations

from torch import Tensor

from vidsr.filters.after.correction import Correction, Follow, Source
from vidsr.filters.after.fidelity import above_noise, noise


class FollowInMask(Correction):
    """Follows the source as far as ``mask`` ``[1, 1, h, w]`` says, 0 to 1; noise is left out."""

    def __init__(self, mask: Tensor) -> None:
        self._mask = mask

    def follow(self, source: Source, missing: Tensor, size: tuple[int, int]) -> Follow | None:
        """See :class:`~vidsr.filters.after.correction.Correction`."""
        amount = self._mask * above_noise(missing, source.measured(noise), missing.new_ones(missing.shape[0]))
        return lambda lack: lack * amount
