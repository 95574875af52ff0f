"""The description of a source: its streams, its picture, its colour. Plain values, safe to keep and compare."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NewType

from vidsr.frames import Colour, PixelFormat
from vidsr.media.colour_tags import ColourTags

#: What files in a folder are taken for videos by; a file that somebody names may have any suffix.
VIDEO_SUFFIXES = frozenset(
    {
        *(".3gp", ".avi", ".dv", ".flv", ".gif", ".m2ts", ".m2v", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"),
        *(".mts", ".mxf", ".nut", ".ogv", ".ps", ".ts", ".vob", ".webm", ".wmv", ".y4m"),
    }
)
#: Codecs that keep every sample, by FFmpeg's names. Those that merely can, such as H.264 and JPEG 2000, are not listed.
LOSSLESS_CODECS = frozenset(
    {
        *("apng", "bmp", "dpx", "ffv1", "ffvhuff", "huffyuv", "hymt", "magicyuv", "pam", "png", "ppm", "qtrle", "r210"),
        *("rawvideo", "sgi", "targa", "tiff", "utvideo", "v210", "v308", "v408", "v410", "y41p", "yuv4", "zlib"),
    }
)
ATTACHED_PIC, TIMED_THUMBNAILS, STILL_IMAGE = 0x400, 0x800, 0x100000


@dataclass(frozen=True, slots=True, kw_only=True)
class HdrInfo:
    """HDR10 static metadata (SMPTE ST 2086 and CTA-861.3).

    ``mastering`` holds R x, R y, G x, G y, B x, B y, white x, white y (CIE 1931), then the least and the greatest
    luminance in cd/m²; None where the source has none. ``light_level`` is (MaxCLL, MaxFALL) in cd/m².
    """

    mastering: tuple[Fraction, ...] | None = None
    light_level: tuple[int, int] | None = None


NO_HDR = HdrInfo()


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamInfo:
    """One stream of the source. ``start`` and ``duration`` count ``time_base`` units."""

    index: int
    kind: str
    codec: str
    time_base: Fraction | None = None
    start: int | None = None
    duration: int | None = None
    disposition: int = 0
    metadata: tuple[tuple[str, str], ...] = ()
    details: str = ""

    @property
    def language(self) -> str | None:
        """The language code, or None where the source does not say."""
        found = {k.lower(): v for k, v in self.metadata}.get("language")
        return found if found not in (None, "und") else None

    @property
    def is_cover(self) -> bool:
        """Whether this "video" stream is a still picture that belongs to the file, such as cover art."""
        return bool(self.disposition & (ATTACHED_PIC | TIMED_THUMBNAILS))


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """The video stream to enhance.

    ``native_format`` is what the decoder gives, ``format`` the planar format that frames have here. ``rate`` is
    the nominal frame rate: it is never used for timing where the source has timestamps. ``guessed`` lists in
    words what was assumed. ``lost`` names what a re-encode cannot carry. ``decoder`` is set where the default
    decoder would lose something. ``flatten`` is the 8-bit RGB colour that alpha is blended over; None keeps it.
    """

    stream_index: int
    codec: str
    width: int
    height: int
    native_format: str
    format: PixelFormat
    colour: Colour
    tags: ColourTags
    time_base: Fraction
    rate: Fraction
    sar: Fraction = Fraction(1)
    guessed: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    rotation: int = 0
    display_matrix: tuple[int, ...] | None = None
    start: int | None = None
    duration: int | None = None
    declared_frames: int | None = None
    field_order: int = 0
    interlaced: bool = False
    hdr: HdrInfo = NO_HDR
    profile: str | None = None
    decoder: str | None = None
    dolby_vision: int | None = None
    flatten: tuple[int, int, int] | None = None

    @property
    def is_lossless(self) -> bool:
        """Whether the codec always keeps every sample of what it was given."""
        return self.codec in LOSSLESS_CODECS

    @property
    def is_hdr(self) -> bool:
        """Whether the transfer is PQ or HLG."""
        return self.colour.transfer in ("smpte2084", "arib-std-b67")

    @property
    def step(self) -> int:
        """One nominal frame duration in ``time_base`` units, at least 1."""
        return max(1, round(1 / (self.rate * self.time_base)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A chapter: start and end in ``time_base`` units, and its tags."""

    start: int
    end: int
    time_base: Fraction
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """A probed source. ``path`` is a local path, or the address where ``--allow-network`` was given.

    ``missing_bytes`` are those that the file's own framing promises and that are not there: it was cut off.
    """

    path: Path | str
    container: str
    streams: tuple[StreamInfo, ...]
    video: VideoInfo
    chapters: tuple[Chapter, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    size_bytes: int = 0
    missing_bytes: int = 0
    hwaccel: str = "off"


#: The stages of a source's description, as distinct types: code that works on one stage names it, and mypy refuses the
#: others. Functions that look only at streams, tags and chapters, the same at every stage, take a :class:`SourceInfo`.
#: ``StoredInfo`` is what the file says. ``DecodedInfo`` is what the decoder gives: the stored size and times, after the
#: choice to blend alpha away. ``ShapedInfo`` has the size, rate and time base of the frames after restoration.
StoredInfo = NewType("StoredInfo", SourceInfo)
DecodedInfo = NewType("DecodedInfo", SourceInfo)
ShapedInfo = NewType("ShapedInfo", SourceInfo)
#: What can be decoded: the size and times are those in the file.
ReadableInfo = StoredInfo | DecodedInfo
