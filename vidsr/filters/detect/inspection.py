"""What a clip is, from samples of it: gathered stretch by stretch, then put into words, figures and options."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from vidsr.filters.detect import interlace, statistics
from vidsr.frames import Frame

WINDOW = 15
#: Pictures with a side shorter than this show neither fields nor bars nor grain.
SMALLEST_PX = 16
#: Thresholds, in 8-bit code values or ratios, from which a fault is worth a filter.
NOISY, VERY_NOISY = 4.0, 8.0
FLICKERING = 0.7
BLOCKY = 0.6
GREY = 2.0
REPEATING = 0.08


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was found. Strengths are in 8-bit code values; ``true_width`` and ``true_height`` in pixels.

    ``scan`` is "progressive", "interlaced", "telecined" or "mixed"; ``field_order`` "tff", "bff" or None.
    ``crop`` is (left, top, width, height). ``cuts`` are frame numbers; they are all of the clip's if ``complete``.
    ``recommended`` maps option names to values.
    """

    frames: int
    sampled: int
    complete: bool
    width: int
    height: int
    scan: str
    field_order: str | None
    pattern: str | None
    flagged: str | None
    duplicate_ratio: float
    crop: tuple[int, int, int, int]
    sar: Fraction
    grey: bool
    noise: float
    flicker: float
    blocking: float
    true_width: int
    true_height: int
    cuts: tuple[int, ...]
    recommended: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        data = dataclasses.asdict(self)
        data["crop"] = dict(zip(("left", "top", "width", "height"), self.crop, strict=True))
        data["sar"] = f"{self.sar.numerator}:{self.sar.denominator}"
        data["cuts"] = list(self.cuts)
        for name in ("duplicate_ratio", "noise", "flicker", "blocking"):
            data[name] = round(data[name], 3)
        return data

    @property
    def has_bars(self) -> bool:
        """Whether a crop would take anything away."""
        return self.crop != (0, 0, self.width, self.height)


class Inspector:
    """Takes stretches of consecutive frames, then gives an :class:`Inspection`.

    Args:
        flagged: the field order that the file claims: "tff", "bff" or None.
    """

    def __init__(self, flagged: interlace.FieldOrder | None = None, sar: Fraction = Fraction(1)) -> None:
        self.flagged, self.sar = flagged, sar
        self.windows: list[interlace.Window] = []
        self._bars: statistics.Bars | None = None
        self._grey: list[float] = []
        self._noise: list[float] = []
        self._blocking: list[float] = []
        self._flicker: list[tuple[int, float]] = []
        self._shares: list[tuple[float, float]] = []
        self._cuts: list[int] = []
        self.sampled = 0
        self._last = -1
        self._size = (0, 0)

    def add(self, frames: Sequence[Frame]) -> None:
        """Look at one stretch of consecutive frames."""
        pairs: list[interlace.Pair] = []
        before: interlace.Luma | None = None
        small: list[statistics.Picture] = []
        means: list[float] = []
        for number, frame in enumerate(frames):
            plane = frame.planes[0]
            prepared = interlace.prepare(plane, frame.format.max_code)
            if before is not None:
                pairs.append(interlace.measure_pair(before, prepared))
            before = prepared
            small.append(statistics.thumbnail(prepared))
            means.append(float(prepared.mean()))
            if number % 8 == 4 or len(frames) < 5:
                self._look(frame)
        cuts = statistics.find_cuts(small)
        self._cuts += [frames[n].index for n in cuts]
        self._scan(pairs, cuts)
        for first, last in _between(cuts, len(frames)):
            self._flicker.append((last - first, statistics.flicker(means[first:last])))
        new = len(frames) - (frames[0].index == self._last)
        self.sampled += new
        self._last = frames[-1].index
        self._size = (frames[0].width, frames[0].height)

    def result(self, total: int) -> Inspection:
        """What was found in all stretches of a clip of ``total`` frames."""
        width, height = self._size
        kind, order, pattern, repeated = interlace.summarise(self.windows)
        steady = [(n, f) for n, f in self._flicker if n >= 5]
        found = Inspection(
            frames=total,
            sampled=self.sampled,
            complete=self.sampled >= total,
            width=width,
            height=height,
            scan=kind,
            field_order=order,
            pattern=pattern,
            flagged=self.flagged,
            duplicate_ratio=repeated,
            crop=statistics.settle_crop(self._bars, width, height),
            sar=self.sar,
            grey=bool(self._grey) and float(np.percentile(self._grey, 90)) <= GREY,
            noise=_median(self._noise),
            flicker=float(np.average([f for _, f in steady], weights=[n for n, _ in steady])) if steady else 0.0,
            # Prediction blurs the grid; it is the frames that were coded anew that show it.
            blocking=float(np.percentile(self._blocking, 80)) if self._blocking else 0.0,
            true_width=round(width * _median([a for a, _ in self._shares])),
            true_height=round(height * _median([b for _, b in self._shares])),
            cuts=tuple(self._cuts),
        )
        return dataclasses.replace(found, recommended=recommend(found))

    def _scan(self, pairs: Sequence[interlace.Pair], cuts: Sequence[int]) -> None:
        for first, last in _between(cuts, len(pairs) + 1):
            inside = pairs[first : last - 1]
            count = max(1, round(len(inside) / WINDOW))
            edges = [round(n * len(inside) / count) for n in range(count + 1)]
            for low, high in pairwise(edges):
                if high - low >= 4:
                    self.windows.append(interlace.classify(inside[low:high], self.flagged))

    def _look(self, frame: Frame) -> None:
        luma = statistics.codes8(frame.planes[0], frame.format.max_code)
        bars = statistics.find_bars(luma)
        if bars is not None:
            self._bars = bars if self._bars is None else self._bars.common(bars)
        self._grey.append(statistics.chroma_spread(frame))
        left, top, width, height = statistics.settle_crop(self._bars, frame.width, frame.height)
        inner = luma[top : top + height, left : left + width]
        self._noise.append(noise_of(inner))
        self._blocking.append(statistics.blocking(luma))
        self._shares.append(statistics.resolution_share(inner))


