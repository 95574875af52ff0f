"""Masks: which parts of a picture may be restored, and which stay as they were."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vidsr.filters.before.filter import deepened, quantised, with_planes
from vidsr.frames import Floats, Frame, Plane


class FrameMask:
    """The share of a filter's change that each pixel takes: 1 restores, 0 leaves the pixel as it was.

    Args:
        share: ``[h, w]`` float32 in 0..1, the size of the frames' luma.
    """

    def __init__(self, share: Floats) -> None:
        self.share = share
        self._reduced: dict[tuple[int, ...], Floats] = {share.shape: share}

    def cropped(self, left: int, top: int, width: int, height: int) -> FrameMask:
        """The mask of a part of the picture."""
        return FrameMask(np.ascontiguousarray(self.share[top : top + height, left : left + width]))

    def of_shape(self, shape: tuple[int, ...]) -> Floats:
        """The mask for planes of this shape: the mean share of the pixels that each sample covers."""
        if shape not in self._reduced:
            across, down = (-(-self.share.shape[axis] // shape[axis]) for axis in (1, 0))
            rows, columns = shape[0] * down - self.share.shape[0], shape[1] * across - self.share.shape[1]
            padded = np.pad(self.share, ((0, rows), (0, columns)), mode="edge")
            means = padded.reshape(shape[0], down, shape[1], across).mean((1, 3), dtype=np.float32)
            self._reduced[shape] = np.asarray(means, np.float32)
        return self._reduced[shape]

    def applied(self, was: Frame, now: Frame) -> Frame:
        """``now`` where the mask is 1, ``was`` where it is 0, both bit for bit, and a blend in between.

        Where the filter gave more bits than it took, so does ``was``.
        """
        if was.format.depth != now.format.depth:
            was = deepened(was)
        pairs = zip(was.planes, now.planes, strict=True)
        return with_planes(now, [old if old is new else self._blended(old, new, now) for old, new in pairs])

    def _blended(self, old: Plane, new: Plane, frame: Frame) -> Plane:
        share = self.of_shape(old.shape)
        before = old.astype(np.float32)
        return quantised(before + share * (new.astype(np.float32) - before), frame)


#: From the number of a frame, counted as the filters receive them, to its mask.
MaskOf = Callable[[int], FrameMask]
