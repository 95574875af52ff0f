"""Making one segment: decode, filter, enlarge, encode, hash; with less memory or more precision if that fails."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vidsr.errors import (
    DecodeError,
    EncodeError,
    InputError,
    Interrupted,
    MissingExtraError,
    ModelError,
    OptionsError,
    OutputError,
    VidsrError,
)
from vidsr.filters.before.timeline import Timeline
from vidsr.filters.between.rate_table import RateTable
from vidsr.frames import Frame
from vidsr.inference.upscaler import Upscaler
from vidsr.jobs.messages import Order, Task
from vidsr.jobs.recipe import Recipe, RecipeRun
from vidsr.jobs.state.index_file import load_index, load_rate_table, load_timeline
from vidsr.jobs.state.lock import lock_mark
from vidsr.jobs.state.manifest import SEGMENTS_NAME, Finished
from vidsr.jobs.state.segments import Segment
from vidsr.jobs.thumbnails import LivePicture
from vidsr.media.encode.encoder_plan import encoder_build
from vidsr.media.index import VideoIndex
from vidsr.media.pictures.frame_files import picture_build
from vidsr.media.source_files import files_of
from vidsr.models.zoo import load_chosen
from vidsr.options import EnhanceOptions, ModelOptions
from vidsr.storage import digest, os_errors, sync_folder, working_folder

#: Errors that another try cannot mend.
HOPELESS = (OutputError, OptionsError, InputError, ModelError, MissingExtraError)

#: Source pixels per side of a tile, when whole frames fail.
FALLBACK_TILE_PX = 128

#: What each rung of the ladder says; rung 0 is the work as asked for.
RUNGS = ("", "one frame at a time", "in tiles", "in tiles, in fp32")


def on_rung(options: ModelOptions, rung: int) -> ModelOptions:
    """The model options of a rung of the ladder: fewer frames a batch, then tiles, then fp32."""
    if rung >= 1:
        options = dataclasses.replace(options, batch=1)
    if rung >= 2:
        options = dataclasses.replace(options, tile=min(options.tile or FALLBACK_TILE_PX, FALLBACK_TILE_PX))
    if rung >= 3:
        options = dataclasses.replace(options, precision="fp32", compile=False)
    return options


def next_rung(options: ModelOptions, rung: int) -> int:
    """The next rung of the ladder that changes anything for these options, or ``len(RUNGS)`` if none does."""
    now = on_rung(options, rung)
    rung += 1
    while rung < len(RUNGS) and on_rung(options, rung) == now:
        rung += 1
    return rung


def describe_encoder(task: Task) -> str:
    """The build of this process that writes a task's segments."""
    return picture_build(task.pictures) if task.pictures else encoder_build(task.options["encode"]["codec"])


def is_visible(task: Task) -> bool:
    """Whether this process sees the job's source and its folder: the same ones, not others under the same paths."""
    if not task.lock_mark or lock_mark(Path(task.folder)) != task.lock_mark:
        return False
    try:
        return all(file.exists() for file in files_of(Path(task.source)))
    except InputError:
        return False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KnownJob:
    """The recipe of a job, the frames of its source, and the tables of frames made from them."""

    recipe: Recipe
    index: VideoIndex
    timeline: Timeline | None
    table: RateTable | None


