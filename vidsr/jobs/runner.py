"""``enhance``: from a source file to a finished result. The order of the work, top to bottom."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vidsr.frames import Frame
from vidsr.inference.upscaler import Upscaler
from vidsr.jobs.progress import Event, Progress, silent
from vidsr.jobs.result import EnhanceResult
from vidsr.jobs.target import check_output
from vidsr.media.assemble import assemble, preflight
from vidsr.media.container import choose_suffix
from vidsr.media.decode import read_frames
from vidsr.media.encode import EncoderSettings, SegmentEncoder
from vidsr.media.index import index_video
from vidsr.media.probe import probe
from vidsr.models.zoo import load_model
from vidsr.options import EnhanceOptions, default_output
from vidsr.pipeline.segment import run_segment


def enhance(
    source: Path | str,
    output: Path | str | None = None,
    *,
    options: EnhanceOptions | None = None,
    progress: Progress = silent,
    stop: threading.Event | None = None,
    **flat: Any,
) -> EnhanceResult:
    """Enlarge a video, keeping its sound, timing and colour.

    Args:
        source: the video file.
        output: where the result goes; beside the source, with a telling name, if not given.
        options: all options; or give them by name: ``enhance("clip.mp4", scale=2, codec="hevc")``.
        progress: called with an :class:`~vidsr.jobs.progress.Event` for all that happens, in the caller's thread.
        stop: set it from another thread or a signal handler to end the work; ``Interrupted`` is raised then.

    Raises:
        VidsrError: a subclass says what is wrong with the source, output, options, model or device. Nothing is
            left under the output's name.
    """
    begin = time.perf_counter()
    options = (options or EnhanceOptions.from_flat(flat)).check()
    source = Path(source)
    info = probe(source, options.colour)
    model = load_model(options.model.model)
    suffix = choose_suffix(info, options.encode.codec)
    output = Path(output) if output else default_output(source, options.size, model.scale, suffix)
    check_output(source, output, overwrite=options.output.overwrite)
    size = options.size.target(info.video.width, info.video.height, model.scale)
    settings = EncoderSettings.for_source(info.video, options.encode, size)
    notes = [*info.notes, *preflight(info, settings, output, options)]
    upscaler = Upscaler(options.model, model=model)
    progress(Event(kind="stage", text="index"))
    index = index_video(info)
    notes += index.notes
    for note in notes:
        progress(Event(kind="note", text=note))
    total = len(index.pts)
    with _workplace(output) as folder:
        part = folder / "segment.nut"
        done = 0

        def advance(frame: Frame) -> None:
            nonlocal done
            done += 1
            progress(Event(kind="frame", frames=done, total_frames=total))

        with SegmentEncoder(part, settings) as encoder:
            frames = read_frames(info, 0, None, index)
            upscale = upscaler.stream(size, settings.format.frames, settings.format.colour)
            stats = run_segment(frames, upscale, encoder, on_frame=advance, stop=stop)
        progress(Event(kind="stage", text="assemble"))
        assemble(info, index, [part], output, options, settings)
    progress(Event(kind="done", frames=stats.frames, total_frames=total))
    return EnhanceResult(
        output=output,
        frames=stats.frames,
        seconds=time.perf_counter() - begin,
        model=options.model.model,
        device=str(upscaler.device),
        precision=upscaler.precision,
        stats=stats,
        reused_frames=upscaler.stats.reused,
        notes=(*notes, *upscaler.stats.notes),
    )


@contextmanager
def _workplace(output: Path) -> Iterator[Path]:
    """A folder beside the output for the segment: the same disk, so that a rename is all it takes in the end."""
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as folder:
        yield Path(folder)
