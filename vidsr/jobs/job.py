"""A running job: its options and source, opened, checked, and tied to its folder."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

from vidsr.errors import InputError, JobError, NoPlaceError, OutputError
from vidsr.filters.before.timeline import Timeline
from vidsr.filters.between.rate_table import RateTable
from vidsr.jobs.choosing.neighbour_memory import as_begun, with_memory_checked
from vidsr.jobs.disk_space import already_there, check_output, check_writable
from vidsr.jobs.invention.master_checks import check_master
from vidsr.jobs.messages import Task
from vidsr.jobs.option_command import absolute_paths
from vidsr.jobs.recipe.recipe import Recipe
from vidsr.jobs.recipe.restoration_plan import PlannedFrames
from vidsr.jobs.state import job_folders
from vidsr.jobs.state.event_log import Journal
from vidsr.jobs.state.events import Event, Progress
from vidsr.jobs.state.index_file import load_index, load_rate_table, load_timeline, save_index
from vidsr.jobs.state.lock import LOCK_NAME, lock_mark
from vidsr.jobs.state.manifest import INDEX_NAME, MANIFEST_NAME, SEGMENTS_NAME, Binding, Manifest, SourceIdentity
from vidsr.jobs.ways_out import with_way_out
from vidsr.media import image_sequence
from vidsr.media.check.preflight import preflight
from vidsr.media.encode.encoder import EncoderSettings
from vidsr.media.index import VideoIndex
from vidsr.media.joined import first_of
from vidsr.media.mux.containers import choose_suffix
from vidsr.media.source import StoredInfo
from vidsr.media.source_files import stamp
from vidsr.media.span import Span
from vidsr.options.enhance_options import EnhanceOptions, default_output
from vidsr.options.span_options import SpanOptions, earliest
from vidsr.storage import WORK_PREFIX, os_errors, sampled_digest
from vidsr.system_memory import give_back_free_memory
from vidsr.version import __version__

#: Options that say where and how the work is done, not what comes out; they may change between two runs of a job.
#: The model is bound by the digest of its weights, wherever the file lies.
FREE_OPTIONS = frozenset(
    {
        *("model.model", "model.finish_within", "model.device", "model.batch"),
        *("output.overwrite", "output.provenance", "output.invention", "output.verify"),
        "source.join",  # the identity of the source covers all its parts
        "restore.masks",  # the binding has a digest of the masks, wherever they lie
    }
)
BOUND_JOB_OPTIONS = frozenset({"jobs.segment_frames"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedJob:
    """A recipe with its output that passed every check which costs no work."""

    output: Path
    recipe: Recipe
    binding: Binding
    notes: tuple[str, ...]

    @property
    def options(self) -> EnhanceOptions:
        """The options, every filter and parameter named."""
        return self.recipe.options

    @property
    def folder(self) -> Path:
        """The job's folder."""
        return job_folders.job_folder(self.output)

    @property
    def source(self) -> str:
        """The source's absolute path, or its address."""
        path = self.recipe.stored.path
        return path if isinstance(path, str) else str(path.absolute())


@dataclass(slots=True, kw_only=True)
class Job:
    """A prepared order with its manifest; the folder's lock is held.

    ``index`` lists the frames of the result, ``source_index`` those of the source, ``timeline`` those of filters that
    change them; ``span`` is the part of the source to work on, None for all; ``table`` says what each frame of the
    result is made of, where some are made in between.
    """

    order: PreparedJob
    manifest: Manifest
    index: VideoIndex
    source_index: VideoIndex
    timeline: Timeline | None
    journal: Journal
    settings: EncoderSettings
    notes: tuple[str, ...]
    span: Span | None = None
    table: RateTable | None = None
    resumed_frames: int = 0
    begun: float = field(default_factory=time.perf_counter)

    @property
    def folder(self) -> Path:
        """The job's folder."""
        return self.order.folder

    def save(self) -> None:
        """Write the manifest."""
        self.manifest.save(self.folder)

    def segment_paths(self) -> list[Path]:
        """The files of all segments, in order."""
        return [self.folder / SEGMENTS_NAME / segment.file_name for segment in self.manifest.segments()]

    def task(self) -> Task:
        """What workers need to know of the job. The codec is the one chosen here, whatever else a worker has."""
        options = self.order.options
        encode = dataclasses.replace(options.encode, codec=self.settings.codec)
        model = dataclasses.replace(options.model, batch=options.model.batch or self._earlier_batch())
        return Task(
            job=self.manifest.job,
            source=self.manifest.source,
            folder=str(self.folder),
            options=dataclasses.replace(options, encode=encode, model=model).to_json(),
            model_sha256=self.order.binding.model_sha256,
            encoder=self.order.binding.encoder,
            encoder_threads=self.manifest.encoder_threads,
            pictures=self.order.output.suffix.lower() if self.order.recipe.picture is not None else "",
            lock_mark=lock_mark(self.folder),
        )

    def _earlier_batch(self) -> int | None:
        """Frames per step of earlier runs: on a GPU, unlike on a CPU, results depend on it in their last bit."""
        batches = [f.batch for f in self.manifest.finished.values() if f.batch and not f.fallback]
        return min(batches, default=None)


