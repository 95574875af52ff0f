"""``enhance`` for whatever is given: a video, a picture, a folder of pictures, numbered pictures."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vidsr.errors import InputError, Interrupted, OutputError
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.events import Event, Progress, silent
from vidsr.media import image_sequence
from vidsr.media.pictures.files import FORMATS, is_picture
from vidsr.options import EnhanceOptions, default_output

if TYPE_CHECKING:
    from vidsr.inference.upscaler import Upscaler

_MANY_FRAMES = (".gif", ".apng")


class Result(Protocol):
    """What every kind of job returns."""

    @property
    def output(self) -> Path:
        """Where the result is."""

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON values."""

    def timing_line(self) -> str:
        """One line about speed."""


def enhance(
    source: Path | str,
    output: Path | str | None = None,
    *,
    options: EnhanceOptions | None = None,
    progress: Progress = silent,
    stop: Stop | threading.Event | None = None,
    **flat: Any,
) -> Result:
    """Enlarge a video, a picture, a folder of pictures, or numbered pictures such as ``frames/%06d.png``.

    Args:
        source: what to enlarge.
        output: where the result goes; beside the source, with a telling name, if not given. For numbered pictures
            a pattern, or a video's name.
        options: all options; or give them by name: ``enhance("clip.mp4", scale=2, codec="hevc")``.
        progress: called with an :class:`~vidsr.jobs.state.events.Event` for all that happens, in the caller's thread.
        stop: set it from another thread or a signal handler to end the work; ``Interrupted`` is raised then. A
            :class:`~vidsr.jobs.state.cancel.Stop` can also wait for what is in work.

    Raises:
        VidsrError: a subclass says what is wrong with the source, output, options, model or device. Nothing
            half-written is left under the output's name.
    """
    chosen = (options or EnhanceOptions.from_flat(flat)).check()
    result = _enhance(source, output, chosen, progress, Stop.of(stop))
    if chosen.output.provenance:
        from vidsr.jobs import provenance

        record = provenance.write(source, result.output, chosen, result.to_json())
        progress(Event(kind="note", text=f"provenance: {record.name}"))
    return result


def _enhance(
    source: Path | str, output: Path | str | None, chosen: EnhanceOptions, progress: Progress, stop: Stop
) -> Result:
    """The kind of job that the source asks for."""
    path = Path(source)
    target = None if output is None else Path(output)
    kind = kind_of(path, target)
    if kind == "video":
        from vidsr.jobs.run_video import enhance as enhance_video

        return enhance_video(source, output, options=chosen, progress=progress, stop=stop)
    heard = _stopping(progress, stop.soft)
    if kind == "numbered":
        from vidsr.jobs.sequence import enhance_sequence

        return enhance_sequence(path, target, chosen, progress=progress, stop=stop.soft)
    if kind == "folder":
        return _folder(path, target, chosen, heard)
    return _picture(path, target, chosen, heard)


def kind_of(source: Path, output: Path | None) -> str:
    """What kind of job this is by its result: "video", "picture", "folder" or "numbered" pictures.

    Numbered pictures as the source of a video are a video like any other.
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


def _upscaler(options: EnhanceOptions) -> Upscaler:
    from vidsr.inference.upscaler import Upscaler

    return Upscaler(options.model)


def _stopping(progress: Progress, stop: threading.Event) -> Progress:
    """``progress`` that ends the work between two pictures once ``stop`` is set."""

    def heard(event: Event) -> None:
        progress(event)
        if stop.is_set() and event.kind == "frame":
            raise Interrupted("stopped; the pictures that are done are kept, the same command does the others")

    return heard


def _picture(source: Path, output: Path | None, options: EnhanceOptions, progress: Progress) -> Result:
    from vidsr.jobs.stills.picture import check_output, enhance_picture

    if not source.exists():
        raise InputError(f"{source} does not exist")
    upscaler = _upscaler(options)
    target = output or default_output(source, options.size, upscaler.scale, source.suffix)
    if target.is_dir():
        target = target / source.name
    check_output(source, target, overwrite=options.output.overwrite)
    result = enhance_picture(source, target, options, upscaler)
    for note in result.notes:
        progress(Event(kind="note", text=note))
    return result


def _folder(source: Path, output: Path | None, options: EnhanceOptions, progress: Progress) -> Result:
    from vidsr.jobs.stills.folder import enhance_folder
    from vidsr.jobs.stills.restoration import left_out_note, needs_time
    from vidsr.models.zoo import load_chosen

    model = load_chosen(options.model)
    here = source.absolute()
    target = output or default_output(here.with_name(here.name + ".d"), options.size, model.scale, "")
    if target.resolve() == source.resolve():
        raise OutputError(f"{target}: is the source folder itself; give another with --output")

    left_out = needs_time(options.restore)
    if left_out:
        progress(Event(kind="note", text=left_out_note(left_out)))

    def network() -> Upscaler:
        from vidsr.inference.upscaler import Upscaler

        return Upscaler(options.model, model=model)

    return enhance_folder(source, target, options, network, progress=progress, model_digest=model.sha256)
