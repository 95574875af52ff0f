"""``--dry-run``: everything that a job would do, found by the code that does it, with nothing written."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vidsr.errors import JobError
from vidsr.jobs.choosing.settle import settle
from vidsr.jobs.compare.invention_file import invention_file
from vidsr.jobs.disk_space import CERTAINTY, check_output
from vidsr.jobs.engines.engine import check_devices
from vidsr.jobs.invention.master_name import master_of
from vidsr.jobs.job import PreparedJob, prepare
from vidsr.jobs.option_command import command_line
from vidsr.jobs.preview.estimate import Estimate, estimate
from vidsr.jobs.state.events import Event, Progress, silent
from vidsr.jobs.state.manifest import MANIFEST_NAME, Manifest
from vidsr.jobs.stills.folder import files_in, names_of
from vidsr.jobs.stills.restoration import left_out_note, needs_time
from vidsr.media.mux.assemble import ResultPlan
from vidsr.media.mux.streams import StreamPlan, stream_kind
from vidsr.media.pictures.files import is_picture, read_picture
from vidsr.media.source import StreamInfo
from vidsr.models.zoo import load_chosen
from vidsr.options.command_options import SamplingOptions
from vidsr.options.enhance_options import EnhanceOptions, default_output
from vidsr.options.restore_options import RestoreOptions

#: One short stretch: enough for the order of magnitude, over in seconds.
SAMPLING = SamplingOptions(samples=2, sample_frames=6, budget_seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFate:
    """One stream of the source. ``action`` is "enhance", "copy", "convert", "attach", "cover", "timecode" or "drop";
    ``into`` is the codec it becomes, "" where it keeps its own; ``note`` says what is lost, or why it is left out."""

    index: int
    kind: str
    codec: str
    action: str
    into: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a job would do. Sizes in pixels as (width, height), bytes, seconds.

    ``kind`` is as in :class:`~vidsr.EnhanceResult`. ``writes`` are the files and folders that would be there in the
    end, ``temporary`` those that exist while the job runs. ``losses`` are the notes that the job itself would give.
    ``filters`` are the restoration before the network with its parameters, ``steps`` those after it. ``pictures``
    are the (source, result) pairs of a folder. ``estimate``, ``free_bytes`` and ``fits`` are of videos only;
    ``resumes`` says how far an interrupted run of the same job has come. ``command`` runs the job.
    """

    kind: str
    source: str
    output: Path
    source_size: tuple[int, int] | None
    size: tuple[int, int] | None
    codec: str
    pixel_format: str
    container: str
    streams: tuple[StreamFate, ...]
    filters: str
    steps: tuple[str, ...]
    losses: tuple[str, ...]
    model: str
    architecture: str
    device: str
    precision: str
    writes: tuple[str, ...]
    temporary: tuple[str, ...]
    replaces: bool
    resumes: str
    command: str
    pictures: tuple[tuple[str, str], ...] = ()
    estimate: Estimate | None = None
    free_bytes: int = 0
    fits: bool = True

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"output": str(self.output)}


def dry_run(
    source: Path | str,
    output: Path | str | None,
    options: EnhanceOptions,
    *,
    sampling: SamplingOptions = SAMPLING,
    progress: Progress = silent,
    new_folder: bool = False,
) -> DryRun:
    """Everything that :func:`vidsr.jobs.enhance.enhance` would do with these arguments.

    The source is read through once for its frames' times, and a few frames are enhanced in memory and in the system's
    folder for temporary files, to measure the speed. Nothing is left behind. With ``new_folder``, the result's folder
    will be made by the work of which this job is a part.

    Raises:
        VidsrError: whatever would stop the job before its first frame.
    """
    from vidsr.jobs.enhance import kind_of, refuse_span

    path, target = Path(source), None if output is None else Path(output)
    kind = kind_of(path, target)
    settled = settle(path, target, options, kind, progress=progress, new_folder=new_folder)
    if kind in ("video", "numbered"):
        run = _of_video(path, target, settled.options, sampling, progress, new_folder=new_folder)
    else:
        refuse_span(path, options)
        run = _of_pictures(path, target, settled.options, folder=kind == "folder", new_folder=new_folder)
    return replace(run, losses=(*settled.notes, *run.losses), command=command_line(source, output, options))


