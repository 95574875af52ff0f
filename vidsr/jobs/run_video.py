"""The job on a video: from a source file to a finished result. The order of the work, top to bottom."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from vidsr.errors import DiskFullError, Interrupted, MissingExtraError, ModelError, OptionsError, VidsrError
from vidsr.filters.between.rate_table import Progression, progressions
from vidsr.filters.detect.lost_frames import Gap, gaps, timecode
from vidsr.filters.undo.change_count import FilterChanges, together
from vidsr.jobs.disk_space import disk_outlook
from vidsr.jobs.engines.engine import Engine, Inline, Slot, check_devices, choose_slots
from vidsr.jobs.engines.tracker import Tracker
from vidsr.jobs.finish import can_publish, finish
from vidsr.jobs.invention.master_name import master_of
from vidsr.jobs.job import Job, PreparedJob, distrust_damaged, open_job, prepare
from vidsr.jobs.messages import Order
from vidsr.jobs.neighbour_runs import joined_runs, neighbour_notes
from vidsr.jobs.recipe.restoration_plan import refills
from vidsr.jobs.state import job_folders
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.events import Event, Progress, of_job, silent
from vidsr.jobs.state.lock import JobLock
from vidsr.jobs.state.manifest import MANIFEST_NAME, SEGMENTS_NAME
from vidsr.jobs.state.result import EnhanceResult
from vidsr.jobs.state.segments import longest_first
from vidsr.media.source import StoredInfo
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.pipeline.segment import SegmentStats

#: Gaps that stay which are listed.
_LISTED = 6

#: Maximum rounds of remaking segments that the final check found damaged.
ROUNDS = 3


def enhance_video(
    source: Path,
    output: Path | None,
    options: EnhanceOptions,
    *,
    progress: Progress = silent,
    stop: Stop | None = None,
    stored: StoredInfo | None = None,
) -> EnhanceResult:
    """Enhance a video segment by segment; :func:`vidsr.jobs.enhance.enhance` calls this for whatever is a video.

    Finished segments are kept in a folder next to the result until the result is complete, so the same call after an
    interruption of any kind continues with the first unfinished one. ``stored`` is the source where it was opened
    already.

    Raises:
        VidsrError: as for :func:`vidsr.jobs.enhance.enhance`.
    """
    begin = time.perf_counter()
    stop = stop or Stop()
    check_devices(options)
    order = prepare(source, output, options, stored=stored)
    progress = of_job(job_folders.job_id(order.folder), progress)
    with JobLock(order.folder):
        job = _open(order, progress)
        try:
            _run(job, progress, stop)
        except Interrupted as error:
            job.journal.log("stopped")
            raise Interrupted(f"stopped; {_way_on(job)}") from error
        except Exception as error:
            _note_failure(job, error)
            raise
    result = _result(job, time.perf_counter() - begin)
    for note in result.notes[len(job.notes) :]:
        progress(Event(kind="note", text=note))
    progress(Event(kind="done", frames=result.frames, total_frames=result.frames))
    return result


def _open(order: PreparedJob, progress: Progress) -> Job:
    """The job, begun or resumed; a folder in which nothing was begun is not left behind."""
    try:
        return open_job(order, progress)
    except BaseException as error:
        if not (order.folder / MANIFEST_NAME).exists():
            job_folders.empty(order.folder)
        elif isinstance(error, Interrupted):
            raise Interrupted(f"stopped; to resume: {job_folders.resume_command(order.output)}") from error
        raise


def _run(job: Job, progress: Progress, stop: Stop) -> None:
    for note in job.notes:
        progress(Event(kind="note", text=note))
    progress(Event(kind="job", text=str(job.order.output), total_frames=job.manifest.frames))
    for _ in range(0 if can_publish(job) else ROUNDS):
        if not job.manifest.missing():
            break
        _make_segments(job, progress, stop)
        distrust_damaged(job, progress)
    stop.check()
    finish(job, progress)


def _make_segments(job: Job, progress: Progress, stop: Stop) -> None:
    """Have every missing segment made.

    Raises:
        Interrupted: a stop was requested before all were made.
        VidsrError: a segment failed.
    """
    missing = job.manifest.missing()
    (job.folder / SEGMENTS_NAME).mkdir(exist_ok=True)
    _check_disk(job, progress)
    slots = _slots(job)[: len(missing)]
    # A worker's decoder continues from one segment to the next, so that order saves more than balance does, except with
    # several workers on a source that can be sought in.
    in_order = job.index.linear or (len(slots) == 1 and job.order.options.jobs.engine != "ray")
    orders = [Order(segment=s) for s in (missing if in_order else longest_first(missing))]
    tracker = Tracker(job, progress, stop, len(slots))
    try:
        engine = _engine(job, slots)
        with stop.gently():
            engine.run(orders, stop, tracker)
    except (OptionsError, ModelError, MissingExtraError):
        _leave_nothing(job)  # the options cannot work: no reason to keep a job
        raise
    if tracker.failures:
        job.save()
        raise _failure(job, tracker)
    if job.manifest.missing():
        raise Interrupted("stopped on request")


def _check_disk(job: Job, progress: Progress) -> None:
    """Report how much disk space the job will need.

    Raises:
        DiskFullError: it cannot fit; a job of which nothing is done leaves nothing behind.
    """
    recipe = job.order.recipe
    master = None if recipe.master is None else recipe.master.settings
    outlook = disk_outlook(job.folder, job.settings, job.manifest, recipe.picture, master)
    progress(Event(kind="warning" if outlook.worrying else "note", text=str(outlook)))
    try:
        outlook.check()
    except DiskFullError:
        _leave_nothing(job)
        raise


def _leave_nothing(job: Job) -> None:
    """Remove a job that could not begin; one of which segments are finished stays."""
    if not job.manifest.finished:
        job_folders.empty(job.folder)
        job_folders.forget(job.folder)


def _slots(job: Job) -> list[Slot]:
    gpus = 0
    if job.order.options.model.device == "auto" and job.order.options.jobs.devices is None:
        import torch

        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return choose_slots(job.order.options, gpus)


def _engine(job: Job, slots: list[Slot]) -> Engine:
    task = job.task()
    if job.order.options.jobs.engine == "ray":
        from vidsr.jobs.engines.ray_cluster import RayEngine

        return RayEngine(task, job.order.options, job.order.recipe.model.files)
    if len(slots) > 1:
        from vidsr.jobs.engines.local_processes import LocalEngine

        return LocalEngine(task, slots)
    from vidsr.jobs.segment_worker import KnownJob, SegmentWorker

    slot = slots[0]
    known = KnownJob(recipe=job.order.recipe, index=job.source_index, timeline=job.timeline, table=job.table)
    return Inline(SegmentWorker(task, device=slot.device, threads=slot.threads, known=known))


def _failure(job: Job, tracker: Tracker) -> VidsrError:
    """One error for all failed segments: the class of the first, and the way on."""
    first = tracker.failures[0]
    segment = job.manifest.segments()[first.number]
    more = f" (and {len(tracker.failures) - 1} more)" if len(tracker.failures) > 1 else ""
    kind = type(first.error())
    return kind(
        f"segment {first.number}, frames {segment.start} to {segment.stop - 1}{more}: {first.message}. {_way_on(job)}"
    )


def _way_on(job: Job) -> str:
    done, all_ = len(job.manifest.finished), len(job.manifest.segments())
    return f"{done} of {all_} segments are done; to resume: {job_folders.resume_command(job.order.output)}"


def _note_failure(job: Job, error: Exception) -> None:
    """Keep the error with the job, where that is still possible: the disk may be the one that failed."""
    text = str(error) if isinstance(error, VidsrError) else f"{type(error).__name__}: {error}"
    job.journal.log(text)
    if not job.folder.exists():
        return
    job.manifest.error = text
    try:
        job.save()
    except VidsrError:
        return


def _result(job: Job, seconds: float) -> EnhanceResult:
    finished = [job.manifest.finished[number] for number in sorted(job.manifest.finished)]
    neighbours = joined_runs(run for one in finished for run in one.neighbours)
    held = tuple(sorted(number for one in finished for number in one.held))
    made = () if job.table is None else progressions(sorted(set(job.table.made()) - set(held)))
    stats = sum((SegmentStats(**f.timing) for f in finished), SegmentStats())  # type: ignore[arg-type]
    return EnhanceResult(
        kind="video" if job.order.recipe.picture is None else "sequence",
        output=job.order.output,
        size=(job.settings.width, job.settings.height),
        codec=job.settings.codec if job.order.recipe.picture is None else "",
        frames=job.manifest.frames,
        span=job.span,
        resumed_frames=job.resumed_frames,
        seconds=seconds,
        model=job.order.options.model.model,
        device=", ".join(sorted({f.device for f in finished})),
        precision=", ".join(sorted({f.precision for f in finished})),
        stats=stats,
        reused_frames=sum(f.reused for f in finished),
        reused_area=sum(f.unchanged for f in finished) / max(1, job.manifest.frames),
        neighbours=neighbours,
        made=made,
        held=held,
        text_held=job.order.recipe.options.restore.text == "hold",
        changes=_changes(job, [[FilterChanges.from_json(c) for c in one.changes] for one in finished]),
        master=None if job.order.recipe.master is None else master_of(job.order.output),
        notes=(
            *job.notes,
            *_made_notes(job, made, held),
            *neighbour_notes(job.order.options, neighbours),
            *_fallbacks(job),
        ),
    )


def _changes(job: Job, segments: Sequence[Sequence[FilterChanges]]) -> tuple[FilterChanges, ...]:
    """What each filter changed in all segments; times count from the start of the source."""
    start = float(job.source_index.pts[0] * job.source_index.time_base)
    changes = together(segments)
    for stretch in (stretch for one in changes for stretch in one.most):
        stretch.begin, stretch.end = max(0.0, stretch.begin - start), max(0.0, stretch.end - start)
    return changes


def _made_notes(job: Job, made: Sequence[Progression], held: Sequence[int]) -> Iterator[str]:
    """How many frames ``--rate`` or refill made, and how many were not made because of a cut or a long gap."""
    options = job.order.options
    cuts = f"; {len(held)} would lie across a cut and repeat a neighbour" if held else ""
    count = sum(len(range(*run)) for run in made)
    if refills(options):
        left = [timecode((job.index.pts[gap.after] - job.index.pts[0]) * job.index.time_base) for gap in _left(job)]
        more = ", …" if len(left) > _LISTED else ""
        long = f"; too long to be refilled, kept: the gap after {', '.join(left[:_LISTED])}{more}" if left else ""
        done = f"{count} of {job.manifest.frames} frames were made in place of lost ones"
        yield f"--restore refill: {'nothing to refill' if job.table is None else done}{cuts}{long}"
    elif job.table is not None:
        rate = options.restore.rate
        yield f"--rate {rate}: {count} of {job.manifest.frames} frames were made in between{cuts}"


def _left(job: Job) -> list[Gap]:
    """The gaps in a result whose gaps were filled."""
    return [gap for gap in gaps(job.index.pts, job.index.time_base) if gap.long]


def _fallbacks(job: Job) -> Iterator[str]:
    """One note for each way other than asked for in which segments were made."""
    ways: dict[str, list[int]] = {}
    for number, finished in sorted(job.manifest.finished.items()):
        if finished.fallback:
            ways.setdefault(finished.fallback, []).append(number)
    for way, numbers in ways.items():
        if len(numbers) == 1:
            yield f"segment {numbers[0]} was made {way}"
        else:
            total = len(job.manifest.segments())
            yield f"{len(numbers)} of {total} segments were made {way}, the first is {numbers[0]}"
