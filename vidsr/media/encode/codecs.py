"""Encoders on this machine, and the pixel format that each gets for a source; the codecs are in ``codec_table``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Any

import av

from vidsr.codec_table import CODECS, CodecEntry
from vidsr.errors import EncodeError, OptionsError
from vidsr.frames import Colour, PixelFormat
from vidsr.media.colour_tags import MATRICES, ColourTags
from vidsr.media.encode import svt
from vidsr.media.source import VideoInfo
from vidsr.options.enhance_options import EncodeOptions


def check_options(options: EncodeOptions) -> None:
    """Refuse a preset or a quality that the encoder does not have, and say what it has.

    Raises:
        OptionsError: as said.
    """
    codec = entry(options.codec)
    if options.preset is not None and codec.presets is not None and options.preset not in codec.presets:
        has = f"the presets of {codec.name} are {', '.join(codec.presets)}" if codec.presets else "this codec has none"
        raise OptionsError(f"--preset {options.preset}: neither a material nor a preset of {codec.name}; {has}")
    if options.crf is not None and codec.crf is None:
        raise OptionsError(f"--crf {options.crf:g}: {codec.name} has no constant quality; leave it out")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderFormat:
    """What frames the encoder is fed with: a planar format, its colour, and the tags to write.

    ``pixel_format`` is what the encoder itself gets. It differs from ``frames`` only for grey, where neutral
    chroma planes are added, and where planes fit a codec under another name.
    """

    codec: str
    frames: PixelFormat
    pixel_format: str
    colour: Colour
    tags: ColourTags
    notes: tuple[str, ...] = ()


def entry(codec: str) -> CodecEntry:
    """The row of a codec name.

    Raises:
        EncodeError: the name is unknown.
    """
    if codec not in CODECS:
        raise EncodeError(f"unknown codec {codec!r}: choose one of {', '.join(CODECS)}")
    return CODECS[codec]


def row_of(codec: str) -> CodecEntry:
    """The row of the codec of a file; one without anything special where vidsr does not write that codec."""
    return CODECS.get(codec) or CodecEntry(name=codec, encoder=codec, formats=())


@cache
def is_available(encoder: str) -> bool:
    """Whether this build of PyAV has the encoder at all."""
    return bool(_build_formats(encoder))


@cache
def trouble(codec: str) -> str | None:
    """Why an encoder does not work on this machine, found by opening it on a small picture; None if it does."""
    chosen = entry(codec)
    if not is_available(chosen.encoder):
        return f"{chosen.encoder} is not in this build of PyAV"
    try:
        context: Any = av.CodecContext.create(chosen.encoder, "w")
        context.width, context.height, context.pix_fmt = 256, 256, "yuv420p"
        context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
        with svt.tamed():
            context.open()
    except (av.error.FFmpegError, ValueError, OSError) as error:
        return str(error)
    return None


def usable_codec(codec: str) -> tuple[str, str | None]:
    """The codec, or where it needs hardware that is not here, its software twin and a sentence about it."""
    chosen = entry(codec)
    if chosen.hardware and (why := trouble(codec)) is not None:
        return chosen.base, f"{codec} does not work on this machine ({why}): encoding with {chosen.base} in software"
    return codec, None


@cache
def _build_formats(encoder: str) -> frozenset[str]:
    """The pixel formats that this build's encoder takes; empty where the build lacks the encoder."""
    try:
        formats = av.Codec(encoder, "w").video_formats
    except (ValueError, av.error.FFmpegError):
        return frozenset()
    return frozenset(f.name for f in formats or ())


