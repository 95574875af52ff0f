"""How far a result is supported by its source, frame by frame: evidence, expected error, and the files that show it."""

from __future__ import annotations

import io
import json
from collections.abc import Container, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from vidsr.errors import InputError, OptionsError, OutputError
from vidsr.filters.between.interpolation import is_cut, is_surely_no_cut
from vidsr.filters.flow import luma, optical_flow, resize_flow, warp
from vidsr.frames import Frame
from vidsr.inference.resize import resize
from vidsr.inference.upscaler import Upscaler
from vidsr.jobs.compare.parties import open_part
from vidsr.jobs.compare.views import Opened, Viewer, pair_up, paired_frames
from vidsr.jobs.invention.sampling import FrameSampling
from vidsr.jobs.state.events import Event, Progress, silent
from vidsr.media.encode.encoder import EncoderSettings, SegmentEncoder
from vidsr.media.index import index_video
from vidsr.media.probe import probe
from vidsr.models.zoo import FAITHFUL_MODEL
from vidsr.options.enhance_options import EncodeOptions, ModelOptions
from vidsr.options.span_options import SpanOptions
from vidsr.quality.comparison import rgb8
from vidsr.quality.invention.error_model import ExpectedError, shipped_model
from vidsr.quality.invention.evidence import Carried, evidence
from vidsr.quality.invention.overlay import laid_over
from vidsr.quality.invention.tally import FrameInvention, InventionTally
from vidsr.storage import sampled_digest, write_atomically

#: Mean difference over a small place (1 is full scale) of the source and its carried neighbour from which the motion
#: does not count as known.
_HIDDEN = 0.06
#: Two videos whose aspect ratios differ by more than this do not show the same picture.
_ASPECT = 0.02


#: Map files hold the expected error in this many steps per code value, so that 8 bits end at 31.9 code values.
STEPS = 8
#: Moments of a film that a picture shows, and the width of one of its pictures in pixels at most.
_MOMENTS, _WIDTH_PX = 4, 640
MAP_SUFFIXES = (".json", ".png", ".mkv")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFrame:
    """One frame shown at a time: ``source`` ``[1, 3, h, w]`` and ``result`` ``[1, 3, H, W]``, RGB in 0..1, and the
    ``evidence`` about it, ``[1, 14, h, w]``. ``cut``: the source has a cut since the frame measured before."""

    seconds: float
    source: Tensor
    result: Tensor
    evidence: Tensor
    cut: bool

    def error(self) -> ExpectedError:
        """The distribution of the error for every pixel of the source."""
        return shipped_model()(self.evidence)

    def expected(self) -> Tensor:
        """Expected error of every pixel of the result in code values, ``[1, 1, H, W]``."""
        return self.error().resized((self.result.shape[-2], self.result.shape[-1])).mean()


def check_map(path: Path) -> None:
    """Refuse a map's file name that says no kind of map.

    Raises:
        OptionsError: the suffix is none of :data:`MAP_SUFFIXES`.
        OutputError: its folder does not exist.
    """
    if path.suffix.lower() not in MAP_SUFFIXES:
        raise OptionsError(
            f"--invention {path}: must end in .json (figures), .png (a few moments) or .mkv (every frame)"
        )
    if not path.parent.is_dir():
        raise OutputError(f"{path}: the folder {path.parent} does not exist; create it or choose another path")


def map_invention(
    source: Path,
    result: Path,
    target: Path | None = None,
    *,
    device: str = "auto",
    sampling: FrameSampling | None = None,
    span: SpanOptions | None = None,
    written: int | None = None,
    progress: Progress = silent,
) -> InventionTally:
    """Measure how far ``result`` is supported by ``source``, and write the map to ``target`` if there is one.

    A ``.json`` holds the figures of film, shots and frames; a ``.png`` a few moments with the expected error laid over
    them in red; a ``.mkv`` the expected error of every pixel of every frame, ``STEPS`` luma steps a code value (FFV1).
    ``sampling`` says which frames are measured, all where it is None, as the last two kinds need. ``written``: vidsr
    has just written so many frames to ``result``, which saves decoding all of them once more.

    Raises:
        InputError, OptionsError: as for :func:`frame_evidence` and :func:`check_map`.
        OutputError: the map cannot be written.
    """
    if target is not None:
        check_map(target)
    tally, sampling = InventionTally(), sampling or FrameSampling.every_frame()
    every = sampling.every
    kind = "" if target is None else target.suffix.lower()
    moments = _Moments(_frame_count(result)) if kind == ".png" else None
    with _MapVideo(target, result) if target is not None and kind == ".mkv" else nullcontext() as video:
        for frame in frame_evidence(
            source, result, device=device, every=every, span=span, written=written, progress=progress
        ):
            tally.frames.append(FrameInvention.of(frame.seconds, frame.error(), cut=frame.cut))
            if moments is not None:
                moments.add(frame.result, frame.expected())
            if video is not None:
                video.add(frame.expected())
    if target is not None and kind == ".json":
        figures = figures_of(tally, sampling, source, result)
        write_atomically(target, (json.dumps(figures, indent=1) + "\n").encode())
    if target is not None and moments is not None:
        write_atomically(target, moments.png())
    return tally


