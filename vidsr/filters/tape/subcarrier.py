"""What composite video leaves of its subcarrier: dots that crawl along edges of colour, and rainbows on fine luma.

The subcarrier is upside down again after one frame in NTSC (227.5 cycles a line, 525 lines) and after two in PAL
(283.7516 and 625; SMPTE 170M-2004, ITU-R BT.1700). Where the picture stands still, everything in luma that belongs to
colour, and everything in colour that belongs to luma, is therefore the opposite in the frames that far away, and half
the difference from their mean is what does not belong there. Interlaced frames are compared line by line, so each field
with its own.

Four tests keep motion and noise from being taken for it. The coarse picture is the same in the two frames around, which
have the same phase, and, for colour, about the same in this one. These frames agree. The difference from them is well
above the difference between them. In luma it is not the same some lines above or below, as it is in stripes that move
by half their width, or else it is the opposite nearer by: the subcarrier changes its sign from line to line of a field
(NTSC) or over two (PAL), and what a comb filter leaves of it is only a few lines tall.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.filters.before.motion import Planes, plane_of
from vidsr.filters.detect.tape_findings import System
from vidsr.filters.resample import separable
from vidsr.frames import Frame, Plane

#: What lies below the subcarrier along a line: at a side band 1.3 MHz below that of NTSC a tenth is left, at the
#: subcarrier nothing. And the area within which pixels are judged together.
_COARSE = [comb(16, n) / 2**16 for n in range(17)]
_DOWN, _ACROSS = [0.2] * 5, [1 / 9] * 9
#: Mean changes of the coarse picture, in 8-bit code values, up to which it stands still, and from which it moves.
_STILL, _MOVES = 1.5, 4.0
#: How many times that change the frame between may show for its colour to count: strong dots leave a part of it.
_LEFT = 3.0
#: Energy of the difference against that between the frames around (0.75 for noise alone): from which on it counts, and
#: at which wholly. Below this energy, in squared code values, there is nothing to take away.
_COUNTS, _WHOLLY, _FLOOR = 1.5, 3.0, 0.3
#: Share of a difference in luma that must lie in its fine part; and how much of its energy may be the same three times
#: so many lines of the frame above or below, unless this share of it is the opposite so many lines above or below:
#: edges that slant, or whose colours change along them, shift their dots.
_FINE, _SAME, _OPPOSITE = 0.4, 0.6, 0.2
_LINES: dict[System, int] = {"ntsc": 2, "pal": 4}


class CompositeFrame:
    """A frame with its planes as tensors in 8-bit code values, and its coarse luma, each made once."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.units = Planes(frame)  #: The same planes, 0 to 1, and what motion is measured with.
        self.spectra: dict[System, Tensor] = {}  #: Kept by :mod:`vidsr.filters.tape.carrier`.
        self._planes: dict[int, Tensor] = {}
        self._coarse: Tensor | None = None

    def __getitem__(self, number: int) -> Tensor:
        """A plane as ``[1, 1, h, w]`` float32."""
        if number not in self._planes:
            self._planes[number] = self.units[number] * 255
        return self._planes[number]

    @property
    def coarse(self) -> Tensor:
        """Luma without the subcarrier."""
        if self._coarse is None:
            self._coarse = separable(self[0], [1.0], _COARSE)
        return self._coarse


@dataclass(frozen=True, slots=True, kw_only=True)
class Residue:
    """What does not belong into a plane, ``[1, 1, h, w]`` in 8-bit code values, and how sure that is, 0 to 1."""

    values: Tensor
    sure: Tensor

    @property
    def share(self) -> float:
        """The share of the plane in which something is surely wrong."""
        return float((self.sure > 0.5).float().mean())


def stillness(before: CompositeFrame, after: CompositeFrame) -> Tensor:
    """Where the coarse picture is the same in two frames of equal phase: 1, and 0 where it moved."""
    return same((after.coarse - before.coarse).abs(), _MOVES, _STILL)


def colour_stillness(before: CompositeFrame, now: CompositeFrame, after: CompositeFrame, still: Tensor) -> Tensor:
    """The same for samples of colour, ``[1, 1, h, w]`` of their planes, and 0 where something passes in this frame."""
    # What passes in this frame alone changes the mean of luma; what strong dots leave in it mostly cancels.
    passing = now.coarse - (before.coarse + after.coarse) / 2
    still = still * same(passing, _LEFT * _MOVES, _LEFT * _STILL)
    shape = (now[1].shape[-2], now[1].shape[-1])
    # A pixel of colour stands still where all of its luma does.
    return still if shape == still.shape[-2:] else -F.adaptive_max_pool2d(-still, shape)


def same(changes: Tensor, moves: float, still: float) -> Tensor:
    """Where mean ``changes`` are below ``still``: 1, and 0 from ``moves`` on."""
    return ((moves - separable(changes, _DOWN, _ACROSS).abs()) / (moves - still)).clamp(0, 1)


def in_luma(
    before: CompositeFrame, now: CompositeFrame, after: CompositeFrame, still: Tensor, system: System
) -> Residue:
    """Colour that was taken for luma."""
    difference = now[0] - (before[0] + after[0]) / 2
    coarse = now.coarse - (before.coarse + after.coarse) / 2
    fine = difference - coarse
    energy, whole = (separable(d * d, _DOWN, _ACROSS) for d in (fine, difference))
    lines = _LINES[system]
    same = torch.maximum(*_likeness(fine, 3 * lines))
    opposite = -torch.minimum(*_likeness(fine, lines))
    belongs = (energy > _FINE * whole) & ((same < _SAME * energy) | (opposite > _OPPOSITE * energy))
    sure = _surely(energy, before[0] - after[0]) * still * belongs
    return Residue(values=difference / 2, sure=sure)


def _likeness(fine: Tensor, lines: int) -> tuple[Tensor, Tensor]:
    """The mean products with what lies so many ``lines`` above and below."""
    padded = F.pad(fine, (0, 0, lines, lines))
    above, below = padded[..., : -2 * lines, :], padded[..., 2 * lines :, :]
    return separable(fine * above, _DOWN, _ACROSS), separable(fine * below, _DOWN, _ACROSS)


def in_colour(
    before: CompositeFrame, now: CompositeFrame, after: CompositeFrame, still: Tensor
) -> tuple[Residue, Residue]:
    """Luma that was taken for colour, in the two chroma planes; ``still`` as :func:`colour_stillness` gives it."""
    found = []
    for number in (1, 2):
        difference = now[number] - (before[number] + after[number]) / 2
        energy = separable(difference * difference, _DOWN, _ACROSS)
        sure = _surely(energy, before[number] - after[number]) * still
        found.append(Residue(values=difference / 2, sure=sure))
    return found[0], found[1]


def _surely(energy: Tensor, apart: Tensor) -> Tensor:
    """How sure it is that a difference of this ``energy`` is none of noise or of what moves."""
    usual = separable(apart * apart, _DOWN, _ACROSS)
    return ((energy / (usual + _FLOOR) - _COUNTS) / (_WHOLLY - _COUNTS)).clamp(0, 1)


def without(plane: Plane, frame: Frame, *residues: Residue) -> Plane:
    """``plane`` of ``frame`` without what is surely wrong in it; the plane itself if that is nothing."""
    if not any(residue.sure.any() for residue in residues):
        return plane
    wrong = sum(residue.sure * residue.values for residue in residues)
    values = torch.from_numpy(plane.astype(np.float32)) / frame.format.max_code
    return plane_of(values[None, None] - wrong / 255, frame)
