"""Assemble the result: the packets of all segments on the source's true timeline, and every other stream of the
source beside them, copied."""

from __future__ import annotations

import contextlib
import heapq
import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import av.error

from vidsr.errors import JobError, OutputError
from vidsr.media import libav
from vidsr.media.encode.encoder import EncoderSettings, add_video, start_video, tag_colour
from vidsr.media.index import VideoIndex
from vidsr.media.mux.containers import ContainerEntry, container_of, muxer_options
from vidsr.media.mux.copied_streams import NO_OFFSET, Others
from vidsr.media.mux.labels import kept_tags, lost_labels, written_tags
from vidsr.media.mux.matroska import SPARE, display_size, set_display_size
from vidsr.media.mux.restoration_tag import RESTORED, content_tags, timecode_of
from vidsr.media.mux.segment_timing import PacketTime, retime
from vidsr.media.mux.streams import StreamPlan, notes_of, plan_streams
from vidsr.media.source import SourceInfo, StreamInfo
from vidsr.options import EnhanceOptions
from vidsr.storage import publish

_BITEXACT_CONTAINER = 0x0400
_PRIMING_SECONDS = Fraction(1, 5)
Timed = tuple[float, int, Any]


def preflight(info: SourceInfo, settings: EncoderSettings, output: Path, options: EnhanceOptions) -> tuple[str, ...]:
    """Build the real header of the result in memory: encoder, container and every other stream.

    Returns what the user should know: streams converted or left out, and what the codec cannot keep.

    Raises:
        OutputError: the container cannot hold the codec or a stream.
        EncodeError: the encoder refuses its settings.
    """
    entry = container_of(output, settings.codec)
    if _beside(settings) and entry.muxer not in ("matroska", "webm"):
        raise OutputError(f"{output}: {entry.name} cannot hold the transparency of vp9; write to .mkv or .webm")
    plans = plan_streams(info, entry, options.streams)
    with libav.open_input(info.path, whole=True) as source:
        trial = av.open(io.BytesIO(), "w", format=entry.muxer, options=muxer_options(entry, info))
        try:
            stream = add_video(trial, settings)
            dress_video(stream, info, entry)
            Others(source, info, plans).add_to(trial, entry)
            describe(trial, info)
            start_video(trial, stream, settings)
        except ValueError as error:
            raise OutputError(f"{entry.name} cannot hold what {info.path} has: {error}") from error
        finally:
            with contextlib.suppress(libav.AvError, OSError, ValueError):
                trial.close()
    return (*settings.format.notes, *notes_of(plans), *_lost(info, entry, plans))


def _lost(info: SourceInfo, entry: ContainerEntry, plans: Sequence[StreamPlan]) -> list[str]:
    """One note on the languages, titles, roles and tags that the container has no place for."""
    streams = [enhanced_stream(info), *(plan.source for plan in plans if plan.action in ("copy", "convert"))]
    tags = content_tags(info.metadata)
    tags.pop("timecode", None)
    kept = kept_tags(entry, tags, muxer_options(entry, info))
    missing = [*lost_labels(entry, streams), *(f"the tag {key}" for key in tags if key not in kept)]
    return [f"{entry.name} has no place for {', '.join(missing)}"] if missing else []


def assemble(
    info: SourceInfo,
    index: VideoIndex,
    segments: Sequence[Path],
    output: Path,
    options: EnhanceOptions,
    settings: EncoderSettings,
) -> None:
    """Write ``output`` from finished segments, which together hold exactly the frames of ``index``, in order.

    Every frame gets its source pts; the other streams' packets are copied byte for byte. The file appears under
    its name only when it is whole.

    Raises:
        JobError: the segments do not hold as many frames as the index.
        OutputError: the result cannot be written.
        DiskFullError: no space is left.
    """
    entry = container_of(output, settings.codec)
    plans = plan_streams(info, entry, options.streams)
    times = _read_times(segments, index)
    part = output.with_name(output.name + ".part")
    try:
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(libav.open_input(info.path, whole=True))
            with libav.writing(output):
                target = av.open(f"file:{part.absolute()}", "w", format=entry.muxer, options=muxer_options(entry, info))
                stack.callback(_close_quietly, target)
                first = stack.enter_context(libav.open_input(segments[0]))
                video = _add_video(target, first, settings, (info, entry))
                offset = start_offset(entry, index, plans)
                others = Others(source, info, plans, shifts=index.shifts, offset=offset)
                others.add_to(target, entry)
                describe(target, info, offset)
                if entry.muxer in ("matroska", "webm") and options.restore.reshaping():
                    target.metadata[RESTORED] = options.restore.reshaping()
                shaped = settings.sar != 1 and entry.muxer in ("matroska", "webm")
                if shaped:
                    video.metadata["title"] = video.metadata.get("title", "") + SPARE
                target.start_encoding()
                moved = round(offset / index.time_base)
                streams = [_video_packets(segments, times, (index, moved), video), others.packets()]
                for _, which, packet in heapq.merge(*streams, key=lambda timed: timed[:2]):
                    _mux(target, packet, copied=which == 1)
                target.close()
                if shaped:
                    set_display_size(part, display_size(settings.width, settings.height, settings.sar))
        with libav.writing(output):
            publish(part, output)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def start_offset(entry: ContainerEntry, index: VideoIndex, plans: Sequence[StreamPlan]) -> Fraction:
    """Seconds that all streams move up in MP4 and MOV, whose players cut off what lies before 0."""
    if entry.muxer not in ("mp4", "mov"):
        return Fraction(0)
    starts = [(plan.source.start or 0) * (plan.source.time_base or 0) for plan in plans if plan.action != "drop"]
    # What a decoder needs before the first sample, and throws away, may be cut off.
    early = [-start for start in starts if start < -_PRIMING_SECONDS]
    return Fraction(max(0, -index.pts[0] * index.time_base, *early))