def noise_of(luma: statistics.Picture) -> float:
    """Strength of noise or grain, in the code values of ``luma``; 0 for pictures too small to tell."""
    import torch

    from vidsr.filters.detect.noise import BLOCK, fine_floor, flat_blocks, measure

    if min(luma.shape) < 2 * BLOCK:
        return 0.0
    picture = torch.from_numpy(np.ascontiguousarray(luma))[None, None] / 255
    # Texture must not pass for grain: only the very flattest blocks count, and no more than the finest detail bears out
    # (grain as coarse as that of most film scans keeps a quarter of its strength there).
    sigma = measure(picture, flat_blocks(picture, 0.05)).sigma
    return 255 * min(sigma, 4 * fine_floor(picture) + 1 / 255)


def recommend(found: Inspection) -> dict[str, Any]:
    """The options that fit what was found, by name."""
    filters = []
    if found.scan == "telecined" or (found.scan == "mixed" and found.pattern):
        filters.append("ivtc")
    elif found.scan in ("interlaced", "mixed"):
        filters.append("deinterlace")
    elif found.duplicate_ratio > REPEATING:
        filters.append("dedupe")
    if found.has_bars:
        filters.append("crop")
    if found.blocking > BLOCKY:
        filters.append("deblock")
    if found.flicker > FLICKERING:
        filters.append("deflicker")
    if found.noise > VERY_NOISY:
        filters.append("denoise")
    if found.grey:
        filters.append("grey")
    chosen: dict[str, Any] = {}
    if filters:
        chosen["restore"] = ",".join(filters)
    if found.noise > NOISY and "denoise" not in filters:
        chosen["grain"] = 0.7
    if found.sar != 1:
        chosen["square_pixels"] = True
    return chosen


def _between(cuts: Sequence[int], count: int) -> list[tuple[int, int]]:
    """The stretches without a cut, as half-open ranges of ``count`` frames."""
    edges = [0, *cuts, count]
    return [(a, b) for a, b in pairwise(edges) if b > a]


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else 0.0