def figures_of(tally: InventionTally, sampling: FrameSampling, source: Path, result: Path) -> dict[str, Any]:
    """What a ``.json`` map holds: the figures, which frames they come from, and of which two files they are."""
    files = {"source": source, "result": result}
    return {
        "of": {role: {"name": path.name, "sampled_blake2": sampled_digest(path)} for role, path in files.items()},
        "measured": sampling.to_json(),
        **tally.to_json(),
    }


class _Moments:
    """A few frames beside the same with the expected error laid over in red."""

    def __init__(self, count: int) -> None:
        self._wanted = {int((i + 0.5) * count / _MOMENTS) for i in range(_MOMENTS)}
        self._number = 0
        self._rows: list[Tensor] = []
        self._first: Tensor | None = None

    def add(self, result: Tensor, expected: Tensor) -> None:
        wanted = self._number in self._wanted
        # The first stands in for all where fewer frames come than the result has.
        if wanted or self._number == 0:
            pair = torch.cat((result, laid_over(luma(result), expected)), 3)
            if pair.shape[-1] > 2 * _WIDTH_PX:
                height = round(pair.shape[-2] * 2 * _WIDTH_PX / pair.shape[-1])
                pair = resize(pair, (height, 2 * _WIDTH_PX)).clamp(0, 1)
            if wanted:
                self._rows.append(pair)
            else:
                self._first = pair
        self._number += 1

    def png(self) -> bytes:
        from PIL import Image

        rows = self._rows or [row for row in (self._first,) if row is not None]
        memory = io.BytesIO()
        Image.fromarray(rgb8(torch.cat(rows, 2))).save(memory, "PNG")
        return memory.getvalue()


class _MapVideo:
    """A video of the map, each frame lasting 1 / the result's nominal rate."""

    def __init__(self, path: Path, result: Path) -> None:
        video = probe(result).video
        options = EncodeOptions(codec="ffv1")
        settings = EncoderSettings.for_source(video, options, (video.width, video.height))
        self._format = settings.format.frames
        self._colour = video.colour
        self._encoder = SegmentEncoder(path, settings)
        self._number = 0

    def __enter__(self) -> _MapVideo:
        self._encoder.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._encoder.__exit__(*exc)

    def add(self, expected: Tensor) -> None:
        codes = (expected[0, 0] * STEPS).round().clamp(0, 255).cpu().numpy()
        deep = 1 << (self._format.depth - 8)
        planes = []
        for number in range(self._format.plane_count):
            shape = self._format.plane_shape(number, expected.shape[-1], expected.shape[-2])
            luma_like = number == 0 or self._format.family == "rgb"
            plane = codes * deep if luma_like else np.full(shape, 128 * deep)
            planes.append(plane.astype(self._format.dtype))
        self._encoder.write(
            Frame(
                planes=tuple(planes),
                format=self._format,
                colour=self._colour,
                index=self._number,
                pts=self._number,
                time_base=Fraction(1, 25),
                duration=1,
            )
        )
        self._number += 1


def _frame_count(path: Path) -> int:
    return len(index_video(probe(path)))