def bound_options(options: EnhanceOptions) -> dict[str, Any]:
    """The options that shape the result, as ``group.field`` → value."""
    flat = {f"{group}.{name}": value for group, values in options.to_json().items() for name, value in values.items()}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in flat.items()
        if name not in FREE_OPTIONS and (not name.startswith("jobs.") or name in BOUND_JOB_OPTIONS)
    }


def prepare(
    source: Path,
    output: Path | None,
    options: EnhanceOptions,
    *,
    dry: bool = False,
    new_folder: bool = False,
    stored: StoredInfo | None = None,
) -> PreparedJob:
    """Probe the source, load the model, settle the output and try its header.

    A ``dry`` preparation makes no folder. With ``new_folder``, the result's folder may be missing: it will be made.
    ``stored`` is the source where it was opened already.

    Raises:
        VidsrError: something is wrong with the source, the output, the options or the model.
    """
    options = absolute_paths(options)
    numbered = image_sequence.is_pattern(output or source)
    asked, container = output, output.suffix.lower() if output is not None and not numbered else ""
    pictures = (output or source).suffix.lower() if numbered else ""
    notes: tuple[str, ...] = ()
    try:
        recipe = Recipe.of(source, options, pictures=pictures, container=container, stored=stored)
        if numbered:
            output = (output or _default_pattern(source, options, recipe.model.scale)).absolute()
            check_pattern(recipe.stored, output, options, make_folder=not dry)
        else:
            suffix = choose_suffix(recipe.stored, recipe.options.encode.codec)
            output = (
                output or default_output(first_of(source), options.size, recipe.model.scale, suffix, options.span)
            ).absolute()
            if output.is_symlink():
                output = output.resolve()  # else the link would be replaced, and its target kept as it is
            overwrite = options.output.overwrite or is_published(output)
            check_output(Path(recipe.stored.path), output, overwrite=overwrite, new_folder=new_folder)
            losses = preflight(recipe.shaped, recipe.settings, output, recipe.options)
            notes = (*losses, *check_master(recipe, output, new_folder=new_folder))
    except NoPlaceError as error:
        if numbered or asked is None:
            raise
        raise with_way_out(error, source, asked, options) from error
    recipe = as_begun(with_memory_checked(recipe), job_folders.job_folder(output))
    binding = Binding(
        source=SourceIdentity.of(recipe.stored.path),
        options=bound_options(recipe.options),
        model=options.model.model,
        model_sha256=recipe.model.sha256,
        encoder=recipe.build,
        vidsr=__version__,
        masks=recipe.masks_digest(),
    )
    notes = tuple(dict.fromkeys((*recipe.advice(), *recipe.notes, *notes)))
    return PreparedJob(output=output, recipe=recipe, binding=binding, notes=notes)


def _default_pattern(source: Path, options: EnhanceOptions, scale: int) -> Path:
    """A folder next to that of the source's pictures, with the same file names."""
    tag = f"x{options.size.scale or scale:g}"
    folder = source.absolute().parent
    return folder.with_name(f"{folder.name}.{tag}") / source.name


def first_number(stored: StoredInfo, options: EnhanceOptions) -> int:
    """The number of the first picture of a result: as requested, else that of its source picture, else 1."""
    if options.pictures.start_number is not None:
        return options.pictures.start_number
    path = stored.path
    if not (isinstance(path, Path) and image_sequence.is_pattern(path)):
        return 1
    found = image_sequence.find(path)
    return found.first + _first_picture(options.span, found.count, stored.video.rate)


