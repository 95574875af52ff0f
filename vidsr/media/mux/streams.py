"""Decide how each stream of the source enters the result: copied, converted, attached, or left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from vidsr.errors import NoPlaceError, OptionsError
from vidsr.media import libav
from vidsr.media.mux.audio import takes
from vidsr.media.mux.containers import ContainerEntry, first_packets, holds
from vidsr.media.source import ATTACHED_PIC, SourceInfo, StreamInfo
from vidsr.options.enhance_options import StreamOptions
from vidsr.options.span_options import SpanOptions

Action = Literal["copy", "convert", "attach", "cover", "timecode", "drop"]
#: Text subtitles that can be turned into each other, losing at most their styling.
TEXT_SUBTITLES = frozenset({"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text", "microdvd", "subviewer"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlan:
    """What is done with one stream. ``codec`` is the target of a conversion; ``note`` says what is lost.

    ``exact`` sound is decoded, cut at the sample and encoded losslessly.
    """

    source: StreamInfo
    action: Action
    codec: str | None = None
    note: str | None = None
    exact: bool = False


def plan_streams(
    info: SourceInfo, container: ContainerEntry, options: StreamOptions, span: SpanOptions | None = None
) -> tuple[StreamPlan, ...]:
    """A plan for every stream but the enhanced one, in source order; ``span`` says whether sound is cut exactly.

    Raises:
        NoPlaceError: the container cannot hold a stream that the user did not ask to leave out; lists them all.
        OptionsError: ``--map`` names a stream that is not there.
    """
    _check_map(info, options)
    exact = span is not None and span.exact_sound and not span.is_whole
    plans: list[StreamPlan] = []
    refused: list[str] = []
    with libav.open_input(info.path, whole=True) as source:
        samples = first_packets(source, info.video.stream_index)
        for stream in info.streams:
            if stream.index == info.video.stream_index or stream.index >= len(source.streams):
                continue
            if not _wanted(stream, options):
                continue
            packets = samples.get(stream.index, [])
            if stream.kind == "audio" and exact and not _is_unknown(source.streams[stream.index]):
                plan = _plan_exact(stream, source.streams[stream.index], container, packets)
            else:
                plan = _plan(stream, source.streams[stream.index], container, packets)
            if isinstance(plan, str):
                refused.append(plan)
            else:
                plans.append(plan)
    if refused:
        better = ".mkv" if container.name != "mkv" else "another container"
        raise NoPlaceError(
            f"{container.name} cannot hold {'; '.join(refused)}: write to {better}, or leave the streams out "
            "(--no-audio, --no-subtitles, --map)"
        )
    return tuple(plans)


def _wanted(stream: StreamInfo, options: StreamOptions) -> bool:
    if (stream.kind == "audio" and not options.audio) or (stream.kind == "subtitle" and not options.subtitles):
        return False
    return not options.map or str(stream.index) in options.map or stream_kind(stream) in options.map


def stream_kind(stream: StreamInfo) -> str:
    """The stream's kind as ``--map`` and ``vidsr probe`` name it: cover art is a kind of its own."""
    return "cover" if stream.kind == "video" and stream.is_cover else stream.kind


def _check_map(info: SourceInfo, options: StreamOptions) -> None:
    numbers = {str(stream.index) for stream in info.streams}
    missing = [text for text in options.map if text.isdigit() and text not in numbers]
    if missing:
        raise OptionsError(f"--map {', '.join(missing)}: {info.path} has the streams 0 to {len(numbers) - 1}")


def _plan(info: StreamInfo, stream: Any, container: ContainerEntry, packets: list[Any]) -> StreamPlan | str:
    """The plan for one stream, or the words for what the container cannot hold."""
    if info.kind == "attachment":
        if container.attachments:
            return StreamPlan(source=info, action="attach")
        return f"attachment {dict(info.metadata).get('filename', info.index)}"
    if info.kind == "video" and info.is_cover:
        return _plan_cover(info, stream, container)
    if info.kind in ("data", "unknown"):
        return _plan_data(info)
    if _is_unknown(stream):
        note = f"{info.kind} stream {info.index} ({info.codec}) has no packets, or only late ones: it is left out"
        return StreamPlan(source=info, action="drop", note=note)
    if holds(container, stream, packets):
        return StreamPlan(source=info, action="copy")
    if info.kind == "subtitle" and info.codec in TEXT_SUBTITLES and container.text is not None:
        target = _text_target(info.codec, container)
        note = f"subtitle stream {info.index}: {info.codec} is converted to {target}, as {container.name} needs"
        return StreamPlan(source=info, action="convert", codec=target, note=note)
    lossless = _lossless(stream, container, packets) if info.kind == "audio" else None
    if lossless is not None:
        note = f"audio stream {info.index}: {info.codec} is converted to {lossless}, as {container.name} needs"
        return StreamPlan(source=info, action="convert", codec=lossless, note=note)
    details = f", {info.details}" if info.kind == "audio" and info.details else ""
    return f"{info.codec} ({info.kind} stream {info.index}{details})"


def _plan_exact(info: StreamInfo, stream: Any, container: ContainerEntry, packets: list[Any]) -> StreamPlan | str:
    """The plan for sound that is cut at the sample, or the words for what the container cannot hold."""
    codec = _lossless(stream, container, packets)
    if codec is None:
        return f"sound cut at the sample (audio stream {info.index}), which takes a lossless codec"
    note = f"audio stream {info.index}: cut at the sample and stored as {codec}, without loss (--exact-sound)"
    return StreamPlan(source=info, action="convert", codec=codec, note=note, exact=True)


def _lossless(stream: Any, container: ContainerEntry, packets: list[Any]) -> str | None:
    """The first of the container's lossless codecs that takes a sound; None if none does."""
    return next((codec for codec in container.sound if takes(codec, stream, packets)), None)


def _is_unknown(stream: Any) -> bool:
    """Whether neither header nor first packets give what a container must know: such a stream is announced in the
    file, and has no packets or late ones."""
    context = stream.codec_context
    if context is None:
        return True
    return (stream.type == "audio" and not context.sample_rate) or (stream.type == "video" and not context.width)


def _text_target(codec: str, container: ContainerEntry) -> str:
    if container.text == "ass" and codec in ("mov_text", "text", "webvtt", "subviewer", "microdvd"):
        return "srt"
    return container.text or "srt"


def _plan_cover(info: StreamInfo, stream: Any, container: ContainerEntry) -> StreamPlan | str:
    if container.attachments:
        return StreamPlan(source=info, action="attach")
    if container.cover and info.disposition & ATTACHED_PIC and holds(container, stream):
        return StreamPlan(source=info, action="cover")
    return f"cover art in {info.codec} (stream {info.index})"


def _plan_data(info: StreamInfo) -> StreamPlan:
    tags = dict(info.metadata)
    if "timecode" in tags:
        return StreamPlan(source=info, action="timecode")
    if info.codec == "bin_data" and tags.get("handler_name", "").startswith(("SubtitleHandler", "Chapter")):
        # The chapter titles of MP4: the muxer writes them again from the chapters.
        return StreamPlan(source=info, action="drop")
    return StreamPlan(
        source=info, action="drop", note=f"data stream {info.index} ({info.codec}) has no place in the result"
    )


def notes_of(plans: tuple[StreamPlan, ...]) -> Iterator[str]:
    """What the user should know of the plan."""
    return (plan.note for plan in plans if plan.note)
