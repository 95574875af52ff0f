"""Before any work: can the result be made as asked, and what will be missing from it?

Muxers silently drop what they cannot store, and no table lists all of it. So a result of one grey frame
is made by the code that makes the real one, read back, and held against the source by the very checks that verify the
real one. What differs there is announced before the work; nothing else may differ after it.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from vidsr.errors import NoPlaceError, VidsrError
from vidsr.frames import Frame
from vidsr.media import libav
from vidsr.media.check.picture_checks import check_picture
from vidsr.media.check.stream_checks import check_contents, check_label, pairs_by_kind
from vidsr.media.check.verify_report import Check
from vidsr.media.encode.encoder import EncoderSettings, SegmentEncoder, add_video, start_video
from vidsr.media.index import VideoIndex
from vidsr.media.mux.assemble import (
    EncodedVideo,
    ResultPlan,
    dress_video,
    enhanced_stream,
    start_offset,
    write_result,
    write_tags,
)
from vidsr.media.mux.containers import muxer_options
from vidsr.media.mux.copied_streams import CopiedStreams
from vidsr.media.mux.labels import kept_tags, lost_labels
from vidsr.media.mux.restoration_tag import content_tags
from vidsr.media.mux.streams import notes_of
from vidsr.media.probe import probe
from vidsr.media.source import ShapedInfo, StoredInfo
from vidsr.options.enhance_options import EnhanceOptions

#: Longest side in pixels of the frame that is tried out.
_TRIAL_PX = 256


def preflight(info: ShapedInfo, settings: EncoderSettings, output: Path, options: EnhanceOptions) -> tuple[str, ...]:
    """Build the real header of the result in memory, then a small result, and list what will be lost.

    Returns what the user should know: streams converted or left out, and what codec and container cannot keep.

    Raises:
        NoPlaceError: the container cannot hold the codec or a stream.
        EncodeError: the encoder refuses its settings.
    """
    plan = ResultPlan.of(info, settings, output, options)
    if settings.alpha_aside and plan.container.muxer not in ("matroska", "webm"):
        raise NoPlaceError(
            f"{output}: {plan.container.name} cannot hold the transparency of {settings.codec}; write to .mkv or .webm"
        )
    _try_header(plan)
    losses = expected_losses(plan).values()
    cannot = [f"{plan.container.name} cannot keep the {c.name}: {c.source} becomes {c.result}" for c in losses]
    return (*settings.format.notes, *notes_of(plan.streams), *_lost_labels(plan), *cannot)


def expected_losses(plan: ResultPlan) -> dict[str, Check]:
    """The checks that a result of this plan cannot pass, by name, as found in a result of one frame.

    Also empty where no such result can be made, for lack of space for example: the real one will show why.
    """
    checks = list(_trial_checks(plan))
    return {check.name: check for check in checks if check.state == "different"}


def _trial_checks(plan: ResultPlan) -> Iterator[Check]:
    info, entry = plan.info, plan.container
    trial = replace(plan, settings=_trial_settings(plan))
    with tempfile.TemporaryDirectory(prefix="vidsr-") as folder:
        made = _trial_result(trial, Path(folder))
        if made is None:
            return
        yield from check_picture(info.video, made.video, trial.settings)
        yield from check_label(enhanced_stream(info), enhanced_stream(made), entry)
        for stream_plan, stream in pairs_by_kind(plan.streams, made, entry, complete=True):
            if stream_plan.action != "cover":
                yield from check_label(stream_plan.source, stream, entry)
        yield from check_contents(info, made, entry, start_offset(entry, _trial_index(info), plan.streams))


def _trial_settings(plan: ResultPlan) -> EncoderSettings:
    """The plan's settings for a small picture; for the whole one where pixel shape or orientation depend on it."""
    settings, matrix = plan.settings, plan.info.video.display_matrix
    if settings.sar != 1 or (matrix is not None and any(matrix[6:8])):
        return settings
    # Even and odd sides stay so: some codecs take only even ones.
    sides = (side if side <= _TRIAL_PX else _TRIAL_PX - side % 2 for side in (settings.width, settings.height))
    width, height = sides
    return replace(settings, width=width, height=height)


def _trial_result(plan: ResultPlan, folder: Path) -> StoredInfo | None:
    """A result of one frame, probed; without the copied streams where their first packets alone make no file."""
    path = folder / f"result.{plan.container.name}"
    for streams in dict.fromkeys((plan.streams, ())):
        with contextlib.suppress(VidsrError, libav.AvError, OSError, ValueError):
            video = _encode_one(plan, folder / "segment.nut")
            write_result(replace(plan, streams=streams), video, path, packets_per_stream=1)
            return probe(path)
    return None


def _encode_one(plan: ResultPlan, path: Path) -> EncodedVideo:
    """A segment of one grey frame."""
    settings, video = plan.settings, plan.info.video
    format = settings.format.frames
    shapes = [format.plane_shape(n, settings.width, settings.height) for n in range(format.plane_count)]
    planes = tuple(np.full(shape, 1 << (format.depth - 1), format.dtype) for shape in shapes)
    frame = Frame(
        planes=planes, format=format, colour=settings.format.colour, index=0, pts=0, time_base=video.time_base
    )
    with SegmentEncoder(path, settings) as encoder:
        encoder.write(frame)
    return EncodedVideo.read([path], _trial_index(plan.info))


def _trial_index(info: ShapedInfo) -> VideoIndex:
    """One frame, where the source says that it begins."""
    return VideoIndex(pts=(info.video.start or 0,), durations=(info.video.step,), time_base=info.video.time_base)


def _try_header(plan: ResultPlan) -> None:
    """Write the header of the real result in memory, with every stream.

    Raises:
        OutputError, EncodeError: as :func:`preflight`.
    """
    with libav.open_input(plan.info.path, whole=True) as source:
        trial = plan.open(io.BytesIO())
        try:
            stream = add_video(trial, plan.settings)
            dress_video(stream, plan)
            CopiedStreams(source, plan.info, plan.streams).add_to(trial, plan.container)
            write_tags(trial, plan.info)
            start_video(trial, stream, plan.settings)
        except ValueError as error:
            raise NoPlaceError(f"{plan.container.name} cannot hold what {plan.info.path} has: {error}") from error
        finally:
            with contextlib.suppress(libav.AvError, OSError, ValueError):
                trial.close()


def _lost_labels(plan: ResultPlan) -> list[str]:
    """One note on the languages, titles, roles and tags that the container has no place for."""
    info, entry = plan.info, plan.container
    streams = [enhanced_stream(info), *(p.source for p in plan.streams if p.action in ("copy", "convert"))]
    tags = content_tags(info.metadata)
    tags.pop("timecode", None)
    kept = kept_tags(entry, tags, muxer_options(entry, info))
    missing = [*lost_labels(entry, streams), *(f"the tag {key}" for key in tags if key not in kept)]
    return [f"{entry.name} has no place for {', '.join(missing)}"] if missing else []