def _first_picture(span: SpanOptions, count: int, rate: Fraction) -> int:
    """How many of ``count`` numbered pictures lie before a span. Their times follow from their rate."""
    if span.frames is not None:
        return span.frames.first
    return min(count, max(0, ceil(earliest(span.begin) * rate)))


def check_pattern(stored: StoredInfo, output: Path, options: EnhanceOptions, *, make_folder: bool = True) -> None:
    """Refuse numbered pictures that cannot or must not be written, and make their folder if ``make_folder`` is set.

    Raises:
        OutputError: they are the source itself, files of these names exist without ``--overwrite`` and are not a job's
            that was interrupted while it named them, or the folder cannot be written.
        JobError: the folder cannot be made.
    """
    file = image_sequence.name_of(output, first_number(stored, options))
    if isinstance(stored.path, Path) and _same_pattern(output, stored.path):
        raise OutputError(f"{output} is the source itself; choose another --output")
    if file.exists() and not options.output.overwrite and not Manifest.is_publishing(job_folders.job_folder(output)):
        raise already_there(file)
    if make_folder:
        with os_errors("making", output.parent):
            output.parent.mkdir(parents=True, exist_ok=True)
    there = next(folder for folder in output.parents if folder.is_dir())
    check_writable(there)


def _same_pattern(output: Path, source: Path) -> bool:
    """Whether pictures of one pattern would replace those of the other, whatever their numbers are."""
    if not image_sequence.is_pattern(source):
        return False
    first = image_sequence.find(source).first
    file, begin = image_sequence.name_of(output, first), image_sequence.name_of(source, first)
    return file.exists() and file.samefile(begin)


def is_published(output: Path) -> bool:
    """Whether ``output`` is the result of a job that was ended between naming it and tidying up."""
    folder = job_folders.job_folder(output)
    if not (output.is_file() and (folder / MANIFEST_NAME).is_file()):
        return False
    try:
        manifest = Manifest.load(folder)
    except JobError:
        return False
    if manifest.state != "publishing" or manifest.result is None:
        return False
    return sampled_digest(output) == manifest.result.blake2


def open_job(order: PreparedJob, progress: Progress) -> Job:
    """Resume the job of ``order`` if its folder holds one, else begin it. The folder's lock must be held.

    Raises:
        JobError: the folder holds a job that was started with something else, or is damaged.
        InputError, DecodeError: the source cannot be indexed.
    """
    folder = order.folder
    journal = Journal(folder)
    if order.options.jobs.restart or not (folder / MANIFEST_NAME).exists():
        _clear_remains(folder)
        job = _begin(order, journal, progress)
    else:
        job = _resume(order, journal, progress)
    job_folders.remember(folder)
    return job


def _indexed(order: PreparedJob, progress: Progress) -> tuple[VideoIndex, Timeline | None, Span | None, PlannedFrames]:
    """Index the source and keep that in the job folder; the index, timeline, part to work on and frames to make."""
    progress(Event(kind="stage", text="index"))
    index = order.recipe.index()
    span = order.recipe.span(index)
    timeline = order.recipe.timeline(index)
    planned = order.recipe.frames(index, timeline, span)
    save_index(index, order.folder, timeline, planned.table)
    give_back_free_memory()  # what the demuxer of a long film held; the next one opens in another thread
    return index, timeline, span, planned


def _begin(order: PreparedJob, journal: Journal, progress: Progress) -> Job:
    index, timeline, span, planned = _indexed(order, progress)
    with os_errors("making a folder in", order.folder):
        (order.folder / SEGMENTS_NAME).mkdir(exist_ok=True)
    manifest = Manifest(
        job=job_folders.job_id(order.folder),
        source=order.source,
        output=str(order.output),
        options=order.options.to_json(),
        binding=order.binding,
        frames=len(planned.index),
        segment_frames=order.options.jobs.segment_frames,
        encoder_threads=order.recipe.settings.threads,
        created=time.time(),
        first=planned.first,
        span=None if span is None else span.to_json(),
        no_memory=order.recipe.no_memory,
    )
    manifest.save(order.folder)
    part = "" if span is None else f" ({span} of the source)"
    count = f"{manifest.frames} frames, {len(manifest.segments())} segments"
    journal.log(f"begun: {order.source}{part} to {order.output}, {count}")
    return Job(
        order=order,
        manifest=manifest,
        index=planned.index,
        source_index=index,
        timeline=timeline,
        span=span,
        table=planned.table,
        journal=journal,
        settings=order.recipe.settings,
        notes=_notes(order, span, index),
    )


