"""Numbered pictures as the result of a video or of other numbered pictures, through the same three threads."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vidsr.errors import OutputError
from vidsr.frames import Frame
from vidsr.jobs.recipe import Recipe, RecipeRun
from vidsr.jobs.state.events import Event, Progress
from vidsr.jobs.state.segments import Segment
from vidsr.media import image_sequence
from vidsr.media.index import VideoIndex
from vidsr.media.pictures.frame_files import PICTURE_COLOUR, FrameFiles, frame_format
from vidsr.media.source import SourceInfo
from vidsr.options import EnhanceOptions
from vidsr.pipeline.segment import run_segment
from vidsr.storage import os_errors, sampled_digest, write_atomically


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceWork:
    """One job that writes numbered pictures."""

    run: RecipeRun
    index: VideoIndex
    output: Path
    options: EnhanceOptions
    progress: Progress
    stop: threading.Event | None

    @property
    def info(self) -> SourceInfo:
        """The source."""
        return self.run.recipe.decoded

    def advance(self, before: int = 0) -> Any:
        """A callback that reports one more frame, ``before`` of which an earlier run had done."""
        counter = itertools.count(before + 1)
        total = len(self.index)

        def one(frame: Frame) -> None:
            self.progress(Event(kind="frame", frames=next(counter), total_frames=total, resumed_frames=before))

        return one


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceResult:
    """What became of it. ``output`` is the pattern; ``resumed`` frames an earlier run had done."""

    output: Path
    frames: int
    resumed: int
    seconds: float
    model: str
    device: str
    precision: str
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, times in seconds."""
        return {
            "output": str(self.output),
            "frames": self.frames,
            "resumed_frames": self.resumed,
            "seconds": round(self.seconds, 3),
            "model": self.model,
            "device": self.device,
            "precision": self.precision,
            "notes": list(self.notes),
        }

    def timing_line(self) -> str:
        """One line about speed."""
        return f"{self.frames} frames in {self.seconds:.1f} s"


def enhance_sequence(
    source: Path,
    output: Path | None,
    options: EnhanceOptions,
    *,
    progress: Progress,
    stop: threading.Event | None,
) -> SequenceResult:
    """Enhance a numbered sequence or a video into a numbered sequence.

    Raises:
        OptionsError: numbered pictures without ``--fps``.
        InputError: the pattern matches nothing, or a number is missing.
        OutputError: files of the result exist already and are not this job's.
        Interrupted: ``stop`` was set; a numbered result goes on from there next time.
    """
    began = time.perf_counter()
    # No encoder will run; FFV1 stands for "whatever the frames need", alpha and 16 bits included.
    encode = replace(options.encode, codec="ffv1", bit_depth=None)
    run = RecipeRun(Recipe.of(source, replace(options, encode=encode)).for_moments())
    output = output or _default(source, options, run.upscaler.scale)
    index = run.index
    work = SequenceWork(run=run, index=index, output=output, options=options, progress=progress, stop=stop)
    resumed, notes = _to_files(work)
    progress(Event(kind="done", frames=len(index), total_frames=len(index)))
    return SequenceResult(
        output=output,
        frames=len(index),
        resumed=resumed,
        seconds=time.perf_counter() - began,
        model=options.model.model,
        device=str(run.upscaler.device),
        precision=run.upscaler.precision,
        notes=(*run.recipe.notes, *index.notes, *notes),
    )


def _default(source: Path, options: EnhanceOptions, scale: int) -> Path:
    """A folder beside the sequence's own, with the same file names."""
    tag = f"x{options.size.scale or scale:g}"
    folder = source.absolute().parent
    return folder.with_name(f"{folder.name}.{tag}") / source.name


def _to_files(work: SequenceWork) -> tuple[int, tuple[str, ...]]:
    """Frames that an earlier run of the same job wrote are kept; the others follow."""
    source = Path(work.info.path)
    first = image_sequence.find(source).first if image_sequence.is_pattern(source) else 1
    format = frame_format(work.output, work.info.video, work.options.encode.bit_depth)
    sink = FrameFiles(work.output, first=first, quality=work.options.pictures.picture_quality)
    folder = work.output.parent
    with os_errors("making", folder):
        folder.mkdir(parents=True, exist_ok=True)
    done = _done_before(work, sink)
    _write_times(work)
    segment = Segment(number=0, start=done, stop=len(work.index))
    upscale = work.run.upscale(segment, format=(format, PICTURE_COLOUR))
    run_segment(work.run.frames(segment), upscale, sink, on_frame=work.advance(done), stop=work.stop)
    return done, _notes(work)


def _done_before(work: SequenceWork, sink: FrameFiles) -> int:
    """How many frames from the first on are there from this very job.

    Raises:
        OutputError: a file of the result exists and is another job's.
    """
    state = work.output.with_name(f".{work.output.name.replace('%', '')}.vidsr.json")
    key = _key(work)
    ours = state.exists() and json.loads(state.read_text()).get("key") == key
    if ours and not work.options.output.overwrite:
        return next((n for n in range(len(work.index)) if not sink.path_of(n).exists()), len(work.index))
    taken = next((p for p in map(sink.path_of, range(len(work.index))) if p.exists()), None)
    if taken is not None and not work.options.output.overwrite:
        raise OutputError(
            f"{taken} already exists and does not belong to this job; use --overwrite to replace such files"
        )
    if taken is not None:
        for number in range(len(work.index)):
            sink.path_of(number).unlink(missing_ok=True)
    write_atomically(state, json.dumps({"schema": 1, "key": key}).encode())
    return 0


def _key(work: SequenceWork) -> str:
    """A digest of all that decides the frames: source, options, weights."""
    source = Path(work.info.path)
    if image_sequence.is_pattern(source):
        files = image_sequence.find(source)
        known = [image_sequence.name_of(source, n).stat() for n in range(files.first, files.first + files.count)]
        origin: Any = [[s.st_size, s.st_mtime_ns] for s in known]
    else:
        origin = sampled_digest(source)
    told = work.options.to_json()
    told.pop("output")
    told.pop("jobs")
    weights = str(getattr(work.run.upscaler.model, "sha256", ""))
    return hashlib.sha256(json.dumps([origin, told, weights], sort_keys=True).encode()).hexdigest()


def _write_times(work: SequenceWork) -> None:
    """The time of every frame in milliseconds, in the format that mkvmerge calls timestamps v2."""
    base = work.index.time_base * 1000
    lines = ["# timestamp format v2", *(f"{float((p - work.index.pts[0]) * base):.6f}" for p in work.index.pts)]
    write_atomically(work.output.with_name("timestamps.txt"), ("\n".join(lines) + "\n").encode())


def _notes(work: SequenceWork) -> tuple[str, ...]:
    others = [s.kind for s in work.info.streams if s.index != work.info.video.stream_index]
    lost = (f"numbered pictures hold no {', '.join(sorted(set(others)))}",) if others else ()
    return (*lost, "frame times are in timestamps.txt beside the pictures")
