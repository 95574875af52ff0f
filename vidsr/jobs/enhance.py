"""``enhance``: the one entry point for every kind of source, which chooses the kind of job."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from vidsr.errors import InputError, Interrupted, OptionsError, OutputError
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.events import Event, Progress, silent
from vidsr.jobs.state.result import EnhanceResult
from vidsr.media import image_sequence
from vidsr.media.pictures.files import FORMATS, is_picture
from vidsr.options.enhance_options import EnhanceOptions, default_output
from vidsr.options.keywords import EnhanceKeywords, chosen_options

if TYPE_CHECKING:
    from vidsr.inference.upscaler import Upscaler

_MANY_FRAMES = (".gif", ".apng")


def enhance(
    source: Path | str,
    output: Path | str | None = None,
    *,
    options: EnhanceOptions | None = None,
    progress: Progress = silent,
    stop: Stop | threading.Event | None = None,
    **keywords: Unpack[EnhanceKeywords],
) -> EnhanceResult:
    """Enhance a video, a picture, a folder of pictures, or numbered pictures such as ``frames/%06d.png``.

    >>> result = enhance("clip.mp4", "large.mkv", scale=2, codec="hevc")  # doctest: +SKIP

    Work on a video, a folder or numbered pictures can be resumed: the same call after an interruption of any kind
    continues with the first unfinished part.

    Args:
        source: the file, folder or pattern to enhance.
        output: the file, folder or pattern to write. By default a name next to the source that contains the size, such
            as ``clip.x4.mkv``. A pattern writes a video as numbered pictures.
        options: all options in one object. Give either this or keywords.
        progress: called with an :class:`~vidsr.Event` for everything that happens, in the calling thread.
        stop: set this event from another thread or a signal handler to cancel the work, which then raises
            ``Interrupted``. :func:`vidsr.start_job` returns a handle that does this for you.
        keywords: single options by name, as ``vidsr enhance --help`` lists them with ``_`` for ``-``.

    Raises:
        OptionsError: an option is out of range, options contradict each other, or both ``options`` and keywords were
            given.
        InputError: the source is missing, damaged, or not a video or picture.
        OutputError: the result already exists, is the source, or cannot be written.
        ModelError: the model is unknown or cannot be used.
        Interrupted: ``stop`` was set.
        VidsrError: any other failure, see :mod:`vidsr.errors`. No partial file is ever left under the output's name.
    """
    chosen = chosen_options(options, keywords)
    if chosen.jobs.watch:
        raise OptionsError("--watch: a single source is not watched; vidsr.enhance_many watches folders")
    return enhance_source(source, output, chosen, progress=progress, stop=Stop.of(stop))


def enhance_source(
    source: Path | str,
    output: Path | str | None,
    chosen: EnhanceOptions,
    *,
    progress: Progress = silent,
    stop: Stop | None = None,
    upscaler: Upscaler | None = None,
) -> EnhanceResult:
    """:func:`enhance` with checked options. ``upscaler``, made from them, saves a picture loading the network.

    Raises:
        VidsrError: as for :func:`enhance`.
    """
    from vidsr.jobs.choosing.settle import settle

    target = None if output is None else Path(output)
    settled = settle(Path(source), target, chosen, kind_of(Path(source), target), progress=progress, stop=stop)
    chosen = settled.options
    for note in settled.notes:
        progress(Event(kind="note", text=note))
    result = _enhance(source, output, chosen, progress, stop or Stop(), upscaler)
    result = dataclasses.replace(result, notes=(*settled.notes, *result.notes))
    facts = result.to_json()
    if chosen.output.invention != "off":
        facts["invention"] = _invention(Path(source), result, chosen, progress)
    if chosen.output.provenance:
        from vidsr.jobs import provenance

        record = provenance.write(source, result.output, chosen, facts)
        progress(Event(kind="note", text=f"provenance: {record.name}"))
    return result


def _invention(
    source: Path, result: EnhanceResult, chosen: EnhanceOptions, progress: Progress
) -> dict[str, float] | None:
    """Write the map of invention; the film's figures, None where there is no map, with a note that says why."""
    from vidsr.jobs.compare.invention import map_invention
    from vidsr.jobs.compare.invention_file import invention_file
    from vidsr.jobs.invention.sampling import FrameSampling
    from vidsr.models.zoo import load_chosen

    target = invention_file(result.output, chosen.output.invention)
    progress(Event(kind="stage", text="invention"))
    try:
        if result.kind != "video":
            raise OptionsError("only videos are measured")
        # Figures alone need no more than a part of the frames.
        sampling = None
        if chosen.output.invention == "json":
            sampling = FrameSampling.of(load_chosen(chosen.model).network, result.frames)
        device = chosen.model.device
        tally = map_invention(
            source,
            result.output,
            target,
            device=device,
            sampling=sampling,
            span=chosen.span,
            written=result.frames,
        )
    except (InputError, OptionsError) as error:
        # The result is whole and named by now; it is not taken back because it cannot be judged.
        progress(Event(kind="note", text=f"--invention: not measured: {error}"))
        return None
    film = tally.film()
    shares = f"{film['supported_percent']:.0f} % supported by the source, {film['invented_percent']:.0f} % invented"
    progress(Event(kind="note", text=f"{target.name}: {shares}"))
    return film