def _notes(order: PreparedJob, span: Span | None, index: VideoIndex) -> tuple[str, ...]:
    """What the user should know of the job: the part of the source, and everything found in it."""
    return (*([] if span is None else [f"{order.options.span}: {span}"]), *order.notes, *index.notes)


def _resume(order: PreparedJob, journal: Journal, progress: Progress) -> Job:
    folder = order.folder
    manifest = Manifest.load(folder)
    changes = manifest.binding.changes(order.binding)
    if changes:
        raise JobError(
            f"{folder.name} was started with something else: {'; '.join(changes)}. "
            "Change it back to resume, continue with its original options with "
            f"{job_folders.resume_command(order.output)}, or give --restart to start over"
        )
    if manifest.state == "publishing" and not (folder / INDEX_NAME).exists():
        _indexed(order, progress)  # an earlier run was ended while it deleted this folder
    index = load_index(folder)
    span = None if manifest.span is None else Span.from_json(manifest.span)
    timeline = load_timeline(folder)
    planned = order.recipe.frames(index, timeline, span, load_rate_table(folder))
    if (planned.first, len(planned.index)) != (manifest.first, manifest.frames):
        raise JobError(
            f"{folder}: its index has {len(planned.index)} frames from {planned.first} on, its manifest "
            f"{manifest.frames} from {manifest.first} on; use --restart"
        )
    for stale in (folder / SEGMENTS_NAME).glob(f"{WORK_PREFIX}*"):
        _remove_tree(stale)
    bad = manifest.check_files(folder)
    if bad and manifest.state != "publishing":
        _report_damage(bad, journal, progress)
    # The paths may have moved; what they lead to is the same, as just checked.
    manifest.source, manifest.output = order.source, str(order.output)
    manifest.options, manifest.error = order.options.to_json(), None
    total = len(manifest.segments())
    text = f"resuming: {len(manifest.finished)} of {total} segments done"
    progress(Event(kind="note", text=text))
    journal.log(text)
    return Job(
        order=order,
        manifest=manifest,
        index=planned.index,
        source_index=index,
        timeline=timeline,
        span=span,
        table=planned.table,
        journal=journal,
        settings=dataclasses.replace(order.recipe.settings, threads=manifest.encoder_threads),
        notes=_notes(order, span, index),
        resumed_frames=manifest.frames_done(),
    )


def distrust_damaged(job: Job, progress: Progress) -> None:
    """Forget finished segments whose files are gone or damaged by now, perhaps days after they were made."""
    bad = job.manifest.check_files(job.folder)
    if bad:
        job.save()
        _report_damage(bad, job.journal, progress)


def _report_damage(numbers: list[int], journal: Journal, progress: Progress) -> None:
    listed = ", ".join(map(str, numbers))
    progress(Event(kind="warning", text=f"segments damaged or missing, computed again: {listed}"))
    journal.log(f"damaged or missing: segments {listed}")


def _clear_remains(folder: Path) -> None:
    """Empty a folder for a new job, keeping its lock."""
    with os_errors("clearing", folder):
        for entry in _ours(folder):
            if entry.is_dir():
                _remove_tree(entry)
            else:
                entry.unlink()


def _ours(folder: Path) -> Iterator[Path]:
    # The manifest first: without it nothing else in the folder counts.
    for entry in sorted(folder.iterdir(), key=lambda e: e.name != MANIFEST_NAME):
        if job_folders.is_ours(entry) and entry.name != LOCK_NAME:
            yield entry


def _remove_tree(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def source_unchanged(job: Job) -> None:
    """Check by size and modification time that the source is still the one that the job began with.

    Raises:
        InputError: it is not.
    """
    identity = job.manifest.binding.source
    if isinstance(job.order.recipe.stored.path, str):
        return  # an address has no modification time
    try:
        now = stamp(job.order.recipe.stored.path)
    except OSError as error:
        raise InputError(f"{job.order.source} is gone: {error.strerror}; put it back and resume") from error
    if now != (identity.size, identity.mtime_ns):
        raise InputError(f"{job.order.source} was changed while the job ran; put the old file back, or use --restart")
