"""The encoders: which library stands behind each codec name, its defaults, and the pixel formats it takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Any

import av

from vidsr.errors import EncodeError, OptionsError
from vidsr.frames import Colour, PixelFormat
from vidsr.media.colour_tags import MATRICES, ColourTags
from vidsr.media.source import VideoInfo
from vidsr.options import EncodeOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecEntry:
    """One encoder. ``formats`` are FFmpeg pixel format names, in order of preference. ``presets`` are the names that
    ``--preset`` may have, None where the encoder itself has to judge; ``max_rate`` in frames per second is what it
    accepts; ``matrices`` are the codes that its own bits have, None: all."""

    name: str
    encoder: str
    formats: tuple[str, ...]
    crf: float | None = None
    crf_key: str = "crf"
    preset: str | None = None
    preset_key: str = "preset"
    presets: tuple[str, ...] | None = None
    params_key: str | None = None
    params: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    even: bool = False
    hardware: bool = False
    family: str = ""
    max_rate: int | None = None
    matrices: frozenset[int] | None = None

    @property
    def base(self) -> str:
        """The codec that its packets are of: "h264" for h264 and for h264_nvenc."""
        return self.family or self.name


def _depths(names: str, *depths: int) -> tuple[str, ...]:
    return tuple(n if d == 8 else f"{n}{d}le" for d in depths for n in names.split())


#: Of x264 and x265, fastest first.
_X26X_PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)

#: codec name of `--codec` → encoder
CODECS: dict[str, CodecEntry] = {
    "h264": CodecEntry(
        name="h264",
        encoder="libx264",
        formats=_depths("yuv420p yuv422p yuv444p", 8, 10),
        crf=17,
        preset="medium",
        presets=_X26X_PRESETS,
        params_key="x264-params",
        # Without it x264 writes its own settings into the parameter sets, and segments may differ there.
        params=(("stitchable", "1"),),
        even=True,
    ),
    "hevc": CodecEntry(
        name="hevc",
        encoder="libx265",
        formats=_depths("yuv420p yuv422p yuv444p", 8, 10, 12),
        crf=18,
        preset="medium",
        presets=_X26X_PRESETS,
        params_key="x265-params",
        # x265's settings text in the parameter sets changes with the thread count.
        params=(("info", "0"), ("log-level", "error")),
        even=True,
    ),
    "av1": CodecEntry(
        name="av1",
        encoder="libsvtav1",
        formats=_depths("yuv420p", 8, 10),
        crf=24,
        preset="8",
        presets=tuple(str(number) for number in range(-1, 14)),
        params_key="svtav1-params",
        max_rate=240,
    ),
    "vp9": CodecEntry(
        name="vp9",
        encoder="libvpx-vp9",
        # Not 4:4:0, which MP4 cannot describe; alpha only beside 4:2:0, which is all that libvpx encodes.
        formats=(*_depths("yuv420p yuv422p yuv444p", 8, 10, 12), "yuva420p"),
        crf=20,
        preset="2",
        preset_key="cpu-used",
        presets=tuple(str(number) for number in range(-8, 9)),
        options=(("b", "0"), ("row-mt", "1"), ("deadline", "good")),
        matrices=frozenset({1, 5, 6, 7, 9}),
    ),
    "ffv1": CodecEntry(
        name="ffv1",
        encoder="ffv1",
        formats=(
            *_depths("gray", 8, 10, 12, 16),
            *_depths("yuv420p yuv422p yuv444p", 8, 9, 10, 12, 14, 16),
            *_depths("yuv440p", 8, 10, 12),
            "yuv411p",
            "yuv410p",
            *_depths("yuva420p yuva422p yuva444p", 8, 9, 10, 16),
            *_depths("gbrp", 8, 9, 10, 12, 14, 16),
            *_depths("gbrap", 8, 10, 12, 14, 16),
        ),
        presets=(),
        options=(("level", "3"), ("slicecrc", "1"), ("g", "1")),
    ),
    "prores": CodecEntry(
        name="prores",
        encoder="prores_ks",
        formats=("yuv422p10le", "yuv444p10le", "yuva444p10le"),
        presets=(),
        options=(("vendor", "apl0"),),
    ),
}


def _nvenc(family: str, formats: tuple[str, ...]) -> CodecEntry:
    return CodecEntry(
        name=f"{family}_nvenc",
        encoder=f"{family}_nvenc",
        family=family,
        formats=formats,
        crf=19,
        crf_key="cq",
        preset="p5",
        options=(("rc", "vbr"), ("b", "0")),
        even=True,
        hardware=True,
    )


CODECS |= {
    "h264_nvenc": _nvenc("h264", ("yuv420p", "yuv444p")),
    "hevc_nvenc": _nvenc("hevc", ("yuv420p", "yuv444p", "yuv420p10le")),
    "av1_nvenc": _nvenc("av1", ("yuv420p", "yuv420p10le")),
}


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


# Formats that an encoder takes only packed in another way; the samples are the same.
_PACKED = {
    ("ffv1", "gbrp"): "bgr0",
    ("ffv1", "gbrap"): "bgra",
    ("hevc_nvenc", "yuv420p10le"): "p010le",
    ("av1_nvenc", "yuv420p10le"): "p010le",
}


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
    """The encoder of a codec name.

    Raises:
        EncodeError: the name is unknown.
    """
    if codec not in CODECS:
        raise EncodeError(f"unknown codec {codec!r}: choose one of {', '.join(CODECS)}")
    return CODECS[codec]


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
    source = video.format
    available = _available(codec)
    wanted = _wanted_depth(video, options, available)
    notes: list[str] = []
    best = min(available, key=lambda f: _unfitness(f, source, wanted))
    if best.depth < source.depth and options.bit_depth is None:
        notes.append(f"{options.codec} holds at most {best.depth} bits per sample, the source has {source.depth}")
    if source.alpha and not best.alpha:
        notes.append(f"{options.codec} has no alpha channel: transparency is lost")
    if _chroma_loss(best, source):
        notes.append(f"{options.codec} stores colour as {best.name}: coarser than the source's {source.name}")
    colour, tags = video.colour, video.tags
    if source.family == "rgb" and best.family != "rgb":
        colour, tags = _yuv_of_rgb(video)
    if codec.matrices is not None and tags.matrix not in codec.matrices:
        colour, tags, note = _other_matrix(video, codec.name)
        notes.append(note)
    if codec.name == "prores" and tags.full_range:
        notes.append("ProRes knows limited range only: the full range of the source is brought to it")
        colour, tags = replace(colour, range="limited"), replace(tags, full_range=False)
    if best.log2_chroma_h and not keeps_location(codec.base, tags.chroma_location):
        notes.append(f"{options.codec} has no code for the chroma location {tags.chroma_location}: it is left untagged")
    frames = best
    if source.family == "gray" and best.family == "yuv" and not source.alpha:
        frames = replace(PixelFormat("gray", "gray", 8).with_depth(best.depth))
    return EncoderFormat(
        codec=options.codec,
        frames=frames,
        pixel_format=_PACKED.get((codec.name, best.name), best.name),
        colour=colour,
        tags=tags,
        notes=tuple(notes),
    )


def _available(codec: CodecEntry) -> list[PixelFormat]:
    """The planar formats that this build's encoder can be fed with."""
    build = _build_formats(codec.encoder)
    names = [name for name in codec.formats if _PACKED.get((codec.name, name), name) in build]
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


