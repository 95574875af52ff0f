"""Making one segment: decode, filter, enlarge, encode, hash; with less memory or more precision if that fails."""

from __future__ import annotations

import dataclasses
import gc
import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from vidsr.errors import (
    DecodeError,
    DeviceMemoryError,
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
from vidsr.filters.undo.change_count import FilterChanges
from vidsr.frames import Frame
from vidsr.inference.device import is_out_of_memory
from vidsr.inference.upscaler import Upscaler
from vidsr.jobs.messages import Order, Task
from vidsr.jobs.recipe.recipe import Recipe
from vidsr.jobs.recipe.recipe_run import RecipeRun
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
from vidsr.options.enhance_options import EnhanceOptions, ModelOptions
from vidsr.pipeline.channel import ChannelAborted
from vidsr.pipeline.segment import SegmentStats, run_segment
from vidsr.pipeline.turn import Turn
from vidsr.storage import digest, os_errors, sync_folder, working_folder
from vidsr.system_memory import give_back_free_memory

#: Errors that another try cannot mend.
HOPELESS = (OutputError, OptionsError, InputError, ModelError, MissingExtraError)

#: Source pixels per side of a tile, when whole frames fail.
FALLBACK_TILE_PX = 128

#: What each rung of the ladder says; rung 0 is the work as asked for.
RUNGS = ("", "one frame at a time", "in tiles", "in tiles, in fp32", "without neighbouring frames")

#: The rung that leaves out ``--multiframe``, only for lack of memory: its windows hold whole frames, tiles or not.
ALONE = 4


def on_rung(options: ModelOptions, rung: int) -> ModelOptions:
    """The model options of a rung of the ladder: fewer frames a batch, then tiles, then fp32; without neighbouring
    frames, where there is memory again, fewer frames a batch only."""
    if rung >= 1:
        options = dataclasses.replace(options, batch=1)
    if 2 <= rung < ALONE:
        options = dataclasses.replace(options, tile=min(options.tile or FALLBACK_TILE_PX, FALLBACK_TILE_PX))
    if 3 <= rung < ALONE:
        options = dataclasses.replace(options, precision="fp32", compile=False)
    return options


def next_rung(options: ModelOptions, rung: int, *, windows: bool = False) -> int:
    """The next rung of the ladder that changes anything for these options, or ``len(RUNGS)`` if none does.

    ``windows``: memory ran out while neighbouring frames were in use, which may be left out.
    """
    now = on_rung(options, rung)
    for following in range(rung + 1, ALONE):
        if on_rung(options, following) != now:
            return following
    return ALONE if windows and rung < ALONE else len(RUNGS)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownJob:
    """The recipe of a job, the frames of its source, and the tables of frames made from them."""

    recipe: Recipe
    index: VideoIndex
    timeline: Timeline | None
    table: RateTable | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who follows a segment while it is made. The calls come from the threads of the segment.

    ``on_frames`` gets the number of frames encoded so far, ``remark`` the reason of each retry, and ``on_read`` is
    called when the last frame is decoded, which is when the next segment may begin. ``may_begin`` is asked once, before
    the network takes the first frame.
    """

    on_frames: Callable[[int], None]
    remark: Callable[[str], None]
    on_read: Callable[[], None] = lambda: None
    may_begin: Callable[[], bool] = lambda: True


@dataclass(slots=True, eq=False)
class _Attempt:
    """One try at one segment: on which rung, how long it waited for its turns, and what its network did."""

    segment: Segment
    rung: int
    listener: Listener
    stop: threading.Event
    read_wait_seconds: float = 0.0
    network_wait_seconds: float = 0.0
    begun: bool = False
    notes: Sequence[str] = ()
    held: Sequence[int] = ()
    changes: list[FilterChanges] = field(default_factory=list)
    outcome: dict[str, Any] = field(default_factory=dict)

    def own_time(self, stats: SegmentStats) -> SegmentStats:
        """Without the time in which this segment, read ahead, waited for the one before it."""
        waited = self.network_wait_seconds
        return dataclasses.replace(
            stats,
            wall_seconds=stats.wall_seconds - waited,
            decode_seconds=stats.decode_seconds - self.read_wait_seconds,
            decode_wait_seconds=max(0.0, stats.decode_wait_seconds - waited),
            infer_seconds=stats.infer_seconds - waited,
            encode_wait_seconds=max(0.0, stats.encode_wait_seconds - waited),
        )


class SegmentWorker:
    """Everything that the segments of a job share in one process: index, model, device.

    ``known`` is what the process of the job has; others make it again from the task and read it from the job's folder.

    Two segments may be in progress at once: decoding (with the filters) and the network each work on one at a time, so
    that the second is decoded, and then enlarged, while the last frames of the first are encoded.

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
        self._reading, self._network = Turn(), Turn()
        # The lowest rung on which a segment begins, and the rung of the network that is loaded.
        self._rung = 0
        self._loaded_rung: int | None = 0
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
        self._run = RecipeRun(
            recipe, index=known.index, timeline=known.timeline, table=known.table, device=device, in_order=True
        )

    @property
    def upscaler(self) -> Upscaler:
        """The network of the rung that is loaded; before any fallback, the one asked for."""
        return self._run.upscaler

    def describe(self) -> dict[str, Any]:
        """What the runner checks about a worker before giving it work."""
        return {
            "encoder": describe_encoder(self._task),
            "device": str(self.upscaler.device),
            "precision": self.upscaler.precision,
        }

    def close(self) -> None:
        """Close the source; only while no segment is in progress."""
        self._run.close()

    def make(self, order: Order, listener: Listener, stop: threading.Event) -> Finished:
        """Make one segment; its file is whole, synced and under its name when this returns. Thread-safe.

        Raises:
            Interrupted: ``stop`` was set, or the network had not begun and ``listener.may_begin`` said no.
            VidsrError: the segment could not be made, after every retry.
        """
        number = order.segment.number
        rung, plain_retry, begun = order.rung, True, False
        while True:
            attempt = _Attempt(order.segment, rung, listener, stop, begun=begun)
            try:
                finished = self._once(attempt)
                for note in attempt.notes:
                    listener.remark(f"segment {number}: {note}")
                return finished
            except (Interrupted, *HOPELESS):
                raise
            except (DecodeError, EncodeError) as error:
                if not plain_retry:
                    raise
                plain_retry, failure = False, _text(error)
            except Exception as error:
                rung = self._next_rung(error, attempt)
                if rung >= len(RUNGS):
                    raise
                failure = _text(error)
            # Here, outside the except blocks, the memory of the failed attempt is free again.
            begun = attempt.begun
            how = f" {RUNGS[rung]}" if rung else ""
            listener.remark(f"segment {number}: {failure}; trying again{how}")

    def _once(self, attempt: _Attempt) -> Finished:
        begin = time.perf_counter()
        segment = attempt.segment
        with working_folder(self._folder) as place:
            part, master = place / segment.file_name, place / segment.master_name
            with self._run.recipe.sink(part) as sink:
                try:
                    stats = run_segment(
                        self._read(attempt),
                        lambda frames: self._enlarge(attempt, frames),
                        sink,
                        on_frame=lambda frame: self._written(frame, sink.frames, attempt.listener),
                        stop=attempt.stop,
                    )
                finally:
                    self._reading.leave(attempt)
                    self._network.leave(attempt)
            if stats.frames != segment.frames:
                raise EncodeError(f"segment {segment.number} has {stats.frames} frames, planned {segment.frames}")
            finished = Finished(
                frames=stats.frames,
                size=part.stat().st_size,
                blake2=digest(part),
                seconds=time.perf_counter() - begin - attempt.network_wait_seconds,
                worker=self.name,
                timing=dataclasses.asdict(attempt.own_time(stats)),
                held=[n for n in attempt.held if segment.start <= n < segment.stop],
                changes=[changes.shortened().to_json() for changes in attempt.changes],
                **attempt.outcome,
            )
            if self._run.recipe.master is not None:
                finished = dataclasses.replace(
                    finished, master_size=master.stat().st_size, master_blake2=digest(master)
                )
                with os_errors("renaming", master):
                    master.replace(self._folder / segment.master_name)
            with os_errors("renaming", part):
                part.replace(self._folder / segment.file_name)
        sync_folder(self._folder)
        return finished

    def _read(self, attempt: _Attempt) -> Iterator[Frame]:
        """The frames of a segment, once those of the segment before are read; in the decode thread."""
        between = self._run.between
        with self._reading.taken(attempt, attempt.stop) as waited:
            attempt.read_wait_seconds = waited
            if between is not None:
                between.held.clear()
            try:
                yield from self._run.frames(attempt.segment, changes=attempt.changes)
            finally:
                if between is not None:
                    attempt.held = tuple(between.held)
        attempt.listener.on_read()

    def _enlarge(self, attempt: _Attempt, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The results, once the network is done with the segment before; in the inference thread.

        Where memory ran out, this and all further segments begin on the next rung.
        """
        # A segment has had its turn at reading before it takes the network. Of two that are tried again at once, one
        # could otherwise hold the network and wait for frames that the other one keeps it from reading.
        first = tuple(islice(frames, 1))
        with self._network.taken(attempt, attempt.stop) as waited:
            if not attempt.begun and not attempt.listener.may_begin():
                raise Interrupted("stopped on request")
            attempt.begun = True
            attempt.network_wait_seconds = waited
            attempt.rung = max(attempt.rung, self._rung)
            try:
                yield from self._results(attempt, chain(first, frames))
            except (ChannelAborted, Interrupted, *HOPELESS):
                raise
            except Exception as error:
                rung = self._next_rung(error, attempt)
                _free_frames(error, retried=rung < len(RUNGS))
                if _memory_ran_out(error) and rung < len(RUNGS):
                    self._rung = rung
                raise

    def _next_rung(self, error: Exception, attempt: _Attempt) -> int:
        windows = self._run.chain.multiframe is not None and _memory_ran_out(error)
        return next_rung(self._run.model_options, attempt.rung, windows=windows)

    def _results(self, attempt: _Attempt, frames: Iterator[Frame]) -> Iterator[Frame]:
        upscaler = self._upscaler_at(attempt.rung)
        stats = upscaler.stats
        known, reused, unchanged = len(stats.notes), stats.reused, stats.unchanged_frames
        stats.neighbours.runs.clear()
        yield from self._run.upscale(attempt.segment, upscaler)(frames)
        give_back_free_memory()  # each segment has threads of its own, which find no use for what these freed
        attempt.notes = stats.notes[known:]
        alone = attempt.rung == ALONE and self._run.chain.multiframe is not None
        left_out = [[attempt.segment.start, attempt.segment.stop, "out of memory"]]
        attempt.outcome = {
            "device": str(upscaler.device),
            "precision": upscaler.precision,
            "fallback": RUNGS[attempt.rung] or self._shrunk(upscaler),
            "batch": upscaler.fitted.smallest_batch,
            "reused": stats.reused - reused,
            "unchanged": stats.unchanged_frames - unchanged,
            "neighbours": left_out if alone else [[*run] for run in stats.neighbours.runs],
        }

    def _upscaler_at(self, rung: int) -> Upscaler:
        """The network of a rung; that of another rung gives back its memory first."""
        if self._loaded_rung != rung:
            self._loaded_rung = None
            self._run.upscaler.close()
            gc.collect()  # a backend's functions refer to the backend: its memory waits for the collector
            options = on_rung(self._run.model_options, rung)
            self._run.upscaler = self._run.upscaler_with(options, alone=rung == ALONE)
            self._loaded_rung = rung
        return self._run.upscaler

    def _shrunk(self, upscaler: Upscaler) -> str:
        """How the upscaler worked around a lack of memory, if that can change the picture."""
        tile = upscaler.fitted.tile
        return "" if tile == self._run.model_options.tile else f"in tiles of {tile} px"

    def _written(self, frame: Frame, count: int, listener: Listener) -> None:
        listener.on_frames(count)
        self._live(frame)


def _memory_ran_out(error: BaseException) -> bool:
    """Whether an error, or one that it was raised from, means that the device has too little memory."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, DeviceMemoryError):
            return True
        link = link.__cause__
    return is_out_of_memory(error)


def _free_frames(error: BaseException, *, retried: bool) -> None:
    """Free what the traceback of an error keeps alive: the failed network and its tensors.

    A frame whose variables are cleared still holds its function, and that function's closure: a stream, and through it
    the network. Of an error that is ``retried`` the traceback is therefore logged and dropped.
    """
    link: BaseException | None = error
    while link is not None:
        traceback.clear_frames(link.__traceback__)
        if retried:
            logging.getLogger(__name__).debug("an error that is retried", exc_info=link)
            link.__traceback__ = None
        link = link.__cause__ or link.__context__


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, VidsrError) else f"{type(error).__name__}: {error}"
