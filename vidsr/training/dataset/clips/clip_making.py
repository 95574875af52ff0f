"""Makes a dataset of clips from videos and pictures, with a report of how they move.

Each source is looked through once, and what was chosen is written to ``plan-00000.json`` before its clips are cut in a
second pass. A run that was stopped goes on from there: plans and clips that are there are not made again. The result is
the same as if it had not been stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from vidsr.errors import DecodeError, InputError, TrainingError
from vidsr.filters.detect import statistics
from vidsr.frames import Frame, Rgb8
from vidsr.inference.colour import rgb8_of
from vidsr.media.decode import read_frames
from vidsr.media.index import VideoIndex, index_video
from vidsr.media.pictures.files import is_picture
from vidsr.media.probe import probe
from vidsr.media.source import StoredInfo
from vidsr.storage import AtomicFile, sampled_digest
from vidsr.training.dataset.clips.clip_motion import measure
from vidsr.training.dataset.clips.clip_page import ClipTally, write_clip_report
from vidsr.training.dataset.clips.clip_selection import ClipPlace, TakenLooks, choose_places, look_through
from vidsr.training.dataset.clips.clip_store import Clip8, ClipWriter
from vidsr.training.dataset.clips.moving_camera import film, parts_of
from vidsr.training.dataset.image_files import read_rgb
from vidsr.training.dataset.make import source_files
from vidsr.training.options import MakeOptions

#: Pixels around a clip that are converted with it, so that its edge gets the chroma of its surroundings; and the grid
#: that cuts of subsampled planes fall on.
_AROUND, _GRID = 16, 8
#: Frames between two reports of progress.
_REPORTED = 50


def make_clips(
    sources: list[Path],
    out: Path,
    options: MakeOptions,
    *,
    on_source: Callable[[Path], None] = lambda path: None,
    on_share: Callable[[Path, float], None] = lambda path, share: None,
) -> ClipTally:
    """Make a dataset of at most ``options.clips`` clips of ``options.length`` frames from each source.

    Videos are cut; pictures are filmed by a made-up camera, each part of them once.

    ``on_source`` is called before each source, ``on_share`` with the share of a video's frames that were looked at.
    Called again with the same arguments after it was stopped, it continues.

    Raises:
        TrainingError: nothing usable was found, or ``out`` holds a dataset or an unfinished one of another kind.
        InputError: a source does not exist; with ``strict``, any source that cannot be used.
        DiskFullError: no space is left; no dataset appears.
    """
    faults = list(options.faults())
    if faults:
        raise TrainingError("; ".join(faults))
    files = list(source_files(sources))
    if not files:
        raise TrainingError(f"{', '.join(map(str, sources))}: contains neither videos nor pictures")
    tally, looks = ClipTally(length=options.length, patch=options.patch), TakenLooks()
    settings = {"options": options.to_json(), "sources": [str(path) for path in files]}
    with ClipWriter(out, options.length, options.patch, settings) as writer:
        plans = []
        for number, path in enumerate(files):
            on_source(path)
            plans.append(out / f"plan-{number:05d}.json")
            try:
                source = (_PictureSource if is_picture(path) else _Source)(path, number, options, plans[-1])
                source.choose(looks, on_share)
                tally.video(source.plan)
                for name, clip, facts in source.clips(writer):
                    writer.add(name, facts)
                    tally.add(path, clip, facts)
                tally.broken += source.broken
            except (InputError, DecodeError) as error:
                if options.strict:
                    raise
                tally.refuse(path, str(error))
        if not writer.index.clips:
            why = [reason for _, reason in tally.refused[:5]]
            why += [f"{count} stretches: {reason}" for reason, count in tally.left_out.items()]
            reasons = "".join(f"\n  {reason}" for reason in why)
            raise TrainingError(
                f"{out}: not one clip of {options.length} frames and {options.patch} px could be cut from the "
                f"sources{reasons}"
            )
        writer.index.sources = tally.sources()
        write_clip_report(out, tally)
    for plan in plans:
        plan.unlink(missing_ok=True)
    return tally


class _Source:
    """One video: its plan, and its clips."""

    #: Whether a clip may have a cut or a flash inside.
    _may_break = True

    def __init__(self, path: Path, number: int, options: MakeOptions, plan: Path) -> None:
        self.path, self.number, self._options, self._plan_file = path, number, options, plan
        self.plan: dict[str, Any] = {}
        self.broken = 0
        self._opened: tuple[StoredInfo, VideoIndex] | None = None

    def _open(self) -> tuple[StoredInfo, VideoIndex]:
        if self._opened is None:
            info = probe(self.path)
            self._opened = info, index_video(info)
        return self._opened

    def choose(self, looks: TakenLooks, on_share: Callable[[Path, float], None]) -> None:
        """Read the plan of a stopped run, or make it; the looks of what is chosen go to ``looks``.

        Raises:
            InputError: it cannot be read, or is smaller than a clip.
            DecodeError: a frame cannot be decoded.
        """
        digest = sampled_digest(self.path)
        known = _read_plan(self._plan_file, digest)
        if known is not None:
            self.plan = known
            for place in self._places():
                looks.take(place)
            return
        self.plan = {"digest": digest, "path": str(self.path), **self._survey(looks, on_share)}
        with AtomicFile(self._plan_file) as file:
            file.write(json.dumps(self.plan).encode())

    def _survey(self, looks: TakenLooks, on_share: Callable[[Path, float], None]) -> dict[str, Any]:
        """What a plan holds of the source and of the places chosen in it."""
        info, index = self._open()
        o = self._options
        self._must_hold_clip(info.video.width, info.video.height)

        def frames() -> Iterator[Frame]:
            for number, frame in enumerate(read_frames(info, index=index)):
                if number % _REPORTED == 0:
                    on_share(self.path, number / len(index))
                yield frame

        seen = look_through(frames(), o.length, o.patch, o.detail)
        crop = statistics.settle_crop(seen.bars, info.video.width, info.video.height)

        def inside(place: ClipPlace) -> bool:
            left, top, width, height = crop
            right, bottom = place.left + o.patch, place.top + o.patch
            return left <= place.left and top <= place.top and right <= left + width and bottom <= top + height

        chosen = choose_places(seen, o.clips, inside, looks)
        return {
            "frames": seen.frames,
            "repeats": seen.repeats,
            "scenes": seen.scenes,
            "stretches": seen.stretches,
            "left_out": dict(sorted(seen.left_out.items())),
            "picture": f"{crop[2]}×{crop[3]}",
            "places": [place.to_json() for place in chosen],
        }

    def _must_hold_clip(self, width: int, height: int) -> None:
        side = self._options.patch
        if min(width, height) < side:
            raise InputError(f"{self.path}: {width}x{height} is smaller than a clip of {side} px; lower --patch")

    def _places(self) -> list[ClipPlace]:
        return [ClipPlace(**place) for place in self.plan["places"]]

    def clips(self, writer: ClipWriter) -> Iterator[tuple[str, Clip8, dict[str, Any]]]:
        """(name, pixels, facts) of each clip, in the order of the plan; written if it was not there already."""
        missing = [place for place in self._places() if writer.finished(self._name(place)) is None]
        made = self._cut(missing)
        for place in self._places():
            name = self._name(place)
            clip = writer.finished(name)
            fresh = clip is None
            if clip is None:
                clip = next(made)
            motion = measure(clip)
            if motion.broken and self._may_break:
                self.broken += 1
                continue
            if fresh:
                writer.write(name, clip)
            yield (
                name,
                clip,
                {
                    "source": str(self.path),
                    "first": place.frames[0],
                    "last": place.frames[-1],
                    "left": place.left,
                    "top": place.top,
                    "scene": place.scene,
                    "sharpness": place.sharpness,
                    "motion": motion.facts(),
                },
            )

    def _name(self, place: ClipPlace) -> str:
        return f"clip-{self.number:05d}-{place.frames[0]:07d}-{place.left:04d}-{place.top:04d}"

    def _cut(self, places: list[ClipPlace]) -> Iterator[Clip8]:
        """The clips at ``places``, which are in the order of the video."""
        if not places:
            return
        info, index = self._open()
        side = self._options.patch
        frames = read_frames(info, places[0].frames[0], places[-1].frames[-1] + 1, index)
        for numbers, group in groupby(places, key=lambda place: place.frames):
            these, wanted = list(group), set(numbers)
            pieces: list[list[Rgb8]] = [[] for _ in these]
            for frame in frames:
                if frame.index in wanted:
                    for place, piece in zip(these, pieces, strict=True):
                        piece.append(cut_out(frame, place.left, place.top, side))
                if frame.index == numbers[-1]:
                    break
            yield from (np.stack(piece) for piece in pieces)


class _PictureSource(_Source):
    """One picture, filmed by a made-up camera: parts that cover it, those with the most detail first."""

    _may_break = False

    def _survey(self, looks: TakenLooks, on_share: Callable[[Path, float], None]) -> dict[str, Any]:
        height, width = self._picture.shape[:2]
        self._must_hold_clip(width, height)
        parts = parts_of(self._picture, self._options.patch, self._options.length, self._options.detail)
        chosen: list[ClipPlace] = []
        for place in sorted(parts.places, key=lambda place: -place.sharpness):
            if len(chosen) < self._options.clips and looks.is_new(place):
                looks.take(place)
                chosen.append(place)
        return {
            "frames": 1,
            "repeats": 0,
            "scenes": 1,
            "stretches": len(parts.places) + parts.flat,
            "left_out": {"part of a picture without detail": parts.flat} if parts.flat else {},
            "picture": f"{width}×{height}",
            "places": [place.to_json() for place in chosen],
        }

    @cached_property
    def _picture(self) -> Rgb8:
        return read_rgb(self.path)

    def _cut(self, places: list[ClipPlace]) -> Iterator[Clip8]:
        for place in places:
            seed = [int(self.plan["digest"][:12], 16), place.left, place.top]
            yield film(self._picture, place.left, place.top, self._options.patch, self._options.length, seed)


def cut_out(frame: Frame, left: int, top: int, side: int) -> Rgb8:
    """``[side, side, 3]`` RGB of a part of a frame, as if the whole frame had been converted."""
    spans = []
    for start, most in ((top, frame.height), (left, frame.width)):
        begin = max(0, start - _AROUND) // _GRID * _GRID
        spans.append((begin, min(most, -(-(start + side + _AROUND) // _GRID) * _GRID)))
    (y0, y1), (x0, x1) = spans
    planes = []
    for number, plane in enumerate(frame.planes):
        rows, columns = frame.format.plane_shape(number, x1 - x0, y1 - y0)
        full_rows, full_columns = frame.format.plane_shape(number, _GRID, _GRID)
        y, x = y0 * full_rows // _GRID, x0 * full_columns // _GRID
        planes.append(plane[y : y + rows, x : x + columns])
    part = rgb8_of(replace(frame, planes=tuple(planes)))
    return np.ascontiguousarray(part[top - y0 : top - y0 + side, left - x0 : left - x0 + side])


def _read_plan(path: Path, digest: str) -> dict[str, Any] | None:
    """The plan, if there is one of this very source."""
    if not path.exists():
        return None
    plan: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if plan["digest"] != digest:
        raise TrainingError(
            f"{plan['path']}: has changed since its clips were chosen; remove the folder {path.parent} "
            "and run the command again"
        )
    return plan