def keeps_location(codec: str, location: str | None) -> bool:
    """Whether a codec's own bits can say where chroma samples lie."""
    if location in (None, "left") or codec in ("h264", "hevc"):
        return True
    return codec == "av1" and location == "topleft"


def _other_matrix(video: VideoInfo, codec: str) -> tuple[Colour, ColourTags, str]:
    """BT.709 in place of a matrix that the codec cannot name.

    Raises:
        EncodeError: the matrix is only computed as another one, and would come out wrong.
    """
    name = MATRICES.get(video.tags.matrix, "unknown")
    if name != video.colour.matrix:
        raise EncodeError(f"{codec} cannot say that its colours are {name}: use another --codec, such as hevc")
    note = f"{codec} has no code for the matrix {name}: the colours are stored in bt709"
    return replace(video.colour, matrix="bt709"), replace(video.tags, matrix=1), note


def _yuv_of_rgb(video: VideoInfo) -> tuple[Colour, ColourTags]:
    """RGB sources become BT.709 (BT.2020 if their primaries are), limited range."""
    wide = video.colour.primaries == "bt2020"
    name, code = ("bt2020nc", 9) if wide else ("bt709", 1)
    colour = replace(video.colour, matrix=name, range="limited", chroma_location="left")
    return colour, replace(video.tags, matrix=code, full_range=False)


def _chroma_loss(have: PixelFormat, source: PixelFormat) -> bool:
    if source.family == "gray":
        return False
    return have.log2_chroma_w > source.log2_chroma_w or have.log2_chroma_h > source.log2_chroma_h


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