def _of_video(
    source: Path,
    output: Path | None,
    options: EnhanceOptions,
    sampling: SamplingOptions,
    progress: Progress,
    *,
    new_folder: bool,
) -> DryRun:
    check_devices(options)
    progress(Event(kind="stage", text="checks"))
    order = prepare(source, output, options, dry=True, new_folder=new_folder)
    recipe = order.recipe
    picture = recipe.picture
    found = estimate(source, recipe.options, sampling, progress=progress, recipe=recipe)
    free = shutil.disk_usage(next(p for p in order.output.parents if p.is_dir())).free
    record = (str(order.output) + ".provenance.json",) if options.output.provenance else ()
    if options.output.invention != "off" and picture is None:
        record = (*record, str(invention_file(order.output, options.output.invention)))
    if recipe.master is not None:
        record = (str(master_of(order.output)), *record)
    return DryRun(
        kind="video" if picture is None else "sequence",
        source=order.source,
        output=order.output,
        source_size=found.source_size,
        size=recipe.size,
        codec=found.codec,
        pixel_format=recipe.frame_format[0].name if picture is not None else recipe.settings.format.pixel_format,
        container="numbered pictures" if picture is not None else order.output.suffix.lstrip(".").lower(),
        streams=_fates(order),
        filters=str(recipe.options.restore.restore),
        steps=_steps(recipe.options),
        losses=order.notes,
        model=options.model.model,
        architecture=recipe.model.architecture,
        device=found.device,
        precision=found.precision,
        writes=(str(order.output), *record),
        temporary=(str(order.folder),),
        replaces=order.output.exists(),
        resumes=_resumes(order),
        command=command_line(source, output, options),
        estimate=found,
        free_bytes=free,
        fits=found.disk_bytes <= free * CERTAINTY,
    )


def _fates(order: PreparedJob) -> tuple[StreamFate, ...]:
    """Every stream of the source, in its order."""
    recipe = order.recipe
    info = recipe.shaped
    planned: dict[int, StreamPlan] = {}
    if recipe.picture is None:
        plan = ResultPlan.of(info, recipe.settings, order.output, order.options)
        planned = {p.source.index: p for p in plan.streams}
    fates = []
    for stream in info.streams:
        if stream.index == info.video.stream_index:
            codec = recipe.settings.codec if recipe.picture is None else recipe.picture.suffix.lstrip(".")
            fates.append(_fate(stream, "enhance", codec))
        elif stream.index in planned:
            chosen = planned[stream.index]
            fates.append(_fate(stream, chosen.action, chosen.codec or "", chosen.note or ""))
        else:
            why = "numbered pictures hold no other stream" if recipe.picture is not None else "left out as asked"
            fates.append(_fate(stream, "drop", note=why))
    return tuple(fates)


def _fate(stream: StreamInfo, action: str, into: str = "", note: str = "") -> StreamFate:
    return StreamFate(
        index=stream.index, kind=stream_kind(stream), codec=stream.codec, action=action, into=into, note=note
    )


def _steps(options: EnhanceOptions) -> tuple[str, ...]:
    """The steps after the network that these options ask for, as on the command line: ``--multiframe`` wherever it
    acts, the others where they are not the default."""
    restore = options.restore.to_json()
    shown = ("multiframe", "fidelity", "stabilize", "strength", "invent", "faces", "text", "grain")
    plain = EnhanceOptions(restore=RestoreOptions(multiframe=0.0)).restore.to_json()
    return tuple(f"{name} {restore[name]}" for name in shown if restore[name] not in (plain[name], "free"))


def _resumes(order: PreparedJob) -> str:
    """How far an earlier run of this job has come, in words; "" where there is none."""
    if not (order.folder / MANIFEST_NAME).is_file() or order.options.jobs.restart:
        return ""
    try:
        manifest = Manifest.load(order.folder)
    except JobError as error:
        return str(error)
    changes = manifest.binding.changes(order.binding)
    if changes:
        return f"impossible: {order.folder.name} was started with something else ({'; '.join(changes)}); see --restart"
    return f"{len(manifest.finished)} of {len(manifest.segments())} segments are done and will be kept"


