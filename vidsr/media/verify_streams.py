"""The part of verification about streams that were copied: their packets, chapters, attachments and tags."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from av.bitstream import BitStreamFilterContext

from vidsr.media import libav
from vidsr.media.container import ContainerEntry
from vidsr.media.others import ADTS_CONTAINERS, is_broken
from vidsr.media.report import Check, compare
from vidsr.media.sound import sound_of
from vidsr.media.source import SourceInfo, StreamInfo
from vidsr.media.streams import StreamPlan, kind_of
from vidsr.media.subtitles import lines_of
from vidsr.media.tags import content_tags, timecode_of

# Tags that MP4 and MOV have a place for; their muxers drop others.
_MP4_TAGS = frozenset(
    {
        "title", "artist", "album", "comment", "genre", "date", "copyright", "language", "creation_time", "encoded_by",
        "description", "synopsis", "show", "episode_id", "network", "composer", "track", "disc", "lyrics", "timecode",
        "album_artist", "grouping", "media_type",
    }
)  # fmt: skip


NO_SHIFT = Fraction(0)


@dataclass(slots=True)
class _Payload:
    """The packets of one stream: a digest over all bytes, and when the first and last one begin, in seconds."""

    digest: Any
    size: int = 0
    packets: int = 0
    first: Fraction | None = None
    last: Fraction | None = None

    def add(self, data: bytes, time: Fraction | None) -> None:
        self.digest.update(data)
        self.size += len(data)
        self.packets += 1
        if time is not None:
            self.first = time if self.first is None else min(self.first, time)
            self.last = time if self.last is None else max(self.last, time)


def check_streams(
    info: SourceInfo, made: SourceInfo, plans: tuple[StreamPlan, ...], entry: ContainerEntry, shift: Fraction
) -> Iterator[Check]:
    """Compare all streams but the enhanced one, then chapters and tags."""
    carried = [plan for plan in plans if plan.action in ("copy", "convert", "cover")]
    pairs = _pairs(carried, made, entry)
    want = _payloads(info, [plan.source for plan, _ in pairs])
    have = _payloads(made, [stream for _, stream in pairs])
    for plan, stream in pairs:
        content: tuple[str, ...] = ()
        if plan.action == "convert" and plan.source.kind == "audio":
            before, after = sound_of(info, plan.source), sound_of(made, stream)
            content = tuple(s.text(exact=before.digest is not None) for s in (before, after))
            want[plan.source.index].first, have[stream.index].first = before.first, after.first
        elif plan.action == "convert":
            lines = lines_of(info, plan.source), lines_of(made, stream)
            content = str(lines[0][0]), str(lines[1][0])
            want[plan.source.index].first, have[stream.index].first = lines[0][1], lines[1][1]
        yield from _stream(plan, stream, want[plan.source.index], have[stream.index], (entry, shift, content))
    paired = [plan for plan, _ in pairs]
    for plan in (p for p in carried if p not in paired):
        yield Check(name=_label(plan.source), state="different", source="present", result="missing")
    yield from _attachments(info, made, plans)
    for plan in plans:
        if plan.action == "drop" and plan.note:
            yield Check(name=_label(plan.source), state="announced", source="present", result="left out", why=plan.note)
    yield from _left_out(info, plans)
    if (timecode := timecode_of(info)) is not None:
        yield compare("timecode", timecode, timecode_of(made))
    yield compare("chapters", _chapters(info, shift if entry.muxer in ("mp4", "mov") else Fraction(0)), _chapters(made))
    yield from _tags(info, made, entry)


def _label(stream: StreamInfo) -> str:
    return f"{kind_of(stream)} stream {stream.index} ({stream.codec})"


def _pairs(carried: list[StreamPlan], made: SourceInfo, entry: ContainerEntry) -> list[tuple[StreamPlan, StreamInfo]]:
    """Which stream of the result stands for which plan: kind by kind, in order."""
    pairs: list[tuple[StreamPlan, StreamInfo]] = []
    for kind in ("video", "audio", "subtitle", "cover"):
        plans = [plan for plan in carried if kind_of(plan.source) == kind]
        streams = [s for s in made.streams if s.index != made.video.stream_index and kind_of(s) == kind]
        # In Matroska, covers are attachments that come back as video streams.
        if not (kind == "cover" and entry.attachments):
            pairs += zip(plans, streams, strict=False)
    return pairs


def _left_out(info: SourceInfo, plans: tuple[StreamPlan, ...]) -> Iterator[Check]:
    planned = {plan.source.index for plan in plans} | {info.video.stream_index}
    for stream in info.streams:
        if stream.index not in planned:
            yield Check(
                name=_label(stream), state="announced", source="present", result="left out", why="as the options say"
            )


def _payloads(info: SourceInfo, streams: list[StreamInfo]) -> dict[int, _Payload]:
    found = {stream.index: _Payload(hashlib.blake2b(digest_size=16)) for stream in streams}
    if not streams:
        return found
    with libav.open_input(info.path) as container:
        wanted = [container.streams[s.index] for s in streams]
        filters = {s.index: _raw_aac(s, info) for s in wanted}
        try:
            for packet in container.demux(*wanted):
                index = packet.stream.index
                if not packet.size or is_broken(packet, info.container):
                    continue
                time = packet.pts * packet.time_base if packet.pts is not None else None
                data = _data(packet, filters[index])
                if not data or _is_empty_text(found, streams, index, data):
                    continue
                found[index].add(data, time)
        except (libav.AvError, OSError):
            pass  # cut off: both sides hold what could be read
    return found


def _data(packet: Any, strip: BitStreamFilterContext | None) -> bytes:
    if strip is None:
        return bytes(packet)
    try:
        return b"".join(bytes(p) for p in strip.filter(packet))
    except libav.AvError:
        return b""  # damaged beyond being a packet: the muxer left it out as well


def _is_empty_text(found: dict[int, _Payload], streams: list[StreamInfo], index: int, data: bytes) -> bool:
    """MP4 fills the gaps between subtitles with empty ones."""
    stream = next(s for s in streams if s.index == index)
    return stream.codec == "mov_text" and data[:2] == b"\0\0"


def _raw_aac(stream: Any, info: SourceInfo) -> BitStreamFilterContext | None:
    """AAC in transport streams carries ADTS headers, which no other container does."""
    if stream.type == "audio" and stream.codec_context.name == "aac" and info.container in ADTS_CONTAINERS:
        return BitStreamFilterContext("aac_adtstoasc", stream)
    return None


def _stream(
    plan: StreamPlan,
    stream: StreamInfo,
    want: _Payload,
    have: _Payload,
    place: tuple[ContainerEntry, Fraction, tuple[str, ...]],
) -> Iterator[Check]:
    entry, shift = place[:2]
    label = _label(plan.source)
    if plan.action == "convert" and plan.source.kind == "audio":
        yield compare(f"{label}: sound", place[2][0], place[2][1])
    elif plan.action == "convert":
        yield compare(f"{label}: lines", place[2][0], place[2][1])
    else:
        yield compare(
            f"{label}: bytes",
            f"{want.size} {want.digest.hexdigest()[:12]}",
            f"{have.size} {have.digest.hexdigest()[:12]}",
        )
    if want.first is not None and have.first is not None and plan.action != "cover":
        off = have.first - want.first - shift
        slack = Fraction(2, 1000) if entry.name in ("mkv", "webm") else Fraction(1, 1000)
        slack += plan.source.time_base or Fraction(0)
        text = f"first at {float(have.first):.3f} s"
        state = "same" if abs(off) <= slack else "different"
        yield Check(
            name=f"{label}: start",
            state=state,  # type: ignore[arg-type]
            source=f"first at {float(want.first + shift):.3f} s",
            result=text,
        )
    title = dict(content_tags(plan.source.metadata)).get("title")
    if title:
        yield compare(f"{label}: title", title, content_tags(stream.metadata).get("title"))
    if plan.action == "cover":
        return
    yield compare(f"{label}: language", plan.source.language, stream.language)
    yield compare(f"{label}: disposition", _disposition(plan.source.disposition), _disposition(stream.disposition))


def _disposition(flags: int) -> str:
    """The roles that containers keep. Muxers set "default" themselves where no stream has it."""
    names = {2: "dub", 4: "original", 8: "comment", 64: "forced", 128: "hearing impaired", 256: "visual impaired"}
    return ", ".join(name for bit, name in names.items() if flags & bit) or "none"


def _attachments(info: SourceInfo, made: SourceInfo, plans: tuple[StreamPlan, ...]) -> Iterator[Check]:
    wanted = [plan.source for plan in plans if plan.action == "attach"]
    if not wanted:
        return
    yield compare("attachments", sorted(_attached(info, wanted)), sorted(_attached(made, _attached_streams(made))))


def _attached_streams(made: SourceInfo) -> list[StreamInfo]:
    return [s for s in made.streams if s.kind == "attachment" or s.is_cover]


def _attached(info: SourceInfo, streams: list[StreamInfo]) -> list[str]:
    """A digest of each attachment or cover."""
    found = []
    covers = [s for s in streams if s.kind != "attachment"]
    with libav.open_input(info.path) as container:
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
        with libav.open_input(info.path) as container:
            for packet in container.demux(container.streams[stream.index]):
                if packet.size:
                    payload.add(bytes(packet), None)
                    break
        found.append(payload)
    return found


def _chapters(info: SourceInfo, shift: Fraction = NO_SHIFT) -> list[tuple[float, str]]:
    """Start in seconds, to a millisecond, and title of each chapter."""
    return [(round(float(c.start * c.time_base + shift), 3), dict(c.metadata).get("title", "")) for c in info.chapters]


def _tags(info: SourceInfo, made: SourceInfo, entry: ContainerEntry) -> Iterator[Check]:
    want = {k.lower(): v for k, v in content_tags(info.metadata).items()}
    have = {k.lower(): v for k, v in made.metadata}
    want.pop("timecode", None)
    for key, value in want.items():
        why = ""
        if entry.muxer in ("mp4", "mov") and key not in _MP4_TAGS:
            why = f"{entry.name} has no place for it"
        yield compare(f"tag {key}", _plain(key, value), _plain(key, have.get(key)), announced=why)


def _plain(key: str, value: str | None) -> str | None:
    """A date without the differences between the ways containers write it."""
    if key != "creation_time" or value is None:
        return value
    return value.replace(" ", "T").rstrip("Z").partition(".")[0]
