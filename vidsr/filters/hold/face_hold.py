"""The hold of faces: small faces of a result, brought back to what the source supports.

A network that draws texture gets small faces wrong: a wrinkle where a mouth was. Faces that are held follow the source
at the source's own resolution all the way, as with ``--fidelity 1``: eyes, nose and mouth stay where the source has
them, and only what is finer than the source is the network's. Not in a source that compression has broken into blocks:
to follow it would bring the blocks back. The share falls with the blocks, from frame to frame.

What is found in one frame may be missed in the next. So a mask is the mean of those of the last :data:`SETTLE` + 1
frames of a scene, doubled and clamped: what was found in half of them is held in full, and a find fades in and out. A
doubtful face counts where those frames show a sure one. A mask depends on these frames alone, so that a result is the
same wherever a segment begins. A frame without finds among them is not touched, not even by rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vidsr.filters.after.soundness import unbroken
from vidsr.filters.after.step import StepDescriptor
from vidsr.filters.between.interpolation import is_cut
from vidsr.filters.hold.faces import LIKELY, SURE, Face, FaceBox, FaceFinder
from vidsr.filters.hold.following import FollowInMask
from vidsr.filters.hold.frame_by_frame import frame_by_frame
from vidsr.frames import Frame

#: Frames before one that its mask depends on.
SETTLE = 4
#: The mask of a face is an ellipse with its box's sides times the first factor, fading out to the second.
_INNER, _OUTER = 1.2, 1.7
#: Two places are the same face if they share this much of their union.
_SAME = 0.3


@dataclass(frozen=True, slots=True)
class FrameFinds:
    """A frame ``source`` ``[1, 3, h, w]`` and its ``faces``, doubtful ones too; ``trust``, 0 to 1, is how far it may be
    followed."""

    source: Tensor
    faces: tuple[Face, ...] = ()
    trust: float = 1.0


class FaceHold:
    """The step. It keeps what was found in the last frames and nothing else.

    Raises:
        ModelError: (when called) YuNet's weights are missing.
    """

    warmup = SETTLE
    stateless = False
    data_dependent = True

    def __init__(self) -> None:
        self._finder = FaceFinder(LIKELY)
        self._last: tuple[FrameFinds, ...] = ()

    def reset(self) -> None:
        """Forget all earlier frames."""
        self._last = ()

    def __call__(self, source: Tensor, out: Tensor, frames: Sequence[Frame]) -> Tensor:
        """See :class:`~vidsr.filters.after.step.Step`."""
        return frame_by_frame(self._one, source, out, frames)

    def _one(self, source: Tensor, out: Tensor, frame: Frame) -> Tensor | None:
        """The result of one frame; None where it stays as it is."""
        before = self._last
        if before and (before[-1].source.shape != source.shape or is_cut(before[-1].source, source)):
            before = ()
        self._last = (*before, self._found(source))[-SETTLE - 1 :]
        mask = face_mask(self._last)
        return None if mask is None else FollowInMask(mask)(source, out, [frame])

    def _found(self, source: Tensor) -> FrameFinds:
        faces = self._finder(source)
        return FrameFinds(source.clone(), faces, unbroken(source) if faces else 1.0)


def face_mask(found: Sequence[FrameFinds]) -> Tensor | None:
    """What to hold in the last of these frames, which are of one scene: ``[1, 1, h, w]`` at the source's size, 0 to 1;
    None where nothing is."""
    sure = [face.box for one in found for face in one.faces if face.score >= SURE]
    masks = [mask for mask in (_faces(one, sure) for one in found) if mask is not None]
    if not masks:
        return None
    stack = torch.cat(masks)
    mask = torch.minimum(stack.sum(0, keepdim=True) * (2 / len(found)), stack.amax(0, keepdim=True))
    return mask if bool(mask.any()) else None


def _faces(found: FrameFinds, sure: Sequence[FaceBox]) -> Tensor | None:
    """The mask of one frame's faces, in which those count that are sure or where a sure one is."""
    counted = [
        _ellipse(face.box, found.source)
        for face in found.faces
        if face.score >= SURE or any(face.box.overlap(box) > _SAME for box in sure)
    ]
    return torch.cat(counted).amax(0, keepdim=True) * found.trust if counted else None


def _ellipse(box: FaceBox, picture: Tensor) -> Tensor:
    """1 on a face and a little around it, falling to 0; ``[1, 1, h, w]`` for a picture ``[1, 3, h, w]``."""
    height, width = picture.shape[-2:]
    x = torch.arange(width, device=picture.device, dtype=picture.dtype) + 0.5 - (box.left + box.right) / 2
    y = torch.arange(height, device=picture.device, dtype=picture.dtype) + 0.5 - (box.top + box.bottom) / 2
    away = torch.sqrt((x / (box.width / 2)).square()[None] + (y / (box.height / 2)).square()[:, None])
    return ((_OUTER - away) / (_OUTER - _INNER)).clamp(0, 1)[None, None]


STEP = StepDescriptor(option="faces", make=lambda options: FaceHold() if options.faces == "hold" else None)