def _of_pictures(
    source: Path, output: Path | None, options: EnhanceOptions, *, folder: bool, new_folder: bool
) -> DryRun:
    from vidsr.inference.device import choose_device, choose_precision

    model = load_chosen(options.model)
    device = choose_device(options.model.device)
    pairs: tuple[tuple[str, str], ...] = ()
    losses: tuple[str, ...] = ()
    source_size = size = None
    if folder:
        here = source.absolute()
        target = output or default_output(here.with_name(here.name + ".d"), options.size, model.scale, "")
        files = files_in(source, target)
        names = names_of(source, files, options)
        pairs = tuple((str(f), str(target / names[f])) for f in files if is_picture(f))
        losses = tuple(f"{f} is left out: not a picture" for f in files if not is_picture(f))
    else:
        target = output or default_output(source, options.size, model.scale, source.suffix)
        target = target / source.name if target.is_dir() else target
        check_output(source, target, overwrite=options.output.overwrite, new_folder=new_folder)
        picture = read_picture(source)
        picture.close()
        source_size, losses = picture.size, tuple(picture.notes)
        size = options.size.target(*picture.size, model.scale)
    left_out = needs_time(options.restore)
    return DryRun(
        kind="folder" if folder else "picture",
        source=str(source.absolute()),
        output=target.absolute(),
        source_size=source_size,
        size=size,
        codec="",
        pixel_format="",
        container=target.suffix.lstrip(".").lower(),
        streams=(),
        filters=str(options.restore.restore),
        steps=_steps(replace(options, restore=replace(options.restore, multiframe=0.0))),
        losses=((left_out_note(left_out),) if left_out else ()) + losses,
        model=options.model.model,
        architecture=model.architecture,
        device=str(device),
        precision=choose_precision(options.model.precision, device),
        writes=tuple(result for _, result in pairs) or (str(target.absolute()),),
        temporary=(),
        replaces=target.is_file(),
        resumes="",
        command=command_line(source, output, options),
        pictures=pairs,
    )


def described(run: DryRun) -> str:
    """The run in lines for people."""
    from vidsr.storage import human_bytes, human_seconds

    arrow = f"{_pixels(run.source_size)} → {_pixels(run.size)}" if run.source_size else f"{len(run.pictures)} pictures"
    coded = f", {run.codec} ({run.pixel_format}) in {run.container}" if run.codec else ""
    lines = [
        "dry run: nothing is written",
        f"source   {run.source}",
        f"result   {run.output}" + (" (replaces the existing file)" if run.replaces else ""),
        f"picture  {arrow}{coded}",
    ]
    lines += outline(run)
    if run.estimate is not None:
        e = run.estimate
        lines += [
            f"frames   {e.frames}" + (f", {e.made_frames} of them made in between" if e.made_frames else ""),
            f"time     about {human_seconds(e.seconds)} ({e.frames_per_second:.3g} frames/s; from "
            f"{e.sampled_frames} frames, vidsr plan measures more)",
            f"disk     about {human_bytes(e.disk_bytes)} while it runs, {human_bytes(e.result_bytes)} for the result"
            + (f" and {human_bytes(e.master_bytes)} for the master; " if e.master_bytes else "; ")
            + f"{human_bytes(run.free_bytes)} free"
            + ("" if run.fits else ": too little, the job will refuse to start"),
            f"memory   about {human_bytes(e.memory_bytes)}",
        ]
    lines += [f"makes    {path} (while it runs)" for path in run.temporary]
    lines += [f"resumes  {run.resumes}"] if run.resumes else []
    lines += [f"note     {note}" for note in run.losses]
    lines += [f"picture  {source} → {result}" for source, result in run.pictures]
    return "\n".join([*lines, f"command  {run.command}"])


def outline(run: DryRun) -> list[str]:
    """Streams, filters, steps and model, one line each: what a page shows that knows the rest."""
    return [
        *(f"stream   {fate_line(fate)}" for fate in run.streams),
        f"filters  {run.filters}",
        *([f"steps    {', '.join(run.steps)}"] if run.steps else []),
        f"model    {run.model} ({run.architecture}), on {run.device} in {run.precision}",
    ]


def _pixels(size: tuple[int, int] | None) -> str:
    return "?" if size is None else f"{size[0]}x{size[1]}"


def fate_line(fate: StreamFate) -> str:
    """One stream for people, such as "1 audio (pcm_mulaw): converted to flac"."""
    how = {"enhance": "enhanced", "copy": "copied", "convert": "converted", "attach": "attached",
           "cover": "kept as cover", "timecode": "kept as timecode", "drop": "left out"}[fate.action]  # fmt: skip
    into = f" to {fate.into}" if fate.into else ""
    note = f": {fate.note}" if fate.note else ""
    return f"{fate.index} {fate.kind} ({fate.codec}): {how}{into}{note}"
