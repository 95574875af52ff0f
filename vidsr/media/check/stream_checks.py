"""The checks of everything but the picture: copied streams, attachments, labels, timecode, chapters and tags."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

from av.bitstream import BitStreamFilterContext

from vidsr.media import libav
from vidsr.media.check.verify_report import Check, check_equal
from vidsr.media.mux.audio import SampleCut, Sound, sound_of
from vidsr.media.mux.containers import ContainerEntry, muxer_options
from vidsr.media.mux.copied_streams import carries_adts, is_broken
from vidsr.media.mux.labels import Label, canonical, kept_label, kept_tags, plain_key, role_names
from vidsr.media.mux.restoration_tag import content_tags, timecode_of
from vidsr.media.mux.span_cut import SpanPackets
from vidsr.media.mux.streams import StreamPlan, stream_kind
from vidsr.media.mux.subtitles import lines_of
from vidsr.media.source import SourceInfo, StreamInfo
from vidsr.media.span import Span

NO_SHIFT = Fraction(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ConvertedStream:
    """What a converted stream comes to, in words: its samples or its lines of text; and when it begins, in seconds."""

    name: str
    source: str
    result: str
    begins: tuple[Fraction | None, Fraction | None]


@dataclass(slots=True)
class _Payload:
    """The packets of one stream: a digest over all bytes, and when the first and last one begin, in seconds.

    ``unusable`` counts the source's packets that do not belong to its codec: no muxer accepts them.
    """

    digest: Any
    size: int = 0
    packets: int = 0
    unusable: int = 0
    first: Fraction | None = None
    last: Fraction | None = None

    @property
    def text(self) -> str:
        """Size and digest in words."""
        return f"{self.size} {self.digest.hexdigest()[:12]}"

    def add(self, data: bytes, time: Fraction | None) -> None:
        self.digest.update(data)
        self.size += len(data)
        self.packets += 1
        if time is not None:
            self.first = time if self.first is None else min(self.first, time)
            self.last = time if self.last is None else max(self.last, time)


@dataclass(frozen=True, slots=True, kw_only=True)
class CutSource:
    """The part of a source that a result is made of, and the shifts of the source's timeline."""

    span: Span
    shifts: tuple[Fraction, ...] = ()

    def packets(self, packets: Iterable[Any], plans: Iterable[StreamPlan]) -> Iterator[Any]:
        """Those of the source's packets that belong to the part."""
        decoded = frozenset(plan.source.index for plan in plans if plan.exact)
        return SpanPackets(self.span, [p.source for p in plans], shifts=self.shifts, decoded=decoded).pick(packets)


def check_streams(
    info: SourceInfo,
    made: SourceInfo,
    plans: tuple[StreamPlan, ...],
    entry: ContainerEntry,
    shift: Fraction,
    cut: CutSource | None = None,
) -> Iterator[Check]:
    """Compare all streams but the enhanced one; ``shift`` are the seconds by which the whole result is later.

    With a ``cut``, only what belongs to it is expected of the source.
    """
    carried = [plan for plan in plans if plan.action in ("copy", "convert", "cover")]
    want = _payloads(info, [plan.source for plan in carried], carried, cut)
    if entry.muxer in ("mp4", "mov"):
        for plan in (p for p in carried if not want[p.source.index].packets):
            yield Check(
                name=_label(plan.source), state="announced", source="empty", result="left out",
                why=f"{entry.name} holds no stream without packets",
            )  # fmt: skip
        carried = [plan for plan in carried if want[plan.source.index].packets]
    pairs = pairs_by_kind(carried, made, entry)
    have = _payloads(made, [stream for _, stream in pairs])
    for plan, stream in pairs:
        before, after = want[plan.source.index], have[stream.index]
        if plan.action == "convert":
            decoded = _decoded(info, plan, made, stream, cut)
            before.first, after.first = decoded.begins
            yield check_equal(f"{_label(plan.source)}: {decoded.name}", decoded.source, decoded.result)
        else:
            yield check_equal(f"{_label(plan.source)}: bytes", before.text, after.text)
        yield from _damage(plan, before)
        if plan.action != "cover":
            yield from _start(plan, before, after, entry, shift)
            yield from check_label(plan.source, stream, entry)
    paired = [plan for plan, _ in pairs]
    for plan in (p for p in carried if p not in paired):
        yield Check(name=_label(plan.source), state="different", source="present", result="missing")
    yield from _attachments(info, made, plans)
    for plan in plans:
        if plan.action == "drop" and plan.note:
            yield Check(name=_label(plan.source), state="announced", source="present", result="left out", why=plan.note)
    yield from _left_out(info, plans)


