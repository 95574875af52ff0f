"""Containers of the result: their muxers, which streams each can hold, and which to choose."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.container

from vidsr.errors import NoPlaceError
from vidsr.media import libav
from vidsr.media.encode.codecs import entry as codec_entry
from vidsr.media.encode.codecs import row_of
from vidsr.media.mux.packet_clock import end_duration
from vidsr.media.source import SourceInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerEntry:
    """A container and its muxer.

    ``text`` is the codec for text subtitles. ``sound`` are lossless codecs for audio that it cannot hold as it is; the
    first one that takes the channels is used. The video codecs are in their rows of ``codec_table``.
    """

    name: str
    muxer: str
    text: str | None
    sound: tuple[str, ...] = ()
    attachments: bool = False
    cover: bool = False

    def holds_codec(self, codec: str) -> bool:
        """Whether packets of a codec of ``--codec`` may be in it."""
        return f".{self.name}" in row_of(codec_entry(codec).base).containers


#: file suffix → container
CONTAINERS: dict[str, ContainerEntry] = {
    ".mkv": ContainerEntry(
        name="mkv",
        muxer="matroska",
        text="ass",
        sound=("flac", "pcm_s24le"),
        attachments=True,
        cover=True,
    ),
    ".mp4": ContainerEntry(name="mp4", muxer="mp4", text="mov_text", sound=("flac",), cover=True),
    ".m4v": ContainerEntry(name="m4v", muxer="mp4", text="mov_text", sound=("flac",), cover=True),
    ".mov": ContainerEntry(name="mov", muxer="mov", text="mov_text", sound=("alac", "pcm_s24le")),
    ".webm": ContainerEntry(name="webm", muxer="webm", text="webvtt"),
    ".nut": ContainerEntry(name="nut", muxer="nut", text=None, sound=("flac",)),
}
#: How many packets are looked through for the first one of each stream; subtitles may come much later.
EARLY_PACKETS = 2000
#: Ticks per second of a movie's clock that every reader can count with.
_FINEST_CLOCK = 10_000_000
# Tags of phones and cameras, which only QuickTime's own list of keys can hold.
_QUICKTIME_KEYS = ("com.apple.quicktime.", "com.android.")
_SUFFIX_OF = {"mov,mp4,m4a,3gp,3g2,mj2": ".mp4", "matroska,webm": ".mkv", "nut": ".nut"}


def container_of(output: Path, codec: str) -> ContainerEntry:
    """The container that the suffix of ``output`` names.

    Raises:
        NoPlaceError: the suffix is unknown, or its container cannot hold the codec.
    """
    entry = CONTAINERS.get(output.suffix.lower())
    if entry is None:
        raise NoPlaceError(
            f"{output}: the suffix {output.suffix or '(none)'} names no container that vidsr writes; "
            f"use one of {', '.join(CONTAINERS)}"
        )
    if not entry.holds_codec(codec):
        fits = [suffix for suffix, c in CONTAINERS.items() if c.holds_codec(codec)]
        raise NoPlaceError(f"{output}: {entry.name} cannot hold {codec}; use {' or '.join(fits)}, or another --codec")
    return entry


def muxer_options(entry: ContainerEntry, info: SourceInfo) -> dict[str, str]:
    """Options of the muxer: for MP4 and MOV, a clock on which every pts of the source is a whole number."""
    if entry.muxer not in ("mp4", "mov"):
        return {}
    clock = info.video.time_base.denominator
    options = {"video_track_timescale": str(clock)}
    if any(key.lower().startswith(_QUICKTIME_KEYS) for key, _ in info.metadata):
        options["movflags"] = "use_metadata_tags"
    # Start offsets are stored on the movie's clock: one on which those of the sounds are whole numbers, too.
    sounds = [s.time_base.denominator for s in info.streams if s.kind == "audio" and s.time_base]
    common = math.lcm(clock, *sounds)
    movie = common if common <= _FINEST_CLOCK else clock
    if movie >= 1000:
        options["movie_timescale"] = str(movie)
    return options


def choose_suffix(info: SourceInfo, codec: str) -> str:
    """The suffix of the result where the user names none: the source's own container if it can hold the codec
    and every stream as it is, else ``.mkv``."""
    suffix = Path(info.path).suffix.lower()
    if suffix not in CONTAINERS:
        suffix = _SUFFIX_OF.get(info.container, ".mkv")
    entry = CONTAINERS[suffix]
    if suffix == ".mkv" or not entry.holds_codec(codec):
        return ".mkv"
    with libav.open_input(info.path, whole=True) as source:
        samples = first_packets(source, info.video.stream_index)
        for stream in source.streams:
            if stream.index == info.video.stream_index:
                continue
            if not _keeps(entry, stream, samples.get(stream.index, [])):
                return ".mkv"
    return suffix


def _keeps(entry: ContainerEntry, stream: Any, packets: list[Any]) -> bool:
    if stream.type == "attachment":
        return entry.attachments
    if stream.type == "data":
        return True  # no container that we write would hold it better
    if stream.type == "video" and int(stream.disposition) & 0xC00:
        return entry.cover and holds(entry, stream)
    return holds(entry, stream, packets)


def first_packets(source: Any, video: int) -> dict[int, list[Any]]:
    """The first packet of every stream but the video, by stream number, as far as they come early in the file."""
    wanted = [s for s in source.streams if s.index != video and s.codec_context is not None]
    found: dict[int, list[Any]] = {}
    if not wanted:
        return found
    for count, packet in enumerate(libav.packets(source, *wanted)):
        if packet.size:
            found.setdefault(packet.stream.index, [packet])
        if len(found) == len(wanted) or count >= EARLY_PACKETS:
            break
    return found


def holds(entry: ContainerEntry, stream: Any, packets: list[Any] | None = None) -> bool:
    """Whether the container takes this stream as it is, and gives it back as a stream of its kind: tried out on a
    file in memory, with its first packets."""
    if stream.codec_context is None:
        return False
    memory = io.BytesIO()
    try:
        trial = av.open(memory, "w", format=entry.muxer)
        try:
            made = trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
            for packet in packets or ():
                packet.stream = made
                end_duration(packet)
                if packet.dts is None:
                    packet.dts = packet.pts = packet.pts or 0
                trial.mux_one(packet)
        finally:
            trial.close()
        return not packets or _gives_back(memory, stream.type)
    except (libav.AvError, ValueError, OSError, RuntimeError):
        return False


def _gives_back(memory: io.BytesIO, kind: str) -> bool:
    """Whether the one stream in a file can be read again. MP4 takes some codecs that no reader finds there."""
    memory.seek(0)
    with av.open(memory, metadata_errors="replace") as made:
        return [stream.type for stream in made.streams if stream.codec_context is not None] == [kind]
