"""DPX (SMPTE ST 268-1:2014): FFmpeg codes the pixels; timecode, colour and film fields of the header are read and
written here, since FFmpeg's encoder writes no industry header."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from vidsr.errors import InputError
from vidsr.frames import Frame
from vidsr.media import image_sequence
from vidsr.media.libav import AvError, output_error
from vidsr.media.mux.restoration_tag import timecode_of
from vidsr.media.source import SourceInfo
from vidsr.media.source_files import files_of
from vidsr.media.timecode import Timecode
from vidsr.storage import publish

#: Bytes of the header: generic (1664), film (256), television (128).
HEADER_BYTES = 2048
_GENERIC_BYTES = 1664
_UNDEFINED = 0xFFFFFFFF
#: Field → (offset, struct code). Numbers whose bits are all set, and texts of NUL bytes, are undefined.
FIELDS: dict[str, tuple[int, str]] = {
    "file_name": (36, "100s"), "creation_time": (136, "24s"), "creator": (160, "100s"), "project": (260, "200s"),
    "copyright": (460, "200s"), "transfer": (801, "B"), "colorimetric": (802, "B"),
    "source_file": (1432, "100s"), "source_time": (1532, "24s"), "input_device": (1556, "32s"),
    "input_serial": (1588, "32s"), "aspect_horizontal": (1628, "I"), "aspect_vertical": (1632, "I"),
    "film_code": (1664, "48s"), "frame_position": (1712, "I"), "sequence_length": (1716, "I"),
    "held_count": (1720, "I"), "film_rate": (1724, "f"), "shutter_angle": (1728, "f"), "frame_id": (1732, "32s"),
    "slate": (1764, "100s"), "timecode": (1920, "I"), "user_bits": (1924, "I"), "interlace": (1928, "B"),
    "field_number": (1929, "B"), "video_standard": (1930, "B"), "horizontal_rate": (1932, "f"),
    "vertical_rate": (1936, "f"), "frame_rate": (1940, "f"), "time_offset": (1944, "f"), "gamma": (1948, "f"),
}  # fmt: skip
#: Fields that the result writes itself.
_OWN = ("file_name", "creator")
#: Codes of transfer characteristic and colorimetric specification (table 5) → FFmpeg's names; 4 is unspecified video.
TRANSFERS = {2: "linear", 6: "bt709", 7: "bt470bg", 8: "smpte170m"}
COLORIMETRIES = {6: "bt709", 7: "bt470bg", 8: "smpte170m"}
UNSPECIFIED = 4
Fields = Mapping[str, Any]


def read_fields(path: Path) -> dict[str, Any]:
    """The defined fields of a DPX file's header; ``timecode`` as the number that is stored.

    Raises:
        InputError: the file cannot be read or is not DPX.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEADER_BYTES)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    order = {b"SDPX": ">", b"XPDS": "<"}.get(head[:4])
    if order is None or len(head) < _GENERIC_BYTES:
        raise InputError(f"{path}: not a DPX file")
    (data,) = struct.unpack_from(f"{order}I", head, 4)
    found: dict[str, Any] = {}
    for name, (offset, code) in FIELDS.items():
        size = struct.calcsize(code)
        # A file without industry headers has its pixels there.
        if offset + size > min(len(head), data):
            continue
        raw = head[offset : offset + size]
        if raw != (b"\0" if code.endswith("s") else b"\xff") * size:
            (found[name],) = struct.unpack(f"{order}{code}", raw)
    return found


def timecode_in(fields: Fields) -> Timecode | None:
    """The timecode of a header: packed BCD, hours in the highest byte; None without a valid one."""
    if "timecode" not in fields:
        return None
    digits = f"{fields['timecode'] & ~_DROP:08x}"
    drop = bool(fields["timecode"] & _DROP)
    return Timecode.parse(f"{digits[:2]}:{digits[2:4]}:{digits[4:6]}{';' if drop else ':'}{digits[6:]}")


#: Drop frames are flagged in the bit above the tens of the frames (ST 12-1, bit 10 of the codeword).
_DROP = 0x40


def packed(timecode: Timecode) -> int:
    """A timecode as the header stores it."""
    text = f"{timecode.hours:02}{timecode.minutes:02}{timecode.seconds:02}{timecode.frames:02}"
    return int(text, 16) | (_DROP if timecode.drop else 0)


