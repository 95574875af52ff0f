"""How much density the dyes of a colour film have lost, from the shadows of many scenes.

A dye that has lost a share of itself has lost the same share of its density everywhere. Density is the logarithm of
linear light; for a display of pure power, as in ITU-R BT.1886 with a black of 0, it is proportional to the logarithm of
the code value, so that the share can be read there. Shadows are dark in all colours: the densities of red, green and
blue in the darkest 2 % of a sound film, above those in its brightest 1 %, are equal at the median of many scenes. In a
faded film they have the ratio of what is left of the cyan, magenta and yellow dyes. A coloured light, such as that of a
sunset, adds the same density to light and shadow; so does a stain of the base.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from vidsr.filters.detect.fault_places import FaultPlace
from vidsr.filters.film.rgb_planes import small_colours
from vidsr.frames import Floats, Frame

#: Largest share of its density that a dye may have lost and still be given back.
MOST_LOST = 0.9
#: Blocks along the longer side of a picture, about; the shortest side of one that is looked at, in blocks.
_BLOCKS, _FEWEST_BLOCKS = 96, 8
#: The densest value that counts: that of the darkest code above 0 in 8 bits.
_DARKEST = float(np.log(255))
#: Every so many frames of a stretch are looked at, beginning with this one, or with the middle of a shorter one.
_EVERY, _FIRST = 8, 4
#: Percentiles of the densities of a picture that stand for its shadows and its lights.
_SHADOW, _LIGHT = 98.0, 1.0
#: Percentiles of the code values by which pictures are compared, and the mean difference below which they show the
#: same scene.
_PERCENTILES = (5, 20, 35, 50, 65, 80, 95)
_SAME = 0.03
#: Mean departure of red and blue from a fixed function of green, below which a picture is toned, not coloured.
_TONED = 0.012
#: Fewest different scenes; least logarithm of the ratio between the best and the worst dye; least share of the scenes,
#: by weight, that show this direction, and from which logarithm a scene does.
FEWEST_SCENES, _LEAST, _AGREE, _SHOWS = 12, 0.22, 0.7, 0.1
#: Density of the shadows that the darkest quarter of a sound film's scenes has at least, and the largest factor by
#: which the best dye is brought there. (Blacks of 5 % of full scale.)
_BLACK, _MOST_BLACK = 3.0, 1.3
#: Transfer functions under which code values are not a power of light.
_NO_POWER = ("smpte2084", "arib-std-b67")


@dataclass(frozen=True, slots=True, kw_only=True)
class DyeLoss:
    """Shares of their density that the three dyes have lost, 0 to :data:`MOST_LOST`.

    ``cyan`` absorbs red, ``magenta`` green, ``yellow`` blue.
    """

    cyan: float
    magenta: float
    yellow: float

    @property
    def shares(self) -> npt.NDArray[np.float32]:
        """``[3]``, in the order of red, green and blue."""
        return np.array((self.cyan, self.magenta, self.yellow), np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fading:
    """The ``loss`` of a film, by how many different ``scenes`` it was found, and in which of them it shows."""

    loss: DyeLoss
    scenes: int
    at: tuple[FaultPlace, ...]

    def moved(self, by: Fraction) -> Fading:
        """With its places ``by`` seconds earlier."""
        return replace(self, at=tuple(place.moved(by) for place in self.at))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self.loss), "scenes": self.scenes, "at": [place.to_json() for place in self.at]}


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneColours:
    """What is kept of a scene: the densities ``[3]`` of red, green and blue in its ``shadows`` and ``lights``; code
    values ``[7, 3]`` from dark to bright, its ``levels``; whether it is ``coloured``; and its ``place``."""

    shadows: npt.NDArray[np.float64]
    lights: npt.NDArray[np.float64]
    levels: npt.NDArray[np.float64]
    coloured: bool
    place: FaultPlace


def scene_colours(blocks: Floats, place: FaultPlace) -> SceneColours:
    """Measures of a picture ``[h, w, 3]``, red, green and blue from 0 to 1."""
    colours = blocks.reshape(-1, 3).astype(np.float64)
    density = np.clip(-np.log(np.maximum(colours, 1 / 255)), 0, _DARKEST)
    ranks = np.linspace(0, 100, 33)
    green = np.percentile(colours[:, 1], ranks)
    departs = max(
        float(np.abs(colours[:, n] - np.interp(colours[:, 1], green, np.percentile(colours[:, n], ranks))).mean())
        for n in (0, 2)
    )
    return SceneColours(
        shadows=np.percentile(density, _SHADOW, axis=0),
        lights=np.percentile(density, _LIGHT, axis=0),
        levels=np.percentile(colours, _PERCENTILES, axis=0),
        coloured=departs > _TONED,
        place=place,
    )


class FadeSearch:
    """Takes stretches of consecutive frames, and keeps one picture of each scene that differs from those before."""

    def __init__(self) -> None:
        self._scenes: list[SceneColours] = []

    def add(self, frames: Sequence[Frame], crop: tuple[int, int, int, int]) -> None:
        """Look at one stretch; ``crop`` is the part of the pictures without bars, (left, top, width, height)."""
        for frame in frames[min(_FIRST, len(frames) // 2) :: _EVERY]:
            blocks = _inner_blocks(frame, crop)
            if frame.colour.transfer in _NO_POWER or min(blocks.shape[:2]) < _FEWEST_BLOCKS:
                continue
            at = frame.pts * frame.time_base
            seen = scene_colours(blocks, FaultPlace(start=at, end=at))
            alike = [n for n, known in enumerate(self._scenes) if _same(seen, known)]
            if not alike:
                self._scenes.append(seen)
            elif alike[-1] == len(self._scenes) - 1:
                last = self._scenes[-1]
                self._scenes[-1] = replace(last, place=replace(last.place, end=at, at=last.place.shown))

    def result(self) -> Fading | None:
        """The fading of the whole film; None if there is none for certain."""
        return fading_of(self._scenes)


def _same(one: SceneColours, other: SceneColours) -> bool:
    return float(np.abs(one.levels - other.levels).mean()) <= _SAME


def fading_of(scenes: Sequence[SceneColours]) -> Fading | None:
    """What different scenes of one film show together; None if they are few, toned, or show no fading for certain."""
    coloured = [scene for scene in scenes if scene.coloured]
    if len(coloured) < max(FEWEST_SCENES, len(scenes) / 2):
        return None
    lights = np.median([scene.lights for scene in coloured], axis=0)
    shadows = np.maximum(np.array([scene.shadows for scene in coloured]) - (lights - lights.min()), 0.05)
    # The deeper the shadows, the less the things that lie in them count.
    weights = shadows.min(1) ** 2
    ratios = np.log(shadows / shadows[:, 1:2])
    left = np.array([_median(ratios[:, n], weights) for n in range(3)])
    best, worst = int(left.argmax()), int(left.argmin())
    apart = ratios[:, best] - ratios[:, worst]
    if left[best] - left[worst] < _LEAST or weights[apart > _SHOWS].sum() < _AGREE * weights.sum():
        return None
    black = float(np.percentile(shadows[:, best], 75))
    remains = np.exp(left - left[best]) / np.clip(_BLACK / black, 1, _MOST_BLACK)
    lost = [round(min(MOST_LOST, max(0.0, 1 - float(share))), 3) for share in remains]
    faded = [
        FaultPlace(start=s.place.start, end=s.place.end, at=s.place.at, strong=round(float(a), 4))
        for s, a in zip(coloured, apart, strict=True)
        if a > _SHOWS
    ]
    loss = DyeLoss(cyan=lost[0], magenta=lost[1], yellow=lost[2])
    return Fading(loss=loss, scenes=len(coloured), at=tuple(faded))


def _median(values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> float:
    order = np.argsort(values, kind="stable")
    passed = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(passed, passed[-1] / 2)])


def _inner_blocks(frame: Frame, crop: tuple[int, int, int, int]) -> Floats:
    """The blocks of ``frame`` that lie within ``crop``."""
    step = max(1, -(-max(frame.width, frame.height) // _BLOCKS))
    left, top, width, height = crop
    rows, columns = (slice(-(-a // step), (a + n) // step) for a, n in ((top, height), (left, width)))
    return small_colours(frame, step)[rows, columns]
