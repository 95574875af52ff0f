"""Inspection of a clip from samples: measures gathered stretch by stretch, then findings and recommended options."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from vidsr.filter_choices import FilterChoice, FilterSelection
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
#: Share of its own grain that a grainy source should have put back.
_GRAIN = 0.7
#: Of a stretch every so many frames are looked at singly, beginning with this one; shorter stretches at every frame.
_EVERY, _FIRST, _SHORT = 8, 4, 5
#: Stretches of fewer frames say nothing of flicker, and pairs of fewer frames nothing of the scan.
_STEADY_FRAMES, _FEWEST_PAIRS = 5, 4
#: A clip is grey if this percentile of its frames' chroma is below :data:`GREY`.
_GREY_PERCENTILE = 90
#: Prediction blurs the block grid; the frames that were coded anew show it.
_BLOCKING_PERCENTILE = 80
#: Share of the blocks, the flattest, that noise is measured in, and the most that may be found for what the finest
#: detail shows: grain as coarse as that of most film scans keeps a quarter of its strength there.
_FLAT_SHARE, _COARSE_GRAIN = 0.05, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """Findings. Strengths are in 8-bit code values; ``true_width`` and ``true_height`` in pixels.

    ``scan`` is "progressive", "interlaced", "telecined" or "mixed"; ``field_order`` "tff", "bff" or None.
    ``crop`` is (left, top, width, height). ``cuts`` are frame numbers; they are all of the clip's if ``complete``.
    ``recommended`` maps option names to values as on the command line.
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
            if number % _EVERY == _FIRST or len(frames) < _SHORT:
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
        steady = [(n, f) for n, f in self._flicker if n >= _STEADY_FRAMES]
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
            grey=bool(self._grey) and float(np.percentile(self._grey, _GREY_PERCENTILE)) <= GREY,
            noise=_median(self._noise),
            flicker=float(np.average([f for _, f in steady], weights=[n for n, _ in steady])) if steady else 0.0,
            blocking=float(np.percentile(self._blocking, _BLOCKING_PERCENTILE)) if self._blocking else 0.0,
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
                if high - low >= _FEWEST_PAIRS:
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
    """Strength of noise or grain, in the code values of ``luma``; 0 for pictures too small to measure."""
    import torch

    from vidsr.filters.detect.noise import BLOCK, fine_floor, flat_blocks, measure

    if min(luma.shape) < 2 * BLOCK:
        return 0.0
    picture = torch.from_numpy(np.ascontiguousarray(luma))[None, None] / 255
    # Use only the flattest blocks, and cap the estimate by the finest detail, so that texture is not taken for noise.
    sigma = measure(picture, flat_blocks(picture, _FLAT_SHARE)).sigma
    return 255 * min(sigma, _COARSE_GRAIN * fine_floor(picture) + 1 / 255)


def recommended_filters(found: Inspection) -> FilterSelection:
    """The filters ahead of the network that fit what was found; parameters are left to be found later."""
    from vidsr.filters.before.descriptor import descriptors

    return FilterSelection.of(FilterChoice(d.name) for d in descriptors() if d.recommended(found))


def recommend(found: Inspection) -> dict[str, Any]:
    """The options that fit what was found: name → value as on the command line."""
    filters = recommended_filters(found)
    chosen: dict[str, Any] = {}
    if filters.choices:
        chosen["restore"] = str(filters)
    if found.noise > NOISY and "denoise" not in filters:
        chosen["grain"] = _GRAIN
    if found.sar != 1:
        chosen["square_pixels"] = True
    return chosen


def _between(cuts: Sequence[int], count: int) -> list[tuple[int, int]]:
    """The stretches without a cut, as half-open ranges of ``count`` frames."""
    edges = [0, *cuts, count]
    return [(a, b) for a, b in pairwise(edges) if b > a]


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else 0.0
