"""Settle, before any work, how a source becomes a result: codec, pixel format, size, alpha, what will be lost."""

from __future__ import annotations

from dataclasses import dataclass, replace

import av

from vidsr.codec_table import AUTO_CODEC
from vidsr.errors import InputError, NoPlaceError
from vidsr.media.encode.alpha import flattened
from vidsr.media.encode.codec_choice import choose_codec
from vidsr.media.encode.codecs import EncoderFormat, check_options, encode_formats, entry, usable_codec
from vidsr.media.encode.encoder import EncoderSettings
from vidsr.media.encode.geometry import result_geometry
from vidsr.media.frame_memory import check_memory
from vidsr.media.source import ShapedInfo, VideoInfo
from vidsr.options.enhance_options import EncodeOptions, EnhanceOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderPlan:
    """A source with all decisions taken. ``info`` replaces the probed one: it may blend alpha away. ``encode`` are the
    options with a codec where they left it open. ``codec_notes`` are about that codec, ``notes`` about the picture,
    whatever encodes it."""

    info: ShapedInfo
    encode: EncodeOptions
    settings: EncoderSettings
    codec_notes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the result in pixels."""
        return self.settings.width, self.settings.height


def prepare(info: ShapedInfo, options: EnhanceOptions, model_scale: int, suffix: str = "") -> EncoderPlan:
    """Take every decision about picture and encoder. ``suffix`` is that of the output, where it has a name.

    Raises:
        InputError: Dolby Vision profile 5, or frames too large for the memory.
        NoPlaceError: the codec cannot keep the source's alpha and ``--flatten`` was not given.
        EncodeError: the codec has no such depth, or is not in this build.
        OptionsError: the codec has no such preset, or no constant quality.
    """
    if info.video.dolby_vision == 5:
        raise InputError(
            f"{info.path} is Dolby Vision profile 5: its colours exist only inside Dolby's own decoders "
            "(IPTPQc2), so a re-encode would be green and purple; use a profile 8 or HDR10 version"
        )
    chosen, choice_note = choose_codec(info, options.encode, suffix)
    codec, note = usable_codec(chosen.codec)
    encode = replace(chosen, codec=codec)
    if info.video.format.alpha and encode.flatten is not None:
        info = ShapedInfo(flattened(info, encode.flatten))
    video = info.video
    check_options(encode)
    format = encode_formats(video, encode)
    chosen_alpha = format.frames.alpha
    if video.format.alpha and not chosen_alpha:
        way = "keep it with --codec prores, vp9 or ffv1"
        if options.encode.codec == AUTO_CODEC:
            why, way = f"which no codec in {suffix[1:]} keeps", "write to .mkv, .mov or .webm"
        else:
            why = f"and {codec} has none"
        raise NoPlaceError(
            f"{info.path} has an alpha channel, {why}: {way}, or blend it over a colour with --flatten black"
        )
    shape = result_geometry(video, options.size, format, model_scale)
    check_memory(video, (shape.width, shape.height))
    settings = EncoderSettings.for_source(video, encode, (shape.width, shape.height))
    settings = replace(settings, sar=shape.sar)
    return EncoderPlan(
        info=info,
        encode=chosen,
        settings=settings,
        codec_notes=(*(text for text in (choice_note, note) if text), *_hdr_notes(video, format)),
        notes=(*video.guessed, *info.notes, *shape.notes),
    )


def _hdr_notes(video: VideoInfo, format: EncoderFormat) -> list[str]:
    notes = []
    if (video.hdr.mastering or video.hdr.light_level) and entry(format.codec).hdr is None:
        notes.append(f"{format.codec} does not store mastering display and light level data: they are left out")
    if video.is_hdr and format.frames.depth < 10:
        notes.append("HDR in 8 bits shows steps: use --bit-depth 10")
    return notes


def encoder_build(codec: str) -> str:
    """The encoder behind a codec name and the build it is from, as one line.

    Raises:
        EncodeError: the codec name is unknown.
    """
    avcodec = ".".join(map(str, av.library_versions["libavcodec"]))
    return f"{entry(codec).encoder} of PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}, libavcodec {avcodec}"