def _enhance(
    source: Path | str,
    output: Path | str | None,
    chosen: EnhanceOptions,
    progress: Progress,
    stop: Stop,
    upscaler: Upscaler | None,
) -> EnhanceResult:
    """Run the kind of job that source and output ask for."""
    path = Path(source)
    target = None if output is None else Path(output)
    kind = kind_of(path, target)
    if kind in ("video", "numbered"):
        from vidsr.jobs.open_source import open_early

        stored = open_early(path, target, chosen)
        with _uncollected():
            from vidsr.jobs.run_video import enhance_video

        return enhance_video(path, target, chosen, progress=progress, stop=stop, stored=stored)
    refuse_span(path, chosen)
    refuse_masks(path, chosen)
    if chosen.output.masters:
        raise OptionsError(f"--masters writes two videos; {source} is a {kind}")
    stoppable = _stopping(progress, stop.soft)
    if kind == "folder":
        return _folder(path, target, chosen, stoppable)
    return _picture(path, target, chosen, stoppable, upscaler)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Without garbage collection. Importing PyTorch makes hundreds of thousands of objects that all stay; looking
    through them again and again takes an eighth of the time. Afterwards they count as old without having been looked
    at."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if gc.get_freeze_count() == 0:  # else some objects were frozen on purpose
            gc.freeze()
            gc.unfreeze()
        if enabled:
            gc.enable()


def kind_of(source: Path, output: Path | None) -> str:
    """The kind of job, by its result: "video", "picture", "folder" (of pictures) or "numbered" (pictures).

    Numbered pictures that become a video are a video like any other.
    """
    if output is not None and image_sequence.is_pattern(output):
        return "numbered"
    if image_sequence.is_pattern(source):
        return "numbered" if output is None else "video"
    if source.is_dir():
        return "folder"
    if not is_picture(source):
        return "video"
    to_video = output is not None and output.suffix.lower() not in FORMATS
    return "video" if to_video and source.suffix.lower() in _MANY_FRAMES else "picture"


def refuse_span(source: Path, options: EnhanceOptions) -> None:
    """Refuse a part of something that has no duration.

    Raises:
        OptionsError: the options name a part of a video; ``source`` is a picture or a folder of pictures.
    """
    if options.span.is_whole:
        return
    what = "is a folder of pictures" if source.is_dir() else "is a picture"
    way = "; for numbered pictures, name their pattern (frames/%06d.png)" if source.is_dir() else ""
    if source.suffix.lower() in _MANY_FRAMES:
        way = "; to take a part of an animation, name a video as --output"
    raise OptionsError(f"{options.span}: {source} {what}, only videos have parts{way}")


def refuse_masks(source: Path, options: EnhanceOptions) -> None:
    """Refuse masks, which belong to the frames of a video, for still pictures.

    Raises:
        OptionsError: the options name masks.
    """
    if options.restore.masks is not None:
        raise OptionsError(f"--masks {options.restore.masks}: {source} is not a video; masks are for videos only")


def _stopping(progress: Progress, stop: threading.Event) -> Progress:
    """``progress`` that ends the work between two pictures once ``stop`` is set."""

    def checked(event: Event) -> None:
        progress(event)
        if stop.is_set() and event.kind == "frame":
            raise Interrupted("stopped; finished pictures are kept, run the same command again to continue")

    return checked


def _picture(
    source: Path, output: Path | None, options: EnhanceOptions, progress: Progress, upscaler: Upscaler | None
) -> EnhanceResult:
    from vidsr.inference.upscaler import Upscaler
    from vidsr.jobs.disk_space import check_output
    from vidsr.jobs.invention.limit import limit_of
    from vidsr.jobs.stills.picture import enhance_picture

    if not source.exists():
        raise InputError(f"{source} does not exist")
    upscaler = upscaler or Upscaler(options.model, limit=limit_of(options.restore))
    target = output or default_output(source, options.size, upscaler.scale, source.suffix)
    if target.is_dir():
        target = target / source.name
    check_output(source, target, overwrite=options.output.overwrite)
    made = enhance_picture(source, target, options, upscaler)
    for note in made.notes:
        progress(Event(kind="note", text=note))
    return EnhanceResult(
        kind="picture",
        output=made.output,
        size=made.size,
        frames=made.frames,
        seconds=made.seconds,
        model=options.model.model,
        device=str(upscaler.device),
        precision=upscaler.precision,
        notes=made.notes,
    )


def _folder(source: Path, output: Path | None, options: EnhanceOptions, progress: Progress) -> EnhanceResult:
    from vidsr.inference.device import choose_device, choose_precision
    from vidsr.inference.upscaler import Upscaler
    from vidsr.jobs.invention.limit import limit_of
    from vidsr.jobs.stills.folder import enhance_folder
    from vidsr.jobs.stills.restoration import left_out_note, needs_time
    from vidsr.models.zoo import load_chosen

    began = time.perf_counter()
    model = load_chosen(options.model)
    device = choose_device(options.model.device)
    here = source.absolute()
    target = output or default_output(here.with_name(here.name + ".d"), options.size, model.scale, "")
    if target.resolve() == source.resolve():
        raise OutputError(f"{target} is the source folder itself: name another folder with --output")
    notes: tuple[str, ...] = ()
    left_out = needs_time(options.restore)
    if left_out:
        notes = (left_out_note(left_out),)
        progress(Event(kind="note", text=notes[0]))
    done = enhance_folder(
        source,
        target,
        options,
        lambda: Upscaler(options.model, model=model, limit=limit_of(options.restore)),
        progress=progress,
        model_digest=model.sha256,
    )
    return EnhanceResult(
        kind="folder",
        output=done.output,
        frames=len(done.done) + done.resumed,
        resumed_frames=done.resumed,
        seconds=time.perf_counter() - began,
        model=options.model.model,
        device=str(device),
        precision=choose_precision(options.model.precision, device),
        pictures=done.done,
        skipped=done.skipped,
        notes=notes,
    )
