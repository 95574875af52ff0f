"""Assemble the result: the packets of all segments on the source's own timeline, and every other stream copied."""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import av.error

from vidsr.errors import JobError
from vidsr.frames import packed
from vidsr.media import libav
from vidsr.media.encode.encoder import EncoderSettings, tag_colour
from vidsr.media.encode.geometry import result_matrix
from vidsr.media.index import VideoIndex
from vidsr.media.mux.containers import ContainerEntry, container_of, muxer_options
from vidsr.media.mux.copied_streams import NO_OFFSET, CopiedStreams, TimedPacket
from vidsr.media.mux.labels import written_tags
from vidsr.media.mux.matroska import SPARE, display_size, set_display_size
from vidsr.media.mux.restoration_tag import EXACT_SOUND, RESTORED, SPAN, content_tags, timecode_of
from vidsr.media.mux.segment_timing import retime
from vidsr.media.mux.streams import StreamPlan, plan_streams
from vidsr.media.source import ShapedInfo, SourceInfo, StreamInfo
from vidsr.media.span import Span, cut_info
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.storage import publish

_BITEXACT_CONTAINER = 0x0400
_PRIMING_SECONDS = Fraction(1, 5)
_MATROSKA = ("matroska", "webm")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultPlan:
    """What a result file will hold: the source, the encoder's settings, the container, and a plan for each of the
    source's other streams. ``restored`` names the filters that changed frames or times, "" if none did.

    ``span`` is the part of the source that the result is made of; ``info`` then has the chapters and the timecode of
    that part.
    """

    info: ShapedInfo
    settings: EncoderSettings
    container: ContainerEntry
    streams: tuple[StreamPlan, ...]
    restored: str = ""
    span: Span | None = None

    @classmethod
    def of(
        cls,
        info: ShapedInfo,
        settings: EncoderSettings,
        output: Path,
        options: EnhanceOptions,
        span: Span | None = None,
    ) -> ResultPlan:
        """The plan for ``output``.

        Raises:
            OutputError: the container cannot hold the codec or a stream.
            OptionsError: ``--map`` names a stream that is not there.
        """
        container = container_of(output, settings.codec)
        info = ShapedInfo(cut_info(span, info))
        return cls(
            info=info,
            settings=settings,
            container=container,
            streams=plan_streams(info, container, options.streams, options.span),
            restored=options.restore.reshaping(),
            span=span,
        )

    def open(self, target: Any) -> av.container.OutputContainer:
        """Open ``target``, an address or a file object, for this plan's muxer."""
        options = muxer_options(self.container, self.info)
        return av.open(target, "w", format=self.container.muxer, options=options)


@dataclass(frozen=True, slots=True)
class EncodedVideo:
    """Finished segments, the frames that they are, and the pts of their packets in the order of the file."""

    segments: tuple[Path, ...]
    index: VideoIndex
    orders: tuple[Sequence[int], ...]

    @classmethod
    def read(cls, segments: Sequence[Path], index: VideoIndex) -> EncodedVideo:
        """Read the packets' order from the segments and place them on the timeline of ``index``.

        Raises:
            JobError: the segments were encoded differently, or do not hold as many frames as the index.
        """
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
                    f"segment {number} does not fit the first one: it was encoded by another encoder or with other "
                    "settings; give --restart to encode all of them alike"
                )
            orders.append(packed([pts for pts, _ in packets]))
        count = sum(map(len, orders))
        if count != len(index):
            raise JobError(f"the segments hold {count} frames, the source {len(index)}: run the command again")
        return cls(tuple(segments), index, tuple(orders))

    def packets(self, stream: Any, offset: Fraction) -> Iterator[TimedPacket]:
        """Every packet, ``offset`` seconds later, for ``stream`` of the result."""
        index, moved = self.index, round(offset / self.index.time_base)
        clock = float(index.time_base)
        times = retime(self.orders, index)
        for path in self.segments:
            with libav.open_input(path) as container:
                for packet in container.demux(container.streams.video[0]):
                    if not packet.size or packet.pts is None:
                        continue
                    time = next(times)
                    packet.time_base = index.time_base
                    packet.pts, packet.dts, packet.duration = time.pts + moved, time.dts + moved, time.duration
                    packet.stream = stream
                    yield TimedPacket(packet.dts * clock, 0, packet)