class SegmentWorker:
    """Everything that the segments of a job share in one process: index, model, device.

    ``known`` is what the process of the job has; others make it again from the task and read it from the job's folder.

    Raises:
        VidsrError: the source, the model or the device is not what the job began with.
    """

    def __init__(
        self,
        task: Task,
        *,
        device: str = "auto",
        threads: int | None = None,
        name: str = "",
        known: KnownJob | None = None,
    ) -> None:
        if threads is not None:
            import torch

            torch.set_num_threads(threads)
        self.name = name
        self._task = task
        self._folder = Path(task.folder) / SEGMENTS_NAME
        self._live = LivePicture(Path(task.folder))
        options = EnhanceOptions.from_json(task.options)
        folder = Path(task.folder)
        model = load_chosen(options.model) if known is None else known.recipe.model
        if model.sha256 != task.model_sha256:
            raise ModelError(
                f"the weights {model.path} have the digest {model.sha256[:12]}…, "
                f"the job began with {task.model_sha256[:12]}…"
            )
        known = known or KnownJob(
            recipe=Recipe.of(task.source, options, model=model, pictures=task.pictures, resolved=True),
            index=load_index(folder),
            timeline=load_timeline(folder),
            table=load_rate_table(folder),
        )
        recipe = dataclasses.replace(known.recipe, options=options).with_threads(task.encoder_threads)
        self._run = RecipeRun(recipe, index=known.index, timeline=known.timeline, table=known.table, device=device)

    @property
    def upscaler(self) -> Upscaler:
        """The network as asked for, before any fallback."""
        return self._run.upscaler

    def describe(self) -> dict[str, Any]:
        """What the runner checks about a worker before giving it work."""
        return {
            "encoder": describe_encoder(self._task),
            "device": str(self.upscaler.device),
            "precision": self.upscaler.precision,
        }

    def make(
        self, order: Order, on_frames: Callable[[int], None], stop: threading.Event, remark: Callable[[str], None]
    ) -> Finished:
        """Make one segment; its file is whole, synced and under its name when this returns.

        ``on_frames`` is called with the number of frames encoded, ``remark`` with the reason for each retry.

        Raises:
            Interrupted: ``stop`` was set.
            VidsrError: the segment could not be made, after every retry.
        """
        rung, plain_retry = order.rung, True
        while True:
            failure: Exception
            try:
                known = len(self.upscaler.stats.notes)
                finished = self._once(order.segment, rung, on_frames, stop)
                for note in self.upscaler.stats.notes[known:]:
                    remark(f"segment {order.segment.number}: {note}")
                return finished
            except (Interrupted, *HOPELESS):
                raise
            except (DecodeError, EncodeError) as error:
                if not plain_retry:
                    raise
                plain_retry, failure = False, error
            except Exception as error:
                rung = next_rung(self._run.model_options, rung)
                if rung >= len(RUNGS):
                    raise
                failure = error
            # Here, outside the except blocks, the memory of the failed attempt is free again.
            how = f" {RUNGS[rung]}" if rung else ""
            remark(f"segment {order.segment.number}: {_text(failure)}; trying again{how}")

    def _once(self, segment: Segment, rung: int, on_frames: Callable[[int], None], stop: threading.Event) -> Finished:
        begin = time.perf_counter()
        upscaler = self._run.upscaler if rung == 0 else self._upscaler(rung)
        reused, unchanged = upscaler.stats.reused, upscaler.stats.unchanged_frames
        upscaler.stats.neighbours.runs.clear()
        between = self._run.between
        if between is not None:
            between.held.clear()
        with working_folder(self._folder) as place:
            part = place / segment.file_name
            with self._run.recipe.sink(part) as sink:
                stats = self._run.run(
                    segment,
                    sink,
                    upscaler=upscaler,
                    on_frame=lambda frame: self._written(frame, sink.frames, on_frames),
                    stop=stop,
                )
            if stats.frames != segment.frames:
                raise EncodeError(f"segment {segment.number} has {stats.frames} frames, planned {segment.frames}")
            finished = Finished(
                frames=stats.frames,
                size=part.stat().st_size,
                blake2=digest(part),
                seconds=time.perf_counter() - begin,
                worker=self.name,
                device=str(upscaler.device),
                precision=upscaler.precision,
                fallback=RUNGS[rung] or self._shrunk(upscaler),
                batch=upscaler.fitted.smallest_batch,
                reused=upscaler.stats.reused - reused,
                unchanged=upscaler.stats.unchanged_frames - unchanged,
                timing=dataclasses.asdict(stats),
                neighbours=[[*run] for run in upscaler.stats.neighbours.runs],
                held=[] if between is None else [n for n in between.held if segment.start <= n < segment.stop],
            )
            with os_errors("renaming", part):
                part.replace(self._folder / segment.file_name)
        sync_folder(self._folder)
        return finished

    def _shrunk(self, upscaler: Upscaler) -> str:
        """How the upscaler worked around a lack of memory, if that can change the picture."""
        tile = upscaler.fitted.tile
        return "" if tile == self._run.model_options.tile else f"in tiles of {tile} px"

    def _written(self, frame: Frame, count: int, on_frames: Callable[[int], None]) -> None:
        on_frames(count)
        self._live(frame)

    def _upscaler(self, rung: int) -> Upscaler:
        return self._run.upscaler_with(on_rung(self._run.model_options, rung))


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, VidsrError) else f"{type(error).__name__}: {error}"