def describe(target: av.container.OutputContainer, info: SourceInfo, offset: Fraction = NO_OFFSET) -> None:
    """Give the result the source's own tags and chapters, the latter ``offset`` seconds later."""
    target.flags |= _BITEXACT_CONTAINER
    tags = content_tags(info.metadata)
    tags.pop("timecode", None)  # written as a track or a tag of the video stream
    target.metadata.update(tags)
    if info.chapters:
        target.set_chapters(
            [
                {
                    "id": number + 1,
                    "start": chapter.start + round(offset / chapter.time_base),
                    "end": chapter.end + round(offset / chapter.time_base),
                    "time_base": chapter.time_base,
                    # Without a title, even an empty one, MP4 would give it the title of the next.
                    "metadata": {"title": "", **dict(chapter.metadata)},
                }
                for number, chapter in enumerate(info.chapters)
            ]
        )


def enhanced_stream(info: SourceInfo) -> StreamInfo:
    """The stream of the source that is enhanced."""
    return next(s for s in info.streams if s.index == info.video.stream_index)


def dress_video(stream: Any, info: SourceInfo, entry: ContainerEntry) -> None:
    """Give the enhanced stream the tags, disposition, orientation and clock of the source's."""
    video = info.video
    mine = enhanced_stream(info)
    stream.metadata.update(written_tags(entry, mine))
    stream.disposition = mine.disposition
    stream.time_base = video.time_base
    timecode = timecode_of(info)
    if timecode is not None:
        # MP4 and MOV make their timecode track from this tag; Matroska keeps the tag.
        stream.metadata["timecode"] = timecode
    if video.display_matrix is not None:
        stream.set_display_matrix(video.display_matrix)


def _add_video(
    target: av.container.OutputContainer,
    first: Any,
    settings: EncoderSettings,
    place: tuple[SourceInfo, ContainerEntry],
) -> Any:
    template = first.streams.video[0]
    stream = target.add_stream_from_template(template, opaque=True)
    context: Any = stream.codec_context
    context.width, context.height = settings.width, settings.height
    context.framerate = settings.rate
    context.sample_aspect_ratio = settings.sar
    tag_colour(context, settings)
    dress_video(stream, *place)
    if _beside(settings):
        # Without it players show the picture as if it had no alpha.
        stream.metadata["alpha_mode"] = "1"
    return stream


def _beside(settings: EncoderSettings) -> bool:
    """Whether alpha is a second picture beside each packet, as for VP9, which only Matroska can hold."""
    return settings.codec == "vp9" and settings.format.frames.alpha


def _read_times(segments: Sequence[Path], index: VideoIndex) -> list[PacketTime]:
    orders = []
    header: bytes | None = None
    for number, path in enumerate(segments):
        with libav.open_input(path) as container:
            stream = container.streams.video[0]
            packets = [(p.pts, p.is_keyframe) for p in container.demux(stream) if p.size and p.pts is not None]
            found = bytes(stream.codec_context.extradata or b"")
        header = found if header is None else header
        if found != header or not packets or not packets[0][1]:
            raise JobError(
                f"segment {number} does not fit the first one: its encoder was another or set otherwise; "
                "give --restart to encode all of them alike"
            )
        orders.append([pts for pts, _ in packets])
    count = sum(map(len, orders))
    if count != len(index):
        raise JobError(f"the segments hold {count} frames, the source {len(index)}: run the command again")
    return list(retime(orders, index))


def _mux(target: av.container.OutputContainer, packet: Any, *, copied: bool) -> None:
    try:
        target.mux_one(packet)
    except av.error.FFmpegError as error:
        # A damaged packet of the source that the muxer must understand and cannot; the verification tells.
        if not copied or isinstance(error, OSError):
            raise


def _video_packets(
    segments: Sequence[Path], times: Sequence[PacketTime], place: tuple[VideoIndex, int], stream: Any
) -> Iterator[Timed]:
    index, moved = place
    clock = float(index.time_base)
    number = 0
    for path in segments:
        with libav.open_input(path) as container:
            for packet in container.demux(container.streams.video[0]):
                if not packet.size or packet.pts is None:
                    continue
                time = times[number]
                number += 1
                packet.time_base = index.time_base
                packet.pts, packet.dts, packet.duration = time.pts + moved, time.dts + moved, time.duration
                packet.stream = stream
                yield packet.dts * clock, 0, packet


def _close_quietly(target: av.container.OutputContainer) -> None:
    with contextlib.suppress(libav.AvError, OSError, ValueError):
        target.close()
