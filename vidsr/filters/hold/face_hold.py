"""The hold: faces and small text of a result, brought back to what the source supports.

A network that draws texture gets small faces and letters wrong: a wrinkle where a mouth was, one letter for another.

- **Faces** follow the source at the source's own resolution all the way, as with ``--fidelity 1``: eyes, nose and
  mouth stay where the source has them, and only what is finer than the source is the network's.
- **Text** is first mixed with the result of a faithful network, which was trained for small errors, then follows the
  source likewise.

Neither is done to a source that compression has broken into blocks: to follow it would bring the blocks back. A share
falls with the blocks, from frame to frame.

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

from vidsr.filters.after.correction import Correction, Follow, Source
from vidsr.filters.after.fidelity import above_noise, noise
from vidsr.filters.after.soundness import unbroken
from vidsr.filters.after.step import StepDescriptor
from vidsr.filters.between.interpolation import is_cut
from vidsr.filters.flow import gaussian
from vidsr.filters.hold.faces import LIKELY, SURE, Face, FaceBox, FaceFinder
from vidsr.filters.hold.mixing import Faithful, mixed
from vidsr.filters.hold.small_text import small_text
from vidsr.frames import Frame

#: Frames before one that its mask depends on.
SETTLE = 4
#: Share of the faithful network's result in text that is held in full.
TEXT_SHARE = 0.5
#: The mask of a face is an ellipse with its box's sides times the first factor, fading out to the second.
_INNER, _OUTER = 1.2, 1.7
#: Two places are the same face if they share this much of their union.
_SAME = 0.3
#: Softness of the edges of a mask of text, in source pixels; less than the second is nothing.
_SOFT_PX, _NOTHING = 1.0, 0.02


@dataclass(frozen=True, slots=True)
class FrameFinds:
    """What a frame ``source`` ``[1, 3, h, w]`` holds.

    Attributes:
        faces: doubtful ones too.
        text: a mask ``[1, 1, h, w]``; None without any.
        trust: how far the frame may be followed, 0 to 1.
    """

    source: Tensor
    faces: tuple[Face, ...] = ()
    text: Tensor | None = None
    trust: float = 1.0


@dataclass(frozen=True, slots=True)
class Masks:
    """What to hold in a frame, ``[1, 1, h, w]`` at the source's size, 0 to 1; None where nothing is."""

    faces: Tensor | None
    text: Tensor | None

    @property
    def together(self) -> Tensor | None:
        """The larger of the two at each place."""
        if self.faces is None or self.text is None:
            return self.text if self.faces is None else self.faces
        return torch.maximum(self.faces, self.text)


class Hold:
    """The step. It keeps what was found in the last frames and nothing else.

    Args:
        faces, text: whether these are held.

    Raises:
        ModelError: (when called) weights of YuNet or of the faithful network are missing.
    """

    warmup = SETTLE
    stateless = False

    def __init__(self, *, faces: bool, text: bool) -> None:
        self._finder = FaceFinder(LIKELY) if faces else None
        self._text = text
        self._faithful: Faithful | None = None
        self._last: tuple[FrameFinds, ...] = ()

    def reset(self) -> None:
        """Forget all earlier frames."""
        self._last = ()

    def __call__(self, source: Tensor, out: Tensor, frames: Sequence[Frame]) -> Tensor:
        """See :class:`~vidsr.filters.after.step.Step`."""
        if out.shape[-2] <= source.shape[-2] or out.shape[-1] <= source.shape[-1]:
            return out  # nothing finer than the source was added
        made = [self._one(*one) for one in zip(torch.split(source, 1), torch.split(out, 1), frames, strict=True)]
        if all(one is None for one in made):
            return out
        return torch.cat([out[i : i + 1] if one is None else one for i, one in enumerate(made)])

    def _one(self, source: Tensor, out: Tensor, frame: Frame) -> Tensor | None:
        """The result of one frame; None where it stays as it is."""
        before = self._last
        if before and (before[-1].source.shape != source.shape or is_cut(before[-1].source, source)):
            before = ()
        self._last = (*before, self._found(source))[-SETTLE - 1 :]
        masks = masks_of(self._last)
        together = masks.together
        if together is None:
            return None
        if masks.text is not None:
            if self._faithful is None:
                self._faithful = Faithful(source.device)
            neutral = frame.format.family == "gray"
            out = mixed(source, out, TEXT_SHARE * masks.text, self._faithful, neutral=neutral)
        return _Followed(together)(source, out, [frame])

    def _found(self, source: Tensor) -> FrameFinds:
        faces = () if self._finder is None else self._finder(source)
        text = small_text(source) if self._text else None
        if text is not None and not bool(text.any()):
            text = None
        if not faces and text is None:
            return FrameFinds(source.clone())
        return FrameFinds(source.clone(), faces, text, unbroken(source))


class _Followed(Correction):
    """Follows the source where a mask ``[1, 1, h, w]`` says so, noise left out."""

    def __init__(self, mask: Tensor) -> None:
        self._mask = mask

    def follow(self, source: Source, missing: Tensor, size: tuple[int, int]) -> Follow:
        """See :class:`~vidsr.filters.after.correction.Correction`."""
        amount = self._mask * above_noise(missing, source.measured(noise), missing.new_ones(missing.shape[0]))
        return lambda lack: lack * amount


def masks_of(found: Sequence[FrameFinds]) -> Masks:
    """What to hold in the last of these frames, which are of one scene."""
    sure = [face.box for one in found for face in one.faces if face.score >= SURE]
    return Masks(
        faces=_settled([_faces(one, sure) for one in found]),
        text=_settled([None if one.text is None else one.trust * _softened(one.text) for one in found]),
    )


def _settled(masks: Sequence[Tensor | None]) -> Tensor | None:
    """Twice the mean, clamped to the largest; None where all is 0."""
    known = [mask for mask in masks if mask is not None]
    if not known:
        return None
    stack = torch.cat(known)
    mask = torch.minimum(stack.sum(0, keepdim=True) * (2 / len(masks)), stack.amax(0, keepdim=True))
    return mask if bool(mask.any()) else None


def _faces(found: FrameFinds, sure: Sequence[FaceBox]) -> Tensor | None:
    """The mask of one frame's faces, in which those count that are sure or where a sure one is."""
    counted = [
        _ellipse(face.box, found.source)
        for face in found.faces
        if face.score >= SURE or any(face.box.overlap(box) > _SAME for box in sure)
    ]
    return torch.cat(counted).amax(0, keepdim=True) * found.trust if counted else None


def _softened(text: Tensor) -> Tensor:
    return ((gaussian(text, _SOFT_PX) - _NOTHING) / (1 - 2 * _NOTHING)).clamp(0, 1)


def _ellipse(box: FaceBox, picture: Tensor) -> Tensor:
    """1 on a face and a little around it, falling to 0; ``[1, 1, h, w]`` for a picture ``[1, 3, h, w]``."""
    height, width = picture.shape[-2:]
    x = torch.arange(width, device=picture.device, dtype=picture.dtype) + 0.5 - (box.left + box.right) / 2
    y = torch.arange(height, device=picture.device, dtype=picture.dtype) + 0.5 - (box.top + box.bottom) / 2
    away = torch.sqrt((x / (box.width / 2)).square()[None] + (y / (box.height / 2)).square()[:, None])
    return ((_OUTER - away) / (_OUTER - _INNER)).clamp(0, 1)[None, None]


STEP = StepDescriptor(
    option="faces",
    make=lambda options: (
        Hold(faces=options.faces == "hold", text=options.text == "hold")
        if "hold" in (options.faces, options.text)
        else None
    ),
)
