"""Dropouts: parts of lines that were lost on the tape, filled from the neighbouring frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from vidsr.filters.before.descriptor import FilterDescriptor
from vidsr.filters.before.filter import windowed, with_planes
from vidsr.frames import Floats, Frame

if TYPE_CHECKING:
    from torch import Tensor

    from vidsr.filters.before.motion import Planes
    from vidsr.filters.detect.dropouts import LostMask

#: Fewest pixels of luma that lost colour makes a run of.
_COLOUR_RUN_PX = 16
#: Pixels of a line over which neighbours are compared, and the confidence in a repair is measured.
_JUDGED_PX = 9


class Dropout:
    """Fills parts of lines that only one frame shows otherwise with the mean of the neighbours, along the motion.

    Weak faults are filled where the neighbours fit closely around them, in still places also as they are.

    What is not found by :mod:`vidsr.filters.detect.dropouts` stays bit for bit, and so do the first and the last frame.
    Its confidence in a repair is 1 less the share of the change by which the neighbours differ, over a piece of line.
    """

    name = "dropout"
    lookaround = (1, 1)

    def __init__(self) -> None:
        self.least_confidence = 0.0

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        from vidsr.filters.before.motion import Planes

        return windowed(map(Planes, frames), 1, 1, self._fill)

    def _fill(self, window: Sequence[Planes], at: int) -> Frame:
        import torch

        if at == 0 or at + 1 == len(window):
            return window[at].frame
        now = window[at]
        with torch.inference_mode():
            return self._filled(window[at - 1], now, window[at + 1])

    def _filled(self, past: Planes, now: Planes, future: Planes) -> Frame:
        import torch

        from vidsr.filters.before.motion import carried, plane_of

        before, after = carried(now, past), carried(now, future)
        masks = lost(now, (past, future), (before, after), closely=True)
        for number, mask in enumerate(_lost_in_place(now, past, future)):
            if mask.any():
                nearer = _agree_better(past[number] - future[number], before[number] - after[number])
                here = torch.from_numpy(mask & (nearer | ~masks[number]))[None, None]
                before[number] = torch.where(here, past[number], before[number])
                after[number] = torch.where(here, future[number], after[number])
                masks[number] = masks[number] | mask
        if not any(mask.any() for mask in masks):
            return now.frame
        planes = []
        for number, plane in enumerate(now.frame.planes):
            if number >= len(masks) or not masks[number].any():
                planes.append(plane)
                continue
            mean = plane_of((before[number] + after[number]) / 2, now.frame)
            filled = masks[number]
            if self.least_confidence:
                change = now[number] - (before[number] + after[number]) / 2
                filled = filled & (_confidence(change, before[number] - after[number]) >= self.least_confidence)
            planes.append(np.where(filled, mean, plane))
        return with_planes(now.frame, planes)


def _agree_better(plain: Tensor, carried: Tensor) -> LostMask:
    """Where the neighbours as they are differ less than carried ones, over some pixels of a line."""
    return np.asarray((_along_line(plain) < _along_line(carried))[0, 0].numpy())


def _along_line(values: Tensor) -> Tensor:
    """The mean size over :data:`_JUDGED_PX` pixels of a line."""
    from torch.nn import functional as F

    return F.avg_pool2d(values.abs(), (1, _JUDGED_PX), 1, (0, _JUDGED_PX // 2))


def _confidence(change: Tensor, apart: Tensor) -> Floats:
    """1 less how far the neighbours are ``apart`` as a share of the ``change``, over some pixels of a line."""
    doubt, size = _along_line(apart), _along_line(change)
    shares: Floats = (1 - doubt / size.clamp_min(1e-6)).clamp(0, 1)[0, 0].numpy()
    return shares


def lost(
    now: Planes,
    plain: tuple[Planes, Planes],
    carried: tuple[Sequence[Tensor], Sequence[Tensor]],
    *,
    closely: bool = False,
) -> list[LostMask]:
    """Where each plane of a frame is lost, from its neighbours as they are and carried onto it.

    The planes of RGB are lost together. Alpha is left out. ``closely`` also finds weak faults, where the neighbours fit
    closely around them.
    """
    from vidsr.filters.detect.dropouts import SideFrames, harmed_luma, lost_colour, lost_luma

    frame = now.frame

    def neighbours(*numbers: int) -> SideFrames:
        return SideFrames(
            carried=(_layers(carried[0], numbers), _layers(carried[1], numbers)),
            plain=(_layers(plain[0], numbers), _layers(plain[1], numbers)),
        )

    luma = lost_luma(_layers(now, (0,)), neighbours(0), closely=closely)
    if frame.format.family == "gray":
        return [luma]
    if frame.format.family == "rgb":
        return [luma] * 3
    colour = lost_colour(_layers(now, (1, 2)), neighbours(1, 2), _colour_run(frame), closely=closely)
    if closely and colour.any():
        luma = luma | harmed_luma(_layers(now, (0,)), neighbours(0), _under(colour, luma.shape, frame))
    colour |= _covered(luma, colour.shape, frame)
    return [luma, colour, colour]


def _lost_in_place(now: Planes, past: Planes, future: Planes) -> list[LostMask]:
    """Where each plane is lost and the picture stands still."""
    from vidsr.filters.detect.dropouts import SideFrames, harmed_luma, lost_colour_in_place, lost_luma_in_place

    frame = now.frame
    own, sides = _layers(now, (0,)), (_layers(past, (0,)), _layers(future, (0,)))
    luma = lost_luma_in_place(own, sides)
    if frame.format.family == "gray":
        return [luma]
    if frame.format.family == "rgb":
        return [luma] * 3
    sides_colour = (_layers(past, (1, 2)), _layers(future, (1, 2)))
    colour = lost_colour_in_place(_layers(now, (1, 2)), sides_colour, _colour_run(frame))
    if colour.any():
        luma = luma | harmed_luma(own, SideFrames(carried=sides, plain=sides), _under(colour, luma.shape, frame))
    colour |= _covered(luma, colour.shape, frame)
    return [luma, colour, colour]


def _colour_run(frame: Frame) -> int:
    """Fewest samples of lost colour that make a run."""
    return max(4, _COLOUR_RUN_PX >> frame.format.log2_chroma_w)


def _layers(planes: Planes | Sequence[Tensor], numbers: Sequence[int]) -> list[Floats]:
    return [_codes8(planes[n]) for n in numbers]


def _covered(luma: LostMask, shape: tuple[int, ...], frame: Frame) -> LostMask:
    """Which chroma samples lie on lost luma."""
    across, down = 1 << frame.format.log2_chroma_w, 1 << frame.format.log2_chroma_h
    height, width = shape[0] * down, shape[1] * across
    padded = np.pad(luma, ((0, height - luma.shape[0]), (0, width - luma.shape[1])))
    return np.asarray(padded.reshape(shape[0], down, shape[1], across).any(axis=(1, 3)))


def _under(colour: LostMask, shape: tuple[int, ...], frame: Frame) -> LostMask:
    """Which samples of luma lie under lost colour."""
    large = colour.repeat(1 << frame.format.log2_chroma_h, axis=0).repeat(1 << frame.format.log2_chroma_w, axis=1)
    return np.asarray(large[: shape[0], : shape[1]])


def _codes8(plane: Tensor) -> Floats:
    """A plane ``[1, 1, h, w]`` in 0..1 as ``[h, w]`` in 8-bit code values."""
    values: Floats = plane[0, 0].numpy() * np.float32(255)
    return values


FILTER: FilterDescriptor[None] = FilterDescriptor(
    name="dropout",
    help="fills parts of lines that the tape lost from the neighbouring frames, along the motion",
    make=lambda _: Dropout(),
    recommended=lambda found: bool(found.tape.dropouts),
)
