"""Inspection of a clip from samples: measures gathered stretch by stretch, then findings and recommended options."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from vidsr.filters.banding.steps import step_height
from vidsr.filters.before.descriptor import descriptors
from vidsr.filters.detect import cadence, interlace, repeat_motion, statistics
from vidsr.filters.detect.fault_places import FaultPlace, FaultPlaces
from vidsr.filters.detect.film_scratches import ScratchLook, look_for_scratches
from vidsr.filters.detect.gate_motion import GateMotion, Tremble
from vidsr.filters.detect.inspection import BREATHING, GREY, NOISY, UNSTEADY, Inspection
from vidsr.filters.detect.lost_frames import LostFrameFinder
from vidsr.filters.film.dye_loss import FadeSearch
from vidsr.filters.tape.search import TapeSearch
from vidsr.frames import Floats, Frame
from vidsr.options.filter_choices import FilterChoice, FilterSelection

#: Frames that are classified together, as progressive, interlaced or telecined.
WINDOW = 15
#: Pictures with a side shorter than this show neither fields nor bars nor grain.
SMALLEST_PX = 16
#: Share of its own grain that a grainy source should have put back.
_GRAIN = 0.7
#: Of a stretch every so many frames are looked at singly, beginning with this one; shorter stretches at every frame.
_EVERY, _FIRST, _SHORT = 8, 4, 5
#: Stretches of fewer frames say nothing of flicker, and pairs of fewer frames nothing of the scan.
_STEADY_FRAMES, _FEWEST_PAIRS = 5, 3
#: A clip is grey if this percentile of its frames' chroma is below :data:`GREY`.
_GREY_PERCENTILE = 90
#: Prediction blurs the block grid; intra-coded frames show it.
_BLOCKING_PERCENTILE = 80
#: Least share of the frames looked at that have bands in a clip that is called banded.
_BANDED_SHARE = 0.1
#: Scans in which film may be found. No interlaced recording repeats whole frames, so the rhythm speaks for itself.
_WHOLE_PICTURES = ("progressive", "unclear")
#: One stretch in so many is looked at for the motion of film in a gate, and for scratches, which takes longer.
_GATE_EVERY, _SCRATCH_EVERY = 3, 6
#: Frames of such a stretch in which the light is followed.
_BREATHING_FRAMES = 36
#: Frames are evenly apart if the distance of at most this share of them differs by more than this share.
_FEW_UNEVEN, _UNEVEN = 0.05, 0.2


class Inspector:
    """Takes stretches of consecutive frames, then gives an :class:`Inspection`.

    Args:
        flagged: the field order that the file claims: "tff", "bff" or None.
        sar: the shape of a pixel.
        rate: frames a second; None leaves the rhythm of film, its motion in the gate, its scratches, faded dyes,
            faults of tape and lost frames unsought.
    """

    def __init__(
        self, flagged: interlace.FieldOrder | None = None, sar: Fraction = Fraction(1), rate: Fraction | None = None
    ) -> None:
        self.flagged, self.sar, self.rate = flagged, sar, rate
        self.windows: list[interlace.ScanWindow] = []
        self._window_places: list[FaultPlace] = []
        self._places: dict[str, list[FaultPlace]] = {
            "looked_at": [],
            "flicker": [],
            "noise": [],
            "blocking": [],
            "banding": [],
        }
        self._bars: statistics.Bars | None = None
        self._grey: list[float] = []
        self._noise: list[float] = []
        self._blocking: list[float] = []
        self._flicker: list[tuple[int, float]] = []
        self._shares: list[tuple[float, float]] = []
        self._cuts: list[int] = []
        self._changes: list[list[float]] = []
        self._steps: list[list[repeat_motion.MotionStep]] = []
        self._lost: list[LostFrameFinder] = []
        self._trembles: list[Tremble] = []
        self._scratches: list[ScratchLook] = []
        self._breathing: list[FaultPlace] = []
        self._fade = FadeSearch()
        self._stretches = 0
        self._tape = TapeSearch()
        self._time_base = Fraction(1)
        self.sampled = 0
        self._last = -1
        self._size = (0, 0)

    def add(self, frames: Sequence[Frame]) -> None:
        """Look at one stretch of consecutive frames."""
        pairs: list[interlace.Pair] = []
        before: interlace.Luma | None = None
        small: list[Floats] = []
        means: list[float] = []
        changes: list[float] = []
        steps: list[repeat_motion.MotionStep] = []
        blocks: Floats | None = None
        reduced: Floats | None = None
        goes_on = frames[0].index == self._last
        if not (goes_on and self._lost):
            self._lost.append(LostFrameFinder())
        for number, frame in enumerate(frames):
            plane = frame.planes[0]
            prepared = interlace.prepare(plane, frame.format.max_code)
            if before is not None:
                pairs.append(interlace.measure_pair(before, prepared))
            before = prepared
            if self.rate is not None:
                blocks_before, blocks = blocks, cadence.signature(prepared)
                if blocks_before is not None:
                    changes.append(cadence.change(blocks_before, blocks))
                if number >= goes_on:
                    self._lost[-1].add(plane, frame.format.max_code, frame.pts, blocks)
                    self._time_base = frame.time_base
                reduced_before, reduced = reduced, repeat_motion.reduced(plane, frame.format.max_code)
                if reduced_before is not None:
                    steps.append(repeat_motion.step(reduced_before, reduced))
            small.append(statistics.thumbnail(prepared))
            means.append(float(prepared.mean()))
            if number % _EVERY == _FIRST or len(frames) < _SHORT:
                self._look(frame)
        cuts = statistics.find_cuts(small)
        self._cuts += [frames[n].index for n in cuts]
        self._scan(frames, pairs, cuts)
        if self.rate is not None and is_even([f.pts for f in frames]):
            self._changes.append(changes)
            self._steps.append(steps)
        if self.rate is not None:
            self._search(frames)
        self._stretches += 1
        self._light(frames, means, cuts)
        self._places["looked_at"].append(_place(frames, 0, len(frames) - 1))
        new = len(frames) - goes_on
        self.sampled += new
        self._last = frames[-1].index
        self._size = (frames[0].width, frames[0].height)

    def result(self, total: int) -> Inspection:
        """What was found in all stretches of a clip of ``total`` frames."""
        width, height = self._size
        scan = interlace.summarise(self.windows)
        steady = [(n, f) for n, f in self._flicker if n >= _STEADY_FRAMES]
        # Fields that lie between each other tremble by half a line.
        trembles = self._trembles if scan.scan in _WHOLE_PICTURES else []
        found = Inspection(
            frames=total,
            sampled=self.sampled,
            complete=self.sampled >= total,
            width=width,
            height=height,
            scan=scan.scan,
            field_order=scan.order,
            pattern=scan.pattern,
            flagged=self.flagged,
            duplicate_ratio=scan.repeated,
            unclear_at=None if scan.doubtful is None else self._window_places[scan.doubtful].shown,
            cadence=self._film() if scan.scan in _WHOLE_PICTURES else None,
            lost=tuple(
                place
                for finder in self._lost
                for place in finder.found(self._time_base, motion=scan.scan == "progressive")
            ),
            scratched=sum(s.scratched for s in self._scratches) / max(1, sum(s.frames for s in self._scratches)),
            scratches_at=tuple(span for s in self._scratches for span in s.spans),
            breathing=_median([place.strong for place in self._breathing]),
            breathing_at=tuple(place for place in self._breathing if place.strong > BREATHING),
            weave=_median([t.jitter for t in trembles for _ in range(t.pictures)]),
            weave_at=tuple(t for t in trembles if t.jitter > UNSTEADY),
            crop=statistics.settle_crop(self._bars, width, height),
            sar=self.sar,
            grey=bool(self._grey) and float(np.percentile(self._grey, _GREY_PERCENTILE)) <= GREY,
            noise=_median(self._noise),
            flicker=float(np.average([f for _, f in steady], weights=[n for n, _ in steady])) if steady else 0.0,
            blocking=float(np.percentile(self._blocking, _BLOCKING_PERCENTILE)) if self._blocking else 0.0,
            banding=self._banding(),
            true_width=round(width * _median([a for a, _ in self._shares])),
            true_height=round(height * _median([b for _, b in self._shares])),
            cuts=tuple(self._cuts),
            tape=self._tape.result(),
            fading=self._fade.result(),
            places=self._found_places(),
        )
        return dataclasses.replace(found, recommended=recommend(found))

    def _banding(self) -> float:
        """The usual height of the steps in the frames that have bands, 8-bit code values; 0 if they are few."""
        looked = self._places["banding"]
        banded = [place.strong for place in looked if place.strong]
        return _median(banded) if len(banded) >= max(1, _BANDED_SHARE * len(looked)) else 0.0

    def _film(self) -> cadence.Cadence | None:
        """The rhythm of film, if its repeats stand still."""
        if self.rate is None:
            return None
        expected = cadence.usual_ratio(self.rate)
        series = [cadence.evidence(changes, expected) for changes in self._changes]
        found = cadence.find_cadence(series, self.rate)
        moving = found is not None and repeat_motion.repeats_move(series, self._steps, found.ratio)
        return None if moving else found

    def _scan(self, frames: Sequence[Frame], pairs: Sequence[interlace.Pair], cuts: Sequence[int]) -> None:
        for first, last in _between(cuts, len(pairs) + 1):
            inside = pairs[first : last - 1]
            count = max(1, round(len(inside) / WINDOW))
            edges = [round(n * len(inside) / count) for n in range(count + 1)]
            for low, high in pairwise(edges):
                if high - low >= _FEWEST_PAIRS:
                    self.windows.append(interlace.classify(inside[low:high]))
                    most = max(range(low, high), key=lambda n: inside[n].evidence.combed)
                    cells = sum(pair.evidence.combed for pair in inside[low:high])
                    self._window_places.append(_place(frames, first + low, first + high, cells, first + most))

    def _light(self, frames: Sequence[Frame], means: list[float], cuts: Sequence[int]) -> None:
        """Measure how unsteady the brightness of each scene is."""
        for first, last in _between(cuts, len(frames)):
            departs = statistics.flicker(means[first:last])
            self._flicker.append((last - first, departs))
            if last - first >= _STEADY_FRAMES:
                worst = first + 1 + int(np.argmax(np.abs(np.diff(means[first:last], 2))))
                self._places["flicker"].append(_place(frames, first, last - 1, departs, worst))

    def _found_places(self) -> FaultPlaces:
        windows = zip(self.windows, self._window_places, strict=True)
        combed = tuple(place for window, place in windows if window.scan in ("interlaced", "telecined"))
        return FaultPlaces(combed=combed, **{name: tuple(places) for name, places in self._places.items()})

    def _search(self, frames: Sequence[Frame]) -> None:
        """Look for faults of film and tape."""
        if self._stretches % _GATE_EVERY == 0:
            self._gate(frames)
        if self._stretches % _SCRATCH_EVERY == 0:
            self._film_faults(frames)
        self._tape.add(frames)
        crop = statistics.settle_crop(self._bars, frames[0].width, frames[0].height)
        self._fade.add(frames, crop)

    def _film_faults(self, frames: Sequence[Frame]) -> None:
        """Look for scratches, and for light that wavers."""
        from vidsr.filters.film.breathing import breathing_of

        self._scratches.append(look_for_scratches(frames))
        self._breathing.append(_place(frames, 0, len(frames) - 1, breathing_of(frames[:_BREATHING_FRAMES])))

    def _gate(self, frames: Sequence[Frame]) -> None:
        """Look for the motion of film in a gate."""
        motion = GateMotion()
        for frame in frames:
            motion.add(frame.planes[0], frame.format.max_code, frame.pts * frame.time_base)
        self._trembles += motion.found()

    def _look(self, frame: Frame) -> None:
        from vidsr.filters.detect.noise import noise_of

        luma = statistics.codes8(frame.planes[0], frame.format.max_code)
        bars = statistics.find_bars(luma)
        if bars is not None:
            self._bars = bars if self._bars is None else self._bars.common(bars)
        self._grey.append(statistics.chroma_spread(frame))
        left, top, width, height = statistics.settle_crop(self._bars, frame.width, frame.height)
        inner = luma[top : top + height, left : left + width]
        self._noise.append(noise_of(inner))
        self._blocking.append(statistics.blocking(luma))
        banding = step_height(frame.planes[0], frame.format.max_code)
        for name, strong in (("noise", self._noise[-1]), ("blocking", self._blocking[-1]), ("banding", banding)):
            self._places[name].append(_place([frame], 0, 0, strong))
        self._shares.append(statistics.resolution_share(inner))


def is_even(pts: Sequence[int]) -> bool:
    """Whether almost all frames are equally far apart, but for rounding."""
    steps = np.diff(np.asarray(pts, np.float64))
    if len(steps) == 0:
        return False
    usual = float(np.median(steps))
    return float((np.abs(steps - usual) > max(_UNEVEN * usual, 1)).mean()) <= _FEW_UNEVEN


def recommended_filters(found: Inspection) -> FilterSelection:
    """The filters ahead of the network that fit what was found; parameters are left to be found later."""
    return FilterSelection.of(FilterChoice(d.name) for d in descriptors() if d.recommended(found))


def recommend(found: Inspection) -> dict[str, Any]:
    """The options that fit what was found: name → value as on the command line."""
    filters = recommended_filters(found)
    chosen: dict[str, Any] = {}
    others = FilterSelection.of(choice for choice in filters.choices if choice.name != "film")
    if others.choices:
        chosen["restore"] = str(others)
    if others != filters:
        chosen["rate"] = "film"
    if found.noise > NOISY and "denoise" not in filters:
        chosen["grain"] = _GRAIN
    if found.sar != 1:
        chosen["square_pixels"] = True
    return chosen


def _place(frames: Sequence[Frame], first: int, last: int, strong: float = 0.0, at: int | None = None) -> FaultPlace:
    """The place of frames ``first`` to ``last``, with the frame ``at`` to show."""
    times = [frames[n].pts * frames[n].time_base for n in (first, last, first if at is None else at)]
    return FaultPlace(start=times[0], end=times[1], strong=strong, at=times[2])


def _between(cuts: Sequence[int], count: int) -> list[tuple[int, int]]:
    """The stretches without a cut, as half-open ranges of ``count`` frames."""
    edges = [0, *cuts, count]
    return [(a, b) for a, b in pairwise(edges) if b > a]


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else 0.0