def check_contents(
    info: SourceInfo,
    made: SourceInfo,
    entry: ContainerEntry,
    shift: Fraction = NO_SHIFT,
    start: Fraction = NO_SHIFT,
) -> Iterator[Check]:
    """Compare what belongs to the whole file: timecode, chapters and tags.

    ``shift`` as for the streams; ``start`` is the part of it by which a part of a source is moved to begin at 0.
    """
    if (timecode := timecode_of(info)) is not None:
        yield check_equal("timecode", timecode, timecode_of(made))
    yield from _check_chapters(info, made, entry, shift, start)
    yield from _tags(info, made, entry)


def _label(stream: StreamInfo) -> str:
    return f"{stream_kind(stream)} stream {stream.index} ({stream.codec})"


def pairs_by_kind(
    carried: Iterable[StreamPlan], made: SourceInfo, entry: ContainerEntry, *, complete: bool = False
) -> list[tuple[StreamPlan, StreamInfo]]:
    """Which stream of the result stands for which plan: kind by kind, in order. With ``complete``, only of kinds of
    which no stream is missing."""
    pairs: list[tuple[StreamPlan, StreamInfo]] = []
    for kind in ("video", "audio", "subtitle", "cover"):
        plans = [p for p in carried if p.action in ("copy", "convert", "cover") and stream_kind(p.source) == kind]
        streams = [s for s in made.streams if s.index != made.video.stream_index and stream_kind(s) == kind]
        # In Matroska, covers are attachments that come back as video streams.
        if not (kind == "cover" and entry.attachments) and (not complete or len(plans) == len(streams)):
            pairs += zip(plans, streams, strict=False)
    return pairs


def _left_out(info: SourceInfo, plans: tuple[StreamPlan, ...]) -> Iterator[Check]:
    planned = {plan.source.index for plan in plans} | {info.video.stream_index}
    for stream in info.streams:
        if stream.index not in planned:
            yield Check(
                name=_label(stream), state="announced", source="present", result="left out", why="as the options say"
            )


def _payloads(
    info: SourceInfo, streams: list[StreamInfo], plans: Sequence[StreamPlan] = (), cut: CutSource | None = None
) -> dict[int, _Payload]:
    """The packets of some streams; with a ``cut``, of those of the source that ``plans`` name, within it."""
    found = {stream.index: _Payload(hashlib.blake2b(digest_size=16)) for stream in streams}
    if not streams:
        return found
    with libav.open_input(info.path, whole=True) as container:
        wanted = [container.streams[s.index] for s in streams]
        plain = {s.index: _plainer(s, info) for s in wanted}
        usable: Iterable[Any] = _usable(libav.packets(container, *wanted), info, found)
        for packet in usable if cut is None else cut.packets(usable, plans):
            index = packet.stream.index
            data = plain[index](packet)
            found[index].unusable += not data
            if data and not _is_empty_text(streams, index, data):
                found[index].add(data, packet.pts * packet.time_base if packet.pts is not None else None)
    return found


def _usable(packets: Iterable[Any], info: SourceInfo, found: dict[int, _Payload]) -> Iterator[Any]:
    """The packets with contents that belong to their stream's codec; the others are counted."""
    for packet in packets:
        if packet.size and is_broken(packet, info.container):
            found[packet.stream.index].unusable += 1
        elif packet.size:
            yield packet


def _plainer(stream: Any, info: SourceInfo) -> Callable[[Any], bytes]:
    """What gives the bytes of a packet without that which differs from container to container; b"" for a packet that
    is damaged so much that muxers leave it out."""
    if is_framed(stream):
        length = length_bytes(stream)
        return lambda packet: units(bytes(packet), length)
    strip = _raw_aac(stream, info)
    if strip is None:
        return bytes

    def without_header(packet: Any) -> bytes:
        try:
            return b"".join(bytes(p) for p in strip.filter(packet))
        except libav.AvError:
            return b""

    return without_header


