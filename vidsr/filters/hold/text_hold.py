"""The hold of text: lines of small text of a result, brought back to what the source supports.

A network that draws texture takes one letter for another. So lines of text are first mixed with the result of a
faithful network, which was trained for small errors, and then follow the source at its own resolution all the way.
Not in a source that compression has broken into blocks: to follow it would bring the blocks back. The share falls with
the blocks, from frame to frame.

What is held in a frame depends on that frame alone: segments need no frames ahead of their first, and equal frames have
equal results. A frame without text is not touched, not even by rounding.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from torch import Tensor, nn

from vidsr.filters.after.soundness import unbroken
from vidsr.filters.after.step import StepDescriptor
from vidsr.filters.flow import gaussian
from vidsr.filters.hold.following import FollowInMask
from vidsr.filters.hold.frame_by_frame import frame_by_frame
from vidsr.filters.hold.mixing import Faithful, mixed
from vidsr.filters.hold.small_text import small_text
from vidsr.frames import Frame
from vidsr.options.restore_options import RestoreOptions

#: Share of the faithful network's result in text.
TEXT_SHARE = 0.5
#: Softness of the edges of a mask, in source pixels; less than the second is nothing.
_SOFT_PX, _NOTHING = 1.0, 0.02
#: ``--text auto`` holds the results of networks with at least so many parameters: beside smaller ones the search would
#: take more than three hundredths of the time, on a CPU; see docs/invention.md.
AUTO_PARAMETERS = 2_000_000


class TextHold:
    """The step.

    Raises:
        ModelError: (when called) the weights of the faithful network are missing.
    """

    warmup = 0
    stateless = True
    data_dependent = True

    def __init__(self) -> None:
        self._faithful: Faithful | None = None

    def reset(self) -> None:
        """Nothing is kept between frames."""

    def __call__(self, source: Tensor, out: Tensor, frames: Sequence[Frame]) -> Tensor:
        """See :class:`~vidsr.filters.after.step.Step`."""
        return frame_by_frame(self._one, source, out, frames)

    def _one(self, source: Tensor, out: Tensor, frame: Frame) -> Tensor | None:
        """The result of one frame; None where it stays as it is."""
        mask = text_mask(source)
        if mask is None:
            return None
        if self._faithful is None:
            self._faithful = Faithful(source.device)
        out = mixed(source, out, TEXT_SHARE * mask, self._faithful, neutral=frame.format.family == "gray")
        return FollowInMask(mask)(source, out, [frame])


def text_mask(source: Tensor) -> Tensor | None:
    """How far to hold each place of ``source`` ``[1, 3, h, w]`` (0 to 1): ``[1, 1, h, w]``; None where nothing is."""
    text = small_text(source)
    if not bool(text.any()):
        return None
    trust = unbroken(source)
    return trust * ((gaussian(text, _SOFT_PX) - _NOTHING) / (1 - 2 * _NOTHING)).clamp(0, 1) if trust else None


def settled(options: RestoreOptions, network: nn.Module) -> RestoreOptions:
    """``options`` in which ``--text`` is "hold" or "free", for results of ``network``.

    ``--invent 0`` leaves nothing that would have to be held, so that its result is that of the faithful network.
    """
    if options.text == "free":
        return options
    large = sum(parameter.numel() for parameter in network.parameters()) >= AUTO_PARAMETERS
    is_held = options.invent > 0 and (large or options.text == "hold")
    return dataclasses.replace(options, text="hold" if is_held else "free")


STEP = StepDescriptor(option="text", make=lambda options: TextHold() if options.text == "hold" else None)