def frame_evidence(
    source: Path,
    result: Path,
    *,
    device: str = "auto",
    every: int = 1,
    span: SpanOptions | None = None,
    written: int | None = None,
    progress: Progress = silent,
) -> Iterator[EvidenceFrame]:
    """Every pair of frames of source and result that are shown at one time, with the evidence against the result.

    With ``every`` above 1 only one frame in so many is measured, in the middle of them (of all frames, where there are
    fewer), with the frame before it for the motion; the others, up to the last one that is measured, are decoded and
    looked at for cuts. ``written`` is as for :func:`map_invention`.

    Raises:
        InputError: a file is not a video, or no frame of one is shown at the time of one of the other.
        OptionsError: the two do not show the same picture: their aspect ratios differ, or the result is the smaller.
    """
    sides = _Sides.of(source, result, span, progress, written)
    count = len(sides.numbers)
    with Upscaler(ModelOptions(model=FAITHFUL_MODEL, device=device)) as faithful:
        wanted = range(min(every, count) // 2, count, every)
        yield from _evidence(sides, sides.numbers[: wanted[-1] + 1], wanted, faithful, progress)


def evidence_at(
    source: Path,
    result: Path,
    seconds: Sequence[float],
    *,
    clock: Literal["source", "result"] = "result",
    device: str = "auto",
    span: SpanOptions | None = None,
    progress: Progress = silent,
) -> Iterator[EvidenceFrame]:
    """The pair of frames shown nearest to each of ``seconds``, which are times of the video that ``clock`` names.

    Of each video only these frames, and the one before each for the motion, are decoded, from the keyframe on.

    Raises:
        InputError, OptionsError: as for :func:`frame_evidence`.
    """
    sides = _Sides.of(source, result, span, progress)
    of_source = clock == "source"
    times = (sides.source if of_source else sides.result).seconds()
    shown = [float(times[low if of_source else high]) for low, high in sides.numbers]
    with Upscaler(ModelOptions(model=FAITHFUL_MODEL, device=device)) as faithful:
        for moment in seconds:
            nearest = min(range(len(shown)), key=lambda number: abs(shown[number] - moment))
            pairs = sides.numbers[max(0, nearest - 1) : nearest + 1]
            yield from _evidence(sides, pairs, {len(pairs) - 1}, faithful, silent)


@dataclass(frozen=True, slots=True)
class _Sides:
    """Both videos, and the numbers of the frames of (source, result) that are shown at one time."""

    source: Opened
    result: Opened
    numbers: list[tuple[int, int]]

    @staticmethod
    def of(
        source: Path, result: Path, span: SpanOptions | None, progress: Progress, written: int | None = None
    ) -> _Sides:
        mine = open_part(source, progress, span or SpanOptions())
        yours = open_part(result, progress, span or SpanOptions(), within=mine, written=written)
        _check(mine, yours)
        low_times, high_times = (one.part_seconds() for one in (mine, yours))
        pairs = pair_up(low_times, high_times)
        if not pairs.pairs:
            raise InputError(f"no frame of {result} is shown at the same time as one of {source}")
        return _Sides(mine, yours, [(mine.part[i], yours.part[j]) for i, j in pairs.pairs])


def _evidence(
    sides: _Sides,
    numbers: Sequence[tuple[int, int]],
    wanted: Container[int],
    faithful: Upscaler,
    progress: Progress,
) -> Iterator[EvidenceFrame]:
    """Evidence about the pairs of ``numbers`` that ``wanted`` counts, from 0."""
    viewers = [
        Viewer(size=one.size, colour=one.info.video.colour, depth=8, device=faithful.device)
        for one in (sides.source, sides.result)
    ]
    seconds = [float(s) for s in sides.result.seconds()]
    before: FramePair | None = None
    last: Tensor | None = None
    cut = False
    for count, (low, high, follows) in enumerate(paired_frames(sides.source, sides.result, numbers)):
        now = found = None
        # Not around the loop: between two frames the caller's own code runs.
        with torch.inference_mode():
            rgb = viewers[0](low).rgb
            cut = cut or (last is not None and not is_surely_no_cut(last, rgb) and is_cut(last, rgb))
            if count in wanted or count + 1 in wanted:
                now = FramePair.of(rgb, viewers[1](high).rgb)
            if count in wanted and now is not None:
                carried = now.carried(before) if before is not None and follows else None
                found = evidence(now.result, now.source, faithful(now.source, sides.result.size), carried)
        if now is not None and found is not None:
            shown = seconds[numbers[count][1]]
            yield EvidenceFrame(seconds=shown, source=now.source, result=now.result, evidence=found, cut=cut)
            cut = False
        progress(Event(kind="frame", frames=count + 1, total_frames=len(numbers)))
        before, last = now, rgb


@dataclass(frozen=True, slots=True)
class FramePair:
    """One frame: source ``[1, 3, h, w]``, its luma, and the result and the source enlarged to its size."""

    source: Tensor
    grey: Tensor
    result: Tensor
    enlarged: Tensor

    @staticmethod
    def of(source: Tensor, result: Tensor) -> FramePair:
        enlarged = resize(source, (result.shape[-2], result.shape[-1])).clamp(0, 1)
        return FramePair(source, luma(source), result, enlarged)

    def carried(self, before: FramePair) -> Carried:
        """The frame before, brought to this one along the source's motion."""
        size = (self.result.shape[-2], self.result.shape[-1])
        flow = optical_flow(self.grey, before.grey)
        lost = (self.source - warp(before.source, flow)).abs().mean(1, keepdim=True)
        lost = torch.nn.functional.avg_pool2d(lost, 5, 1, 2, count_include_pad=False)
        seen = torch.nn.functional.interpolate((lost < _HIDDEN).to(lost.dtype), size=size, mode="nearest")
        large = resize_flow(flow, size)
        return Carried(result=warp(before.result, large), source=warp(before.enlarged, large), seen=seen)


def _check(source: Opened, result: Opened) -> None:
    (w, h), (width, height) = source.size, result.size
    if abs(width / height / (w / h) - 1) > _ASPECT:
        raise OptionsError(
            f"{result.info.path} is {width}x{height} and the source {w}x{h}: the two do not show the same picture, "
            "so what was invented cannot be found; was it cropped?"
        )
    if width < w or height < h:
        raise OptionsError(f"{result.info.path} is smaller than its source: nothing finer was added")
