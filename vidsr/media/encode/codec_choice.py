"""Which codec a result gets where the user names none: H.264, or one that keeps alpha and fits the container."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vidsr.codec_table import AUTO_CODEC, CODECS, DEFAULT_CODEC, CodecEntry
from vidsr.errors import EncodeError, OptionsError
from vidsr.frames import PixelFormat
from vidsr.media.encode.codecs import EncoderFormat, check_options, encode_formats, is_available
from vidsr.media.source import SourceInfo, VideoInfo
from vidsr.options.enhance_options import EncodeOptions


def choose_codec(info: SourceInfo, options: EncodeOptions, suffix: str) -> tuple[EncodeOptions, str | None]:
    """``options`` with a codec in place of "auto", and a sentence about it where it is not the usual one.

    A source with alpha, unless it is blended away, gets a codec that keeps it: first by what of depth and colour would
    be lost (its own codec counts as losing nothing), then a lossless alpha plane before a lossy one, then by whether
    the source's own container holds it. Codecs that have no such ``--crf``, ``--preset`` or ``--bit-depth`` as the
    options ask for come last.

    Args:
        info: the source.
        options: as the user gave them. A named codec is returned as it is.
        suffix: of the output, such as ``.mov``; "" where vidsr will choose the container.
    """
    if options.codec != AUTO_CODEC:
        return options, None
    fitting = [row for row in CODECS.values() if _fits(row, suffix)]
    usual = replace(options, codec=DEFAULT_CODEC)
    if not info.video.format.alpha or options.flatten is not None:
        if not fitting or CODECS[DEFAULT_CODEC] in fitting:
            return usual, None
        chosen = fitting[0]
        note = f"{suffix[1:]} cannot hold {DEFAULT_CODEC}: encoding with {chosen.name}"
        return replace(options, codec=chosen.name), note
    suitable = [row for row in fitting if any(_has_alpha(name) for name in row.formats)]
    if suffix:
        # VP9's alpha lies next to its packets, for which only these have a place.
        suitable = [row for row in suitable if not row.alpha_aside or suffix in (".mkv", ".webm")]
    if not suitable:
        return usual, None
    own = suffix or Path(info.path).suffix.lower()
    best = min(suitable, key=lambda row: _rank(row, info.video, options, own))
    return replace(options, codec=best.name), _alpha_note(best)


def _fits(row: CodecEntry, suffix: str) -> bool:
    return not row.hardware and is_available(row.encoder) and (not suffix or suffix in row.containers)


def _has_alpha(name: str) -> bool:
    found = PixelFormat.parse(name)
    return found is not None and found.alpha


def _rank(row: CodecEntry, video: VideoInfo, options: EncodeOptions, own: str) -> tuple[bool, bool, int, bool, bool]:
    """How badly a codec serves a source with alpha; the least wins, and among equals the first of the table."""
    asked = replace(options, codec=row.name)
    try:
        check_options(asked)
        format = encode_formats(video, asked)
    except (OptionsError, EncodeError):
        return True, True, 0, True, True
    # ProRes decodes to more bits than its encoder takes: what was ProRes before may stay so.
    lost = 0 if row.base == video.codec else _lost(format, video)
    return False, not format.frames.alpha, lost, not row.exact_alpha, own not in row.containers


def _lost(format: EncoderFormat, video: VideoInfo) -> int:
    """Bits per sample and halvings of chroma that the codec takes away."""
    have, source = format.frames, video.format
    chroma = (
        0
        if source.family == "gray"
        else max(0, have.log2_chroma_w - source.log2_chroma_w) + max(0, have.log2_chroma_h - source.log2_chroma_h)
    )
    return max(0, source.depth - have.depth) + chroma


def _alpha_note(row: CodecEntry) -> str:
    how = "keeps it" if row.exact_alpha else "keeps it, compressed with loss"
    return (
        f"the source has an alpha channel: encoding with {row.name}, which {how}; to leave it out, blend it over a "
        "colour with --flatten black"
    )