def _is_empty_text(streams: list[StreamInfo], index: int, data: bytes) -> bool:
    """MP4 fills the gaps between subtitles with empty ones."""
    stream = next(s for s in streams if s.index == index)
    return stream.codec == "mov_text" and data[:2] == b"\0\0"


def _raw_aac(stream: Any, info: SourceInfo) -> BitStreamFilterContext | None:
    """The filter that takes away ADTS headers, which most containers do not carry; None where there are none."""
    if carries_adts(stream, info.container):
        return BitStreamFilterContext("aac_adtstoasc", stream)
    return None


def _decoded(
    info: SourceInfo, plan: StreamPlan, made: SourceInfo, stream: StreamInfo, cut: CutSource | None
) -> _ConvertedStream:
    """A converted stream, decoded before and after."""
    source = plan.source
    if source.kind == "audio":
        before, after = _sound(info, plan, cut), sound_of(made, stream)
        exact = before.digest is not None
        texts = before.text(exact=exact), after.text(exact=exact)
        return _ConvertedStream(name="sound", source=texts[0], result=texts[1], begins=(before.first, after.first))
    pick = None if cut is None else partial(cut.packets, plans=[plan])
    lines = lines_of(info, source, pick), lines_of(made, stream)
    return _ConvertedStream(
        name="lines", source=str(lines[0][0]), result=str(lines[1][0]), begins=(lines[0][1], lines[1][1])
    )


def _sound(info: SourceInfo, plan: StreamPlan, cut: CutSource | None) -> Sound:
    """The sound of the source as it should be in the result: all, of whole packets, or cut at the sample."""
    if cut is None:
        return sound_of(info, plan.source)
    pick = partial(cut.packets, plans=[plan])
    return sound_of(info, plan.source, pick, SampleCut.of(cut.span) if plan.exact else None)


def _damage(plan: StreamPlan, want: _Payload) -> Iterator[Check]:
    if want.unusable:
        yield Check(
            name=f"{_label(plan.source)}: damage", state="announced", result="left out",
            source=f"{want.unusable} packets that are not {plan.source.codec}",
            why="the source is damaged, or its codec changes on the way",
        )  # fmt: skip


def _start(plan: StreamPlan, want: _Payload, have: _Payload, entry: ContainerEntry, shift: Fraction) -> Iterator[Check]:
    if want.first is None or have.first is None:
        return
    slack = Fraction(2, 1000) if entry.name in ("mkv", "webm") else Fraction(1, 1000)
    slack += plan.source.time_base or Fraction(0)
    yield Check(
        name=f"{_label(plan.source)}: start",
        state="same" if abs(have.first - want.first - shift) <= slack else "different",
        source=f"first at {float(want.first + shift):.3f} s",
        result=f"first at {float(have.first):.3f} s",
    )


def check_label(source: StreamInfo, stream: StreamInfo, entry: ContainerEntry) -> Iterator[Check]:
    """Compare language, title and role of a stream; "announced" is what the container has no place for."""
    want, have = Label.of(source), Label.of(stream)
    kept = kept_label(entry, want)
    name, why = _label(source), f"{entry.name} has no place for it"
    if want.title:
        yield check_equal(f"{name}: title", want.title, have.title, announced="" if kept.title else why)
    languages = [canonical(x.language) if x.language else None for x in (want, have)]
    if languages[0] == languages[1]:
        languages = [want.language, want.language]
    yield check_equal(f"{name}: language", *languages, announced="" if kept.language else why)
    lost = want.roles & ~have.roles
    why = "" if lost & kept.roles else why
    yield check_equal(
        f"{name}: disposition", role_names(want.roles), role_names(want.roles & have.roles), announced=why
    )


def _attachments(info: SourceInfo, made: SourceInfo, plans: tuple[StreamPlan, ...]) -> Iterator[Check]:
    wanted = [plan.source for plan in plans if plan.action == "attach"]
    if not wanted:
        return
    yield check_equal("attachments", sorted(_attached(info, wanted)), sorted(_attached(made, _attached_streams(made))))


def _attached_streams(made: SourceInfo) -> list[StreamInfo]:
    return [s for s in made.streams if s.kind == "attachment" or s.is_cover]


