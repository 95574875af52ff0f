"""A clip as from an old print, and the truth of what was done to it.

Faults act in the order in which they befall film: dyes fade, the film moves in the gate with the marks that it has
collected, and the light of the transfer is unsteady. Each fault draws from a generator of its own, so switching one on
changes none of the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidsr.frames import Floats
from vidsr.training.degradation.old_film.gate import gate_path, glued, moved, splice_places, thrown
from vidsr.training.degradation.old_film.light import (
    Breathing,
    exposure_gains,
    faded,
    vignette_depths,
    vignetted,
)
from vidsr.training.degradation.old_film.marks import ScratchLine, dirty, hairy
from vidsr.training.degradation.old_film.options import OldFilmOptions

#: A pixel is harmed by a mark that changes it by more than this (half an 8-bit code value).
_SEEN = 0.5 / 255
_FAULTS = ("gate", "splices", "scratches", "dirt", "exposure", "breathing", "vignette", "hairs")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgedClip:
    """A damaged clip and its truth.

    Attributes:
        clip: ``[T, H, W, 3]`` float32, 0 to 1.
        steady: the same without marks, splices' glue and unsteady light, but displaced and faded as ``clip`` is.
        mask: ``[T, H, W]`` bool, where marks changed the picture.
        scratched: the part of ``mask`` that scratches are to blame for.
        displacement: ``[T, 2]`` px, how far right and down each picture lies from where it belongs.
        gain: ``[T, H, W, 3]`` float32, what the light multiplied the picture with.
    """

    clip: Floats
    steady: Floats
    mask: npt.NDArray[np.bool_]
    scratched: npt.NDArray[np.bool_]
    displacement: Floats
    gain: Floats


def aged_clip(clip: Floats, options: OldFilmOptions, seed: int) -> AgedClip:
    """``clip`` ``[T, H, W, 3]`` float32, 0 to 1, as from an old print; the same for the same ``seed``."""
    count, height, width = clip.shape[:3]
    draw = {name: np.random.default_rng([seed, number]) for number, name in enumerate(_FAULTS)}
    path = gate_path(count, width, options, draw["gate"])
    places = splice_places(count, options.splices, draw["splices"])
    path[:, 1] += thrown(count, height, places, draw["splices"])
    scratches = [ScratchLine.drawn(count, width, options, draw["scratches"]) for _ in range(options.scratches)]
    steady, marked = np.empty_like(clip, np.float32), np.empty_like(clip, np.float32)
    mask, scratched = (np.zeros((count, height, width), np.bool_) for _ in range(2))
    for number, frame in enumerate(clip):
        x, y = float(path[number, 0]), float(path[number, 1])
        steady[number] = np.clip(moved(_dyed(frame, options), x, y), 0, 1)
        picture = steady[number]
        for scratch in scratches:
            cover = scratch.cover(number, (height, width), (x, y))[..., None]
            picture = picture + (scratch.tone - picture) * cover
        scratched[number] = _differ(picture, steady[number])
        if options.dirt:
            picture = dirty(picture, options.dirt, draw["dirt"], options.dirt_radius)
        if options.hairs:
            picture = hairy(picture, options.hairs, draw["hairs"])
        if number in places or number + 1 in places:
            picture = glued(picture, number in places, draw["splices"])
        marked[number] = picture
        mask[number] = _differ(picture, steady[number])
    gain = _light(clip.shape, options, draw)
    return AgedClip(
        clip=np.clip(marked * gain, 0, 1),
        steady=steady,
        mask=mask,
        scratched=scratched,
        displacement=path,
        gain=gain,
    )


def _dyed(frame: Floats, options: OldFilmOptions) -> Floats:
    return faded(frame, options.fade) if any(options.fade) else np.asarray(frame, np.float32)


def _differ(one: Floats, other: Floats) -> npt.NDArray[np.bool_]:
    return np.asarray(np.abs(one - other).max(2) > _SEEN)


def _light(shape: tuple[int, ...], options: OldFilmOptions, draw: dict[str, np.random.Generator]) -> Floats:
    """The product of all gains, ``[T, H, W, 3]``."""
    count, size = shape[0], (shape[1], shape[2])
    gain = np.ones(shape, np.float32)
    if options.exposure:
        gain *= exposure_gains(count, options, draw["exposure"])[:, None, None, None]
    if options.breathing:
        breathing = Breathing(count, options, draw["breathing"])
        for number in range(count):
            gain[number] *= breathing.gain(number, size)
    if options.vignette:
        for number, depth in enumerate(vignette_depths(count, options, draw["vignette"])):
            gain[number] *= vignetted(size, float(depth))[..., None]
    return gain
