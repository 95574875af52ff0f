"""Colour tags: FFmpeg's numbers and names (ITU-T H.273), reading them, and guessing what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from vidsr.frames import ChromaLocation, Colour, PixelFormat, Range
from vidsr.options.enhance_options import ColourOptions

MATRICES = {
    0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco", 9: "bt2020nc",
    10: "bt2020c", 11: "smpte2085", 12: "chroma-derived-nc", 13: "chroma-derived-c", 14: "ictcp", 15: "ipt-c2",
    16: "ycgco-re", 17: "ycgco-ro",
}  # fmt: skip
PRIMARIES = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film", 9: "bt2020", 10: "smpte428",
    11: "smpte431", 12: "smpte432", 22: "ebu3213",
}  # fmt: skip
TRANSFERS = {
    1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear", 9: "log100", 10: "log316",
    11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084",
    17: "smpte428", 18: "arib-std-b67",
}  # fmt: skip
UNSPECIFIED = 2
_CODES = {name: code for code, name in MATRICES.items()}
# Matrices that are not a plain 3x3 of known luma weights, and the nearest that is, for conversion to RGB and back.
_STAND_INS = {
    "bt2020c": "bt2020nc",
    "ictcp": "bt2020nc",
    "chroma-derived-nc": "bt709",
    "chroma-derived-c": "bt709",
    "smpte2085": "bt2020nc",
    "ipt-c2": "bt2020nc",
    "ycgco-re": "ycgco",
    "ycgco-ro": "ycgco",
}
# Codecs whose own standard says limited range where nothing is signalled, also for grey.
_VIDEO_CODECS = ("h264", "hevc", "av1", "vp8", "vp9", "mpeg1video", "mpeg2video", "mpeg4", "prores", "vc1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourTags:
    """The code points that the result is tagged with (ITU-T H.273, tables 2 to 4); 2 is "unspecified"."""

    matrix: int = UNSPECIFIED
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    full_range: bool = False
    chroma_location: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTags:
    """The colour tags of a source, before any guess; ``range`` is FFmpeg's 0 unknown, 1 limited, 2 full."""

    matrix: int
    primaries: int
    transfer: int
    range: int
    chroma_location: str | None
    native_format: str
    codec: str
    width: int
    height: int


def interpret(raw: RawTags, format: PixelFormat, options: ColourOptions) -> tuple[Colour, ColourTags, tuple[str, ...]]:
    """The colour to convert with, the tags to write, and one sentence per guess or override."""
    notes: list[str] = []
    matrix, code = _matrix(raw, format, options, notes)
    full = _full_range(raw, format, options, notes)
    location = raw.chroma_location
    if location is None and format.family == "yuv" and format.log2_chroma_w:
        location = "left" if format.log2_chroma_h or format.log2_chroma_w > 1 else None
        if location and raw.codec in ("mjpeg", "mjpegb"):
            location = "center"
    tagged = raw.chroma_location if raw.chroma_location in _LOCATIONS else None
    range: Range = "full" if full else "limited"
    colour = Colour(
        matrix=matrix,
        range=range,
        chroma_location=cast(ChromaLocation, location if location in _LOCATIONS else "left"),
        primaries=PRIMARIES.get(raw.primaries),
        transfer=TRANSFERS.get(raw.transfer),
    )
    tags = ColourTags(
        matrix=code,
        primaries=raw.primaries if raw.primaries in PRIMARIES else UNSPECIFIED,
        transfer=raw.transfer if raw.transfer in TRANSFERS else UNSPECIFIED,
        full_range=full,
        chroma_location=tagged,
    )
    return colour, tags, tuple(notes)


_LOCATIONS = ("left", "center", "topleft", "top", "bottomleft", "bottom")


def _matrix(raw: RawTags, format: PixelFormat, options: ColourOptions, notes: list[str]) -> tuple[str, int]:
    if format.family == "rgb":
        return "gbr", 0
    if options.input_matrix is not None:
        tagged = MATRICES.get(raw.matrix, "untagged")
        if tagged != options.input_matrix:
            notes.append(f"matrix {options.input_matrix} as --input-matrix says (the source says: {tagged})")
        return options.input_matrix, _CODES[options.input_matrix]
    if raw.matrix in MATRICES and raw.matrix != 0:
        name = MATRICES[raw.matrix]
        if name in _STAND_INS:
            notes.append(f"matrix {name} is computed as {_STAND_INS[name]}, and the result tagged {name}")
        return _STAND_INS.get(name, name), raw.matrix
    guess, why = _guess_matrix(raw)
    if format.family == "gray":
        return guess, _CODES[guess]  # no colour to go wrong
    notes.append(f"matrix guessed as {guess}: the source does not say, and {why} (--input-matrix overrides)")
    return guess, _CODES[guess]


def _guess_matrix(raw: RawTags) -> tuple[str, str]:
    primaries = PRIMARIES.get(raw.primaries)
    if primaries == "bt2020":
        return "bt2020nc", "its primaries are BT.2020"
    if primaries == "bt709":
        return "bt709", "its primaries are BT.709"
    if primaries in ("bt470bg", "smpte170m"):
        return primaries, f"its primaries are {primaries}"
    if min(raw.width, raw.height) >= 720 or raw.width >= 1280:
        return "bt709", f"{raw.width}x{raw.height} is high definition"
    if raw.height in (576, 288):
        return "bt470bg", f"{raw.height} lines are a PAL size"
    return "smpte170m", f"{raw.width}x{raw.height} is standard definition"


def _full_range(raw: RawTags, format: PixelFormat, options: ColourOptions, notes: list[str]) -> bool:
    if format.family == "rgb":
        return True
    if options.input_range is not None:
        if raw.range != (2 if options.input_range == "full" else 1):
            notes.append(f"{options.input_range} range as --input-range says")
        return options.input_range == "full"
    if raw.native_format.startswith("yuvj") or raw.range == 2:
        return True
    if raw.range == 1:
        return False
    if format.family == "gray" and raw.codec not in _VIDEO_CODECS:
        notes.append("range guessed as full: the source does not say, and it is grey (--input-range overrides)")
        return True
    if raw.codec not in _VIDEO_CODECS:
        notes.append("range guessed as limited: the source does not say (--input-range overrides)")
    return False