def _attached(info: SourceInfo, streams: list[StreamInfo]) -> list[str]:
    """A digest of each attachment or cover."""
    found = []
    covers = [s for s in streams if s.kind != "attachment"]
    with libav.open_input(info.path, whole=True) as container:
        for stream in streams:
            if stream.kind == "attachment":
                attached: Any = container.streams[stream.index]
                found.append(hashlib.blake2b(attached.data, digest_size=6).hexdigest())
    found += [payload.digest.hexdigest()[:12] for payload in _payloads_short(info, covers)]
    return found


def _payloads_short(info: SourceInfo, streams: list[StreamInfo]) -> list[_Payload]:
    found = []
    for stream in streams:
        payload = _Payload(hashlib.blake2b(digest_size=6))
        with libav.open_input(info.path, whole=True) as container:
            for packet in libav.packets(container, container.streams[stream.index]):
                if packet.size:
                    payload.add(bytes(packet), None)
                    break
        found.append(payload)
    return found


def _check_chapters(
    info: SourceInfo, made: SourceInfo, entry: ContainerEntry, shift: Fraction, start: Fraction
) -> Iterator[Check]:
    if entry.muxer not in ("mp4", "mov"):
        yield check_equal("chapters", _chapters(info, start), _chapters(made))
        return
    want, have = _chapters(info, shift), _chapters(made)
    if want and have:
        # The first chapter of MP4 begins with the file, as one does that begins with its source.
        begin = 0.0 if _chapters(info, start)[0][0] <= 0 else want[0][0]
        yield check_equal("start of the first chapter", f"{begin:.3f} s", f"{have[0][0]:.3f} s")
        want[0], have[0] = (0.0, want[0][1]), (0.0, have[0][1])
    yield check_equal("chapters", want, have)


def _chapters(info: SourceInfo, shift: Fraction = NO_SHIFT) -> list[tuple[float, str]]:
    """Start in seconds, to a millisecond, and title of each chapter; of several that begin together the first."""
    found: dict[float, str] = {}
    for chapter in info.chapters:
        start = round(float(chapter.start * chapter.time_base + shift), 3)
        found.setdefault(start, dict(chapter.metadata).get("title", ""))
    return list(found.items())


def _tags(info: SourceInfo, made: SourceInfo, entry: ContainerEntry) -> Iterator[Check]:
    have = {plain_key(k): v for k, v in made.metadata}
    want = {key: value for key, value in content_tags(info.metadata).items() if plain_key(key) != "timecode"}
    kept = kept_tags(entry, want, muxer_options(entry, info))
    for key, value in want.items():
        why = "" if key in kept else f"{entry.name} has no place for it"
        found = have.get(plain_key(key))
        yield check_equal(f"tag {key.lower()}", _plain(key, value), _plain(key, found), announced=why)


def _plain(key: str, value: str | None) -> str | None:
    """A date without the differences between the ways containers write it."""
    if key.lower() != "creation_time" or value is None:
        return value
    return value.replace(" ", "T").rstrip("Z").partition(".")[0]


_START = re.compile(b"\0\0\1")


def is_framed(stream: Any) -> bool:
    """Whether the stream's packets consist of NAL units behind start codes or lengths."""
    return stream.type == "video" and stream.codec_context is not None and stream.codec_context.name in ("h264", "hevc")


def length_bytes(stream: Any) -> int:
    """Bytes of the length in front of each NAL unit; 0 where they stand behind start codes (ITU-T H.264, annex B).

    The stream's header says which: the configuration of ISO/IEC 14496-15 begins with version 1, a start code with 0.
    """
    header = bytes(stream.codec_context.extradata or b"")
    if not header or header[0] != 1:
        return 0
    at = 4 if stream.codec_context.name == "h264" else 21
    return 1 + (header[at] & 3) if len(header) > at else 4


def units(packet: bytes, length: int) -> bytes:
    """The NAL units of a packet, concatenated; ``length`` as :func:`length_bytes` gives it."""
    if not length:
        marks = [(m.start(), m.end()) for m in _START.finditer(packet)]
        ends = [start for start, _ in marks[1:]] + [len(packet)]
        # Zeros before a start code belong to it, or are padding; no unit ends in one.
        return b"".join(packet[begin:end].rstrip(b"\0") for (_, begin), end in zip(marks, ends, strict=True))
    found, at = [], 0
    while at + length <= len(packet):
        size = int.from_bytes(packet[at : at + length], "big")
        found.append(packet[at + length : at + length + size])
        at += length + size
    return b"".join(unit.rstrip(b"\0") for unit in found)