def assemble(
    info: ShapedInfo,
    index: VideoIndex,
    segments: Sequence[Path],
    output: Path,
    options: EnhanceOptions,
    settings: EncoderSettings,
    *,
    span: Span | None = None,
) -> None:
    """Write ``output`` from finished segments, which together hold exactly the frames of ``index``, in order.

    Every frame gets its source pts; the other streams' packets are copied byte for byte. Of a ``span``, all times count
    from its first frame, and the other streams are cut to it. The file appears under its name only when it is whole.

    Raises:
        JobError: the segments do not hold as many frames as the index.
        OutputError: the result cannot be written.
        DiskFullError: no space is left.
    """
    plan = ResultPlan.of(info, settings, output, options, span)
    video = EncodedVideo.read(segments, index)
    part = output.with_name(output.name + ".part")
    try:
        with libav.writing(output):
            write_result(plan, video, part)
            publish(part, output)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_result(plan: ResultPlan, video: EncodedVideo, path: Path, *, packets_per_stream: int | None = None) -> None:
    """Write the file of a plan to ``path``; of the copied streams only their first packets where a number is given.

    Raises:
        VidsrError, AvError, OSError, ValueError: it cannot be written; what is there of it is of no use.
    """
    info, settings, entry = plan.info, plan.settings, plan.container
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(libav.open_input(info.path, whole=True))
        target = plan.open(f"file:{path.absolute()}")
        stack.callback(_close_quietly, target)
        first = stack.enter_context(libav.open_input(video.segments[0]))
        stream = _add_video(target, first.streams.video[0], plan)
        offset = start_offset(entry, video.index, plan.streams, plan.span)
        copied = CopiedStreams(source, info, plan.streams, shifts=video.index.shifts, offset=offset, span=plan.span)
        copied.add_to(target, entry)
        write_tags(target, info, offset)
        if entry.muxer in _MATROSKA and plan.restored:
            target.metadata[RESTORED] = plan.restored
        if entry.muxer in _MATROSKA and plan.span is not None:
            exact = EXACT_SOUND if any(stream.exact for stream in plan.streams) else ""
            target.metadata[SPAN] = f"{plan.span.first}:{plan.span.stop}{exact}"
        shaped = settings.sar != 1 and entry.muxer in _MATROSKA
        if shaped:
            stream.metadata["title"] = stream.metadata.get("title", "") + SPARE
        target.start_encoding()
        both = [video.packets(stream, offset), copied.packets(most=packets_per_stream)]
        for timed in heapq.merge(*both, key=lambda timed: timed[:2]):
            _mux(target, timed.packet, copied=timed.rank == 1)
        target.close()
        if shaped:
            set_display_size(path, display_size(settings.width, settings.height, settings.sar))


def start_offset(
    entry: ContainerEntry, index: VideoIndex, plans: Sequence[StreamPlan], span: Span | None = None
) -> Fraction:
    """Seconds by which all streams move: the first frame of a span comes to 0; in MP4 and MOV, whose players cut off
    what lies before 0, nothing of the video does, nor of streams that begin before it."""
    base = Fraction(0) if span is None else -span.start
    if entry.muxer not in ("mp4", "mov"):
        return base
    early: list[Fraction] = []
    if span is None or span.low is None:
        starts = [(plan.source.start or 0) * (plan.source.time_base or 0) for plan in plans if plan.action != "drop"]
        # What a decoder needs before the first sample, and throws away, may be cut off.
        early = [-(start + base) for start in starts if start + base < -_PRIMING_SECONDS]
    return base + max(Fraction(0), -(index.pts[0] * index.time_base + base), *early)


def write_tags(target: av.container.OutputContainer, info: SourceInfo, offset: Fraction = NO_OFFSET) -> None:
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


def dress_video(stream: Any, plan: ResultPlan) -> None:
    """Give the enhanced stream the tags, disposition, orientation and clock of the source's."""
    video, settings = plan.info.video, plan.settings
    original = enhanced_stream(plan.info)
    stream.metadata.update(written_tags(plan.container, original))
    stream.disposition = original.disposition
    stream.time_base = video.time_base
    timecode = timecode_of(plan.info)
    if timecode is not None:
        # MP4 and MOV make their timecode track from this tag; Matroska keeps the tag.
        stream.metadata["timecode"] = timecode
    matrix = result_matrix(video, settings.width, settings.height, settings.sar)
    if matrix is not None:
        stream.set_display_matrix(matrix)


def _add_video(target: av.container.OutputContainer, template: Any, plan: ResultPlan) -> Any:
    settings = plan.settings
    stream = target.add_stream_from_template(template, opaque=True)
    context: Any = stream.codec_context
    context.width, context.height = settings.width, settings.height
    context.framerate = settings.rate
    context.sample_aspect_ratio = settings.sar
    tag_colour(context, settings)
    dress_video(stream, plan)
    if settings.alpha_aside:
        # Without it players show the picture as if it had no alpha.
        stream.metadata["alpha_mode"] = "1"
    return stream


def _mux(target: av.container.OutputContainer, packet: Any, *, copied: bool) -> None:
    try:
        target.mux_one(packet)
    except av.error.FFmpegError as error:
        # A damaged packet of the source that the muxer must parse and cannot; the verification reports it.
        if not copied or isinstance(error, OSError):
            raise


def _close_quietly(target: av.container.OutputContainer) -> None:
    with contextlib.suppress(libav.AvError, OSError, ValueError):
        target.close()
