"""Metadata: which of a source's tags describe its content and therefore go into the result."""

from __future__ import annotations

from collections.abc import Iterable

from vidsr.media.source import SourceInfo

# Written by muxers about their own file; true of the source's file only.
_OF_THE_FILE = frozenset(
    {
        "encoder", "duration", "bps", "number_of_frames", "number_of_bytes", "major_brand", "minor_version",
        "compatible_brands", "handler_name", "vendor_id", "alpha_mode", "rotate", "variant_bitrate", "source_id",
        "software", "vidsr_restored", "vidsr_span",
    }
)  # fmt: skip

#: Matroska tag that records the filters that changed the frames.
RESTORED = "VIDSR_RESTORED"
#: Matroska tag that records which frames of its source a result is made of, as ``--frames`` takes them.
SPAN = "VIDSR_SPAN"
#: What the tag of a part ends with if its sound was cut at the sample.
EXACT_SOUND = ";exact-sound"


def content_tags(metadata: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The tags that describe the content, not the file that held it."""
    kept = {}
    for key, value in metadata:
        base = key.lower().split("-eng")[0]
        if base in _OF_THE_FILE or base.startswith("_statistics") or not value:
            continue
        # MP4 and MOV know a stream's title as its name.
        kept["title" if key == "name" else key] = value
    return kept


def restored_of(info: SourceInfo) -> str:
    """The value of :data:`RESTORED` in a result, "" without one."""
    return _tag(info, RESTORED)


def span_of(info: SourceInfo) -> str:
    """The value of :data:`SPAN` in a result, "" without one."""
    return _tag(info, SPAN)


def _tag(info: SourceInfo, name: str) -> str:
    return next((value for key, value in info.metadata if key.upper() == name), "")


def timecode_of(info: SourceInfo) -> str | None:
    """The start timecode that any stream of the source, or the source itself, is tagged with."""
    tagged = [*(pair for stream in info.streams for pair in stream.metadata), *info.metadata]
    return next((value for key, value in tagged if key.lower() == "timecode"), None)