def encode_formats(video: VideoInfo, options: EncodeOptions) -> EncoderFormat:
    """Choose the format that the encoder of ``options.codec`` is fed with for this source.

    The source's depth, subsampling and alpha are kept where the codec has them; else the next better that it
    has, else the best that it has, with a note.

    Raises:
        EncodeError: the encoder is not in this build, or has no format of the depth that was asked for.
    """
    codec = entry(options.codec)
    available = _available(codec)
    wanted = _wanted_depth(video, options, available)
    best = min(available, key=lambda f: _unfitness(f, video.format, wanted))
    choice = _Choice(
        codec=codec,
        video=video,
        format=best,
        depth_given=options.bit_depth is not None,
        colour=video.colour,
        tags=video.tags,
    )
    for limit in _LIMITS:
        choice = limit(choice)
    frames = best
    if video.format.family == "gray" and best.family == "yuv" and not video.format.alpha:
        frames = PixelFormat("gray", "gray", 8).with_depth(best.depth)
    return EncoderFormat(
        codec=codec.name,
        frames=frames,
        pixel_format=dict(codec.packed).get(best.name, best.name),
        colour=choice.colour,
        tags=choice.tags,
        notes=choice.notes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """A pixel format of a codec for a source, and how colour and tags follow from what the codec can hold."""

    codec: CodecEntry
    video: VideoInfo
    format: PixelFormat
    depth_given: bool
    colour: Colour
    tags: ColourTags
    notes: tuple[str, ...] = ()

    def noted(self, note: str, **changes: Any) -> _Choice:
        return replace(self, notes=(*self.notes, note), **changes)


def _limit_depth(c: _Choice) -> _Choice:
    have, source = c.format.depth, c.video.format.depth
    if have >= source or c.depth_given:
        return c
    return c.noted(f"{c.codec.name} holds at most {have} bits per sample, the source has {source}")


def _limit_alpha(c: _Choice) -> _Choice:
    if c.format.alpha or not c.video.format.alpha:
        return c
    return c.noted(f"{c.codec.name} has no alpha channel: transparency is lost")


def _limit_chroma(c: _Choice) -> _Choice:
    have, source = c.format, c.video.format
    coarser = have.log2_chroma_w > source.log2_chroma_w or have.log2_chroma_h > source.log2_chroma_h
    if source.family == "gray" or not coarser:
        return c
    return c.noted(f"{c.codec.name} stores colour as {have.name}: coarser than the source's {source.name}")


def _limit_rgb(c: _Choice) -> _Choice:
    """RGB becomes BT.709 (BT.2020 if its primaries are), limited range."""
    if c.video.format.family != "rgb" or c.format.family == "rgb":
        return c
    name, code = ("bt2020nc", 9) if c.colour.primaries == "bt2020" else ("bt709", 1)
    colour = replace(c.colour, matrix=name, range="limited", chroma_location="left")
    return replace(c, colour=colour, tags=replace(c.tags, matrix=code, full_range=False))


def _limit_matrix(c: _Choice) -> _Choice:
    """BT.709 in place of a matrix that the codec cannot name.

    Raises:
        EncodeError: the matrix is only computed as another one, and would come out wrong.
    """
    if c.codec.matrices is None or c.tags.matrix in c.codec.matrices:
        return c
    name = MATRICES.get(c.video.tags.matrix, "unknown")
    if name != c.video.colour.matrix:
        raise EncodeError(f"{c.codec.name} cannot say that its colours are {name}: use another --codec, such as hevc")
    return c.noted(
        f"{c.codec.name} has no code for the matrix {name}: the colours are stored in bt709",
        colour=replace(c.video.colour, matrix="bt709"),
        tags=replace(c.video.tags, matrix=1),
    )


def _limit_range(c: _Choice) -> _Choice:
    if not c.codec.limited_range or not c.tags.full_range:
        return c
    return c.noted(
        f"{c.codec.name} knows limited range only: the full range of the source is brought to it",
        colour=replace(c.colour, range="limited"),
        tags=replace(c.tags, full_range=False),
    )


def _limit_location(c: _Choice) -> _Choice:
    location = c.tags.chroma_location
    if not c.format.log2_chroma_h or row_of(c.codec.base).keeps_location(location):
        return c
    return c.noted(f"{c.codec.name} has no code for the chroma location {location}: it is left untagged")


#: What a codec can fail to hold, in this order: each adjusts the choice and says so.
_LIMITS: tuple[Callable[[_Choice], _Choice], ...] = (
    _limit_depth,
    _limit_alpha,
    _limit_chroma,
    _limit_rgb,
    _limit_matrix,
    _limit_range,
    _limit_location,
)


def _available(codec: CodecEntry) -> list[PixelFormat]:
    """The planar formats that this build's encoder can be fed with."""
    build = _build_formats(codec.encoder)
    packed = dict(codec.packed)
    names = [name for name in codec.formats if packed.get(name, name) in build]
    available = [f for name in names if (f := PixelFormat.parse(name)) is not None]
    if not available:
        raise EncodeError(f"{codec.encoder}, the encoder for {codec.name}, is not in this build of PyAV")
    return available


def _wanted_depth(video: VideoInfo, options: EncodeOptions, available: list[PixelFormat]) -> int:
    """The depth asked for; else the source's, and for HDR at least 10 bits."""
    if options.bit_depth is None:
        return max(10, video.format.depth) if video.is_hdr else video.format.depth
    depths = sorted({f.depth for f in available})
    if options.bit_depth not in depths:
        raise EncodeError(
            f"--bit-depth {options.bit_depth}: {options.codec} here has {', '.join(map(str, depths))} bits; "
            "choose one of these or another --codec"
        )
    return options.bit_depth


def _unfitness(have: PixelFormat, source: PixelFormat, wanted: int) -> tuple[int, ...]:
    """How badly a format serves a source: what is lost first, then what is wasted."""
    alpha_lost = int(source.alpha and not have.alpha)
    depth_lost = max(0, wanted - have.depth)
    if source.family == "gray":
        lost, wasted = 0, 0 if have.family == "gray" else 4 - have.log2_chroma_w - have.log2_chroma_h
    elif source.family == "rgb":
        lost = 0 if have.family == "rgb" else have.log2_chroma_w + have.log2_chroma_h
        lost += 10 * (have.family == "gray")
        wasted = int(have.family != "rgb")
    else:
        if have.family != "yuv":
            return (9, 9, 9, 9, 9, 9)
        lost = max(0, have.log2_chroma_w - source.log2_chroma_w) + max(0, have.log2_chroma_h - source.log2_chroma_h)
        wasted = max(0, source.log2_chroma_w - have.log2_chroma_w) + max(0, source.log2_chroma_h - have.log2_chroma_h)
    extra_alpha = int(have.alpha and not source.alpha)
    extra_depth = max(0, have.depth - wanted)
    return alpha_lost, depth_lost, lost, extra_alpha, extra_depth, wasted


def fit_size(format: EncoderFormat, width: int, height: int) -> tuple[int, int, str | None]:
    """The size that can be encoded, at least the one asked for: H.264 and HEVC need even sides for 4:2:0.

    Returns (width, height, note or None).
    """
    chosen = PixelFormat.parse(format.pixel_format)
    if not entry(format.codec).even or chosen is None:
        return width, height, None
    w = width + (width & 1 if chosen.log2_chroma_w else 0)
    h = height + (height & 1 if chosen.log2_chroma_h else 0)
    if (w, h) == (width, height):
        return width, height, None
    note = f"{width}x{height} is made {w}x{h}: {format.codec} stores {format.pixel_format} in even sizes only"
    return w, h, note