def rate_in(fields: Fields) -> Fraction | None:
    """The frame rate of a header: that of television, else of film; the usual fraction where one is meant."""
    for name in ("frame_rate", "film_rate"):
        value = fields.get(name, 0.0)
        if not 1 <= value <= 1000:
            continue
        for base in (round(value), Fraction(round(value * 1.001) * 1000, 1001)):
            if abs(value - base) < value * 1e-4:
                return Fraction(base)
        return Fraction(value).limit_denominator(1001)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class DpxHeaders:
    """The header fields of the pictures of a result.

    ``first`` are those of the source's first picture, or made from what its video says. Where the source's pictures
    are those of the result, ``sources`` are their files, and each result gets its own picture's fields; else the
    timecode of ``first`` counts on at ``rate``, in frames per second. ``sar`` is the result's pixel shape.
    """

    first: Fields
    rate: Fraction
    sar: Fraction = Fraction(1)
    sources: tuple[Path, ...] = ()

    @classmethod
    def for_source(cls, source: SourceInfo, *, sar: Fraction = Fraction(1), one_to_one: bool) -> DpxHeaders:
        """The headers of pictures made from ``source``, whose rate is that after restoration.

        ``one_to_one`` says that each frame of the source became one picture.

        Raises:
            InputError: the source is DPX and cannot be read.
        """
        rate = source.video.rate
        files = dpx_files(source)
        if files:
            first = read_fields(files[0]) | {"frame_rate": float(rate)}
            return cls(first=first, rate=rate, sar=sar, sources=tuple(files) if one_to_one else ())
        colour = source.video.colour
        fields: dict[str, Any] = {"frame_rate": float(rate), **colour_fields(colour.transfer, colour.primaries)}
        start = Timecode.parse(timecode_of(source) or "")
        if start is not None:
            fields["timecode"] = packed(start)
        return cls(first=fields, rate=rate, sar=sar)

    def of(self, number: int) -> dict[str, Any]:
        """The fields of picture ``number``, counted from 0.

        Raises:
            InputError: the source's picture cannot be read.
        """
        shape = {"aspect_horizontal": self.sar.numerator, "aspect_vertical": self.sar.denominator}
        if self.sources:
            return read_fields(self.sources[number]) | shape
        fields = {**self.first, **shape}
        start = timecode_in(fields)
        if start is not None:
            fields["timecode"] = packed(start.later(number, self.rate))
        if "frame_position" in fields:
            fields["frame_position"] += number
        return fields


def dpx_files(source: SourceInfo) -> list[Path]:
    """The files of a source of numbered DPX pictures; none of another."""
    path = source.path
    if not isinstance(path, Path) or path.suffix.lower() != ".dpx" or not image_sequence.is_pattern(path):
        return []
    return files_of(path)


def stamp(path: Path, fields: Fields, name: str) -> None:
    """Write fields into the header of a DPX file made by :func:`write_dpx`; ``name`` is the file's final name."""
    values = {key: value for key, value in fields.items() if key not in _OWN}
    values["file_name"] = name.encode(errors="replace")[:99]
    with path.open("r+b") as file:
        for key, value in values.items():
            offset, code = FIELDS[key]
            file.seek(offset)
            file.write(struct.pack(f">{code}", value))
        file.flush()
        os.fsync(file.fileno())


def write_dpx(path: Path, frame: Frame) -> None:
    """Write one grey or RGB frame: 10 bits as three in a word, 16 bits and alpha as they are, most significant first.

    Raises:
        OutputError: the file cannot be written.
        DiskFullError: no space is left.
    """
    part = path.with_name(path.name + ".part")
    try:
        coded = _encoded(frame)
        header = bytearray(coded[:_GENERIC_BYTES])
        header += b"\0" * 48 + b"\xff" * 20 + b"\0" * 188  # film: texts, numbers, texts and reserved bytes
        header += b"\xff" * 52 + b"\0" * 76  # television
        pixels = coded[_GENERIC_BYTES:]
        for offset, value in ((4, HEADER_BYTES), (16, HEADER_BYTES + len(pixels)), (24, _GENERIC_BYTES),
                              (28, HEADER_BYTES - _GENERIC_BYTES), (808, HEADER_BYTES)):  # fmt: skip
            struct.pack_into(">I", header, offset, value)
        struct.pack_into(">100s", header, FIELDS["creator"][0], b"vidsr")
        struct.pack_into("BB", header, FIELDS["transfer"][0], UNSPECIFIED, UNSPECIFIED)
        part.write_bytes(bytes(header) + pixels)
        publish(part, path)
    except (AvError, OSError, ValueError) as error:
        raise output_error(error, path, "writing") from error
    finally:
        part.unlink(missing_ok=True)


def _encoded(frame: Frame) -> bytes:
    """The frame as FFmpeg's encoder writes it: its generic header, then the pixels."""
    if frame.format.depth == 10:
        picture = av.VideoFrame(frame.width, frame.height, "gbrp10be")
        samples = [*frame.planes]
    else:
        name, order = {1: ("gray16be", (0,)), 3: ("rgb48be", (2, 0, 1)), 4: ("rgba64be", (2, 0, 1, 3))}[
            len(frame.planes)
        ]
        picture = av.VideoFrame(frame.width, frame.height, name)
        packed_rows = np.stack([frame.planes[n] for n in order], axis=-1)
        samples = [packed_rows.reshape(frame.height, -1)]
    for plane, codes in zip(picture.planes, samples, strict=True):
        target: Any = np.frombuffer(plane, ">u2").reshape(frame.height, plane.line_size // 2)  # type: ignore[call-overload]
        target[:, : codes.shape[1]] = codes
    encoder: Any = av.CodecContext.create("dpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, picture.format.name
    encoder.time_base = frame.time_base
    coded = b"".join(bytes(p) for p in (*encoder.encode(picture), *encoder.encode(None)))
    if coded[:4] != b"SDPX" or struct.unpack_from(">I", coded, 4) != (_GENERIC_BYTES,):
        raise ValueError("FFmpeg's DPX encoder writes another header than expected")
    return coded


def colour_fields(transfer: str | None, primaries: str | None) -> dict[str, int]:
    """The codes of a transfer and of primaries by FFmpeg's names; "unspecified video" for those without a code."""
    curves, gamuts = ({name: code for code, name in table.items()} for table in (TRANSFERS, COLORIMETRIES))
    return {
        "transfer": curves.get(transfer or "", UNSPECIFIED),
        "colorimetric": gamuts.get(primaries or "", UNSPECIFIED),
    }
