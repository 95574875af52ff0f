"""H.264 and HEVC packets without their framing, so that the same pictures are the same bytes in every container."""

from __future__ import annotations

import re
from typing import Any

_START = re.compile(b"\0\0\1")


def is_framed(stream: Any) -> bool:
    """Whether the stream's packets consist of NAL units behind start codes or lengths."""
    return stream.type == "video" and stream.codec_context is not None and stream.codec_context.name in ("h264", "hevc")


def length_bytes(stream: Any) -> int:
    """Bytes of the length in front of each NAL unit; 0 where they stand behind start codes (ITU-T H.264, annex B).

    Told by the stream's header: the configuration of ISO/IEC 14496-15 begins with version 1, a start code with 0.
    """
    header = bytes(stream.codec_context.extradata or b"")
    if not header or header[0] != 1:
        return 0
    at = 4 if stream.codec_context.name == "h264" else 21
    return 1 + (header[at] & 3) if len(header) > at else 4


def units(packet: bytes, length: int) -> bytes:
    """The NAL units of a packet, one behind the other; ``length`` as :func:`length_bytes` gives it."""
    if not length:
        marks = [(m.start(), m.end()) for m in _START.finditer(packet)]
        ends = [start for start, _ in marks[1:]] + [len(packet)]
        # Zeros before a start code belong to it, or are padding; no unit ends in one.
        return b"".join(packet[begin:end].rstrip(b"\0") for (_, begin), end in zip(marks, ends, strict=True))
    found, at = [], 0
    while at + length <= len(packet):
        size = int.from_bytes(packet[at : at + length], "big")
        found.append(packet[at + length : at + length + size])
        at += length + size
    return b"".join(unit.rstrip(b"\0") for unit in found)
