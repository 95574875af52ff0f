"""Decode the video stream of a source from its beginning or from a seek, through every kind of damage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import av
import av.container
import av.error

from vidsr.errors import DecodeError
from vidsr.media import libav
from vidsr.media.probe import decoder_for
from vidsr.media.source import ReadableInfo

#: Damaged packets in a row without one good frame after which decoding is given up.
MAX_DAMAGE_IN_A_ROW = 5000
_GEN_PTS = 1  # AVFMT_FLAG_GENPTS


@dataclass(slots=True)
class Damage:
    """What went wrong while decoding, counted; and whether streams came up that are in no header."""

    bad_packets: int = 0
    corrupt_frames: int = 0
    read_errors: list[str] = field(default_factory=list)
    late_streams: bool = False


class VideoReader:
    """An open source and its video decoder. A context manager; :meth:`frames` may be called again after a seek.

    ``whole``: as for :func:`vidsr.media.libav.open_input`.
    """

    def __init__(self, info: ReadableInfo, *, whole: bool = False) -> None:
        self.info = info
        self.damage = Damage()
        self.first_dts: int | None = None
        self.container = libav.open_input(info.path, cuda=info.hwaccel == "cuda", whole=whole)
        try:
            self.stream = self.container.streams[info.video.stream_index]
            self.context = decoder_for(self.stream, info.video.decoder)
        except (IndexError, libav.AvError) as error:
            self.container.close()
            raise DecodeError(f"{info.path}: stream {info.video.stream_index} is no longer there") from error
        # SLICE threads: frame threads change which frames survive damage from run to run.
        self.context.thread_type = "SLICE"
        if info.container == "avi":
            # AVI has no pts; the ones that would be generated run backwards. The dts count frames.
            self.container.flags &= ~_GEN_PTS

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the source."""
        self.container.close()

    def frames(self) -> Iterator[av.VideoFrame]:
        """Every displayed frame from here on, in display order, over damaged packets and to the very last.

        Raises:
            DecodeError: thousands of packets in a row could not be decoded.
        """
        barren = 0
        for packet in self._packets():
            try:
                # An empty packet drains the decoder: its last frames come out here.
                frames = self.context.decode(packet if packet is not None and packet.size else None)
            except (libav.AvError, ValueError) as error:
                if packet is None or not packet.size:
                    return
                self.damage.bad_packets += 1
                barren += 1
                if barren > MAX_DAMAGE_IN_A_ROW:
                    raise DecodeError(
                        f"{self.info.path}: {barren} packets in a row cannot be decoded (at pts {packet.pts}); "
                        "the file is damaged from here on"
                    ) from error
                continue
            for frame in frames:
                barren = 0
                self.damage.corrupt_frames += bool(frame.is_corrupt)
                yield frame

    def _packets(self) -> Iterator[Any]:
        try:
            for packet in self.container.demux(self.stream):
                if packet.size:
                    if self.first_dts is None:
                        self.first_dts = packet.dts
                    yield packet
        except (libav.AvError, OSError) as error:
            self.damage.read_errors.append(str(getattr(error, "strerror", None) or error))
        except IndexError:  # as in libav.packets
            self.damage.late_streams = True
        yield None
