"""Which frames of a video are worth learning from: sharp, distinct from each other, balanced over the scenes.

Frames whose two fields show different moments are left out, because combing would be mistaken for sharpness.
Black bars are cropped.

Two passes keep memory small: the first keeps only a thumbnail and the sharpness of every frame, the second decodes only
the chosen frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidsr.filters.detect import interlace, statistics
from vidsr.frames import Frame, Rgb8, luma_weights
from vidsr.inference.colour import rgb8_of
from vidsr.media.decode import read_frames
from vidsr.media.index import VideoIndex, index_video
from vidsr.media.probe import probe
from vidsr.media.source import StoredInfo

Thumb = npt.NDArray[np.float32]

THUMB = (18, 32)
"""Rows and columns of a thumbnail."""
CUT = 0.12
"""Mean difference of two neighbouring thumbnails (of a range of 1) from which a new scene begins."""
DISTINCT = 0.03
"""Least mean difference between two chosen frames of one scene."""
BARS_EVERY = 12
"""Frames between two searches for bars."""
FLAT = 0.02
"""Frames whose thumbnail varies less (standard deviation, of 1) are black, white or fog: not used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the first pass keeps about a frame: its number, scene, sharpness, thumbnail of luma in 0..1, and its bars.

    ``bars`` is None where they were not searched for or could not be determined.
    """

    number: int
    scene: int
    sharpness: float
    thumb: Thumb
    combed: bool = False
    bars: statistics.Bars | None = None


def luma_of(frame: Frame) -> npt.NDArray[Any]:
    """``[H, W]`` luma in the frame's own code values; of RGB frames (planes G, B, R) by BT.709's weights."""
    if frame.format.family != "rgb":
        return frame.planes[0]
    of_red, of_green, of_blue = luma_weights("bt709")
    green, blue, red = (plane.astype(np.float32) for plane in frame.planes[:3])
    luma = of_red * red + of_green * green + of_blue * blue
    rounded: npt.NDArray[Any] = np.rint(luma).astype(frame.format.dtype)
    return rounded


def sharpness_of(luma: npt.NDArray[Any]) -> float:
    """Ratio of fine to coarse detail energy in ``[H, W]`` luma: falls with blur, not with contrast.

    Variance of the 4-neighbour Laplacian over the variance of the luma.
    """
    y = luma.astype(np.float32)
    laplacian = 4 * y[1:-1, 1:-1] - y[:-2, 1:-1] - y[2:, 1:-1] - y[1:-1, :-2] - y[1:-1, 2:]
    return float(laplacian.var() / (y.var() + 1.0))


def luma_thumbnail(luma: npt.NDArray[Any], largest: int) -> Thumb:
    """Mean luma in each cell of a grid of :data:`THUMB`, 0 to 1."""
    rows = np.linspace(0, luma.shape[0], THUMB[0] + 1).astype(int)
    columns = np.linspace(0, luma.shape[1], THUMB[1] + 1).astype(int)
    sums = np.add.reduceat(np.add.reduceat(luma.astype(np.float32), rows[:-1], 0), columns[:-1], 1)
    area = np.diff(rows)[:, None] * np.diff(columns)[None, :]
    means: Thumb = (sums / area / largest).astype(np.float32)
    return means


def survey(frames: Iterator[Frame]) -> list[Seen]:
    """The first pass over a video's frames."""
    seen: list[Seen] = []
    scene = 0
    for frame in frames:
        luma = luma_of(frame)
        thumb = luma_thumbnail(luma, frame.format.max_code)
        if seen and float(np.abs(thumb - seen[-1].thumb).mean()) > CUT:
            scene += 1
        codes = statistics.codes8(luma, frame.format.max_code)
        seen.append(
            Seen(
                number=frame.index,
                scene=scene,
                sharpness=sharpness_of(codes),
                thumb=thumb,
                combed=is_combed(luma, frame.format.max_code),
                bars=statistics.find_bars(codes) if len(seen) % BARS_EVERY == 0 else None,
            )
        )
    return seen


def is_combed(luma: npt.NDArray[Any], max_code: int) -> bool:
    """Whether rows differ from their neighbours far more than columns do: two moments in one frame."""
    lines = interlace.prepare(luma, max_code)
    across = interlace.comb(lines[:, 0::2].T, lines[:, 1::2].T)
    return interlace.comb(lines[0::2], lines[1::2]) > 1.8 * across + 0.01


def common_bars(seen: list[Seen]) -> statistics.Bars | None:
    """The bars common to all frames in which bars were found."""
    found = [one.bars for one in seen if one.bars is not None]
    return reduce(statistics.Bars.common, found) if found else None


def choose(seen: list[Seen], most: int) -> list[Seen]:
    """At most ``most`` frames, in the order of the video.

    Of every scene the sharpest come first, each distinct from those taken before; the scenes take turns, so that
    a long scene gets no more than its share while short ones have frames left.
    """
    queues: dict[int, list[Seen]] = {}
    for one in sorted(seen, key=lambda s: -s.sharpness):
        if float(one.thumb.std()) >= FLAT and not one.combed:
            queues.setdefault(one.scene, []).append(one)
    chosen: dict[int, list[Seen]] = {scene: [] for scene in queues}
    count = 0
    while count < most and any(queues.values()):
        for scene in sorted(queues):
            taken = _next_distinct(queues[scene], chosen[scene])
            if taken is not None and count < most:
                chosen[scene].append(taken)
                count += 1
    return sorted((one for scene in chosen.values() for one in scene), key=lambda s: s.number)


def _next_distinct(queue: list[Seen], taken: list[Seen]) -> Seen | None:
    while queue:
        one = queue.pop(0)
        if all(float(np.abs(one.thumb - other.thumb).mean()) >= DISTINCT for other in taken):
            return one
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A video, how many scenes it has, how many of its frames are combed, and the chosen frames.

    ``crop`` is (left, top, width, height) of the picture inside its bars.
    """

    info: StoredInfo
    index: VideoIndex
    scenes: int
    combed: int
    crop: tuple[int, int, int, int]
    chosen: list[Seen]

    def pictures(self) -> Iterator[tuple[int, Rgb8]]:
        """(number, ``[H, W, 3]`` uint8 RGB) of each chosen frame, in order, without bars."""
        left, top, width, height = self.crop
        for one in self.chosen:
            for frame in read_frames(self.info, one.number, one.number + 1, self.index):
                yield one.number, rgb8_of(frame)[top : top + height, left : left + width]


def survey_video(path: Path, most: int) -> Survey:
    """Look through a video and choose at most ``most`` frames.

    Raises:
        InputError: it is not a video.
        DecodeError: a frame cannot be decoded.
    """
    info = probe(path)
    index = index_video(info)
    seen = survey(read_frames(info, index=index))
    return Survey(
        info=info,
        index=index,
        scenes=seen[-1].scene + 1 if seen else 0,
        combed=sum(one.combed for one in seen),
        crop=statistics.settle_crop(common_bars(seen), info.video.width, info.video.height),
        chosen=choose(seen, most),
    )
