"""``open_video``: a video file as an iterable of arrays or planes with their timestamps."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar, Unpack

import numpy as np
import numpy.typing as npt

from vidsr.frames import Frame
from vidsr.media.decode import read_frames
from vidsr.media.index import VideoIndex, index_video
from vidsr.media.probe import probe
from vidsr.media.source import SourceInfo, StoredInfo
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.keywords import SourceKeywords, chosen_options

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFrame:
    """One frame as RGB, with its place in time.

    Attributes:
        array: [H, W, 3] RGB in the source's own transfer characteristic; uint8 with white 255 for sources of 8 bits,
            uint16 with white 65535 for deeper ones. It is yours: nothing else refers to it.
        index: number of the frame, from 0.
        pts: presentation time in units of ``time_base`` seconds.
        time_base: the unit of ``pts`` and ``duration``, in seconds.
        duration: how long the frame is shown, in units of ``time_base``; None if unknown.
    """

    array: npt.NDArray[Any]
    index: int
    pts: int
    time_base: Fraction
    duration: int | None = None

    @property
    def seconds(self) -> float:
        """Presentation time in seconds, for display; ``pts`` is exact."""
        return float(self.pts * self.time_base)


class Video:
    """An open video file; made by :func:`open_video`.

    Iterating gives every frame as a :class:`VideoFrame`. Use it as a context manager: leaving the block closes every
    decoder, also those of iterators that were not exhausted.
    """

    def __init__(self, info: StoredInfo) -> None:
        #: What the file is: streams, size, pixel format, colour; see :class:`~vidsr.media.source.SourceInfo`.
        self.info: SourceInfo = info
        self._stored = info
        self._open: set[Generator[Any]] = set()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every decoder that is still open. Reading afterwards is a ValueError; closing again does nothing."""
        self._closed = True
        for frames in list(self._open):
            frames.close()
        self._open.clear()

    @cached_property
    def index(self) -> VideoIndex:
        """The pts and duration of every frame. The first use decodes the file once from end to end.

        Raises:
            InputError: no frame can be decoded.
            DecodeError: the file is damaged beyond use.
        """
        self._check_open()
        return index_video(self._stored)

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.index)

    def __iter__(self) -> Iterator[VideoFrame]:
        return self.frames()

    def frames(self, start: int = 0, stop: int | None = None) -> Generator[VideoFrame]:
        """Frames ``start`` to ``stop`` (exclusive; None: to the end) as RGB arrays, in display order.

        Alpha is left out; :meth:`planes` keeps it. Pictures are not rotated: ``info.video.rotation`` says by how many
        degrees a player turns them.

        Raises:
            ValueError: ``start`` or ``stop`` is negative, or the video is closed.
            DecodeError: a frame can no longer be decoded; the message names it.
        """
        return self._tracked(start, stop, rgb_frame)

    def planes(self, start: int = 0, stop: int | None = None) -> Generator[Frame]:
        """Frames ``start`` to ``stop`` (exclusive; None: to the end) as stored: planes of uint8 or uint16.

        The planes may view the decoder's memory: never write into them.

        Raises:
            ValueError: ``start`` or ``stop`` is negative, or the video is closed.
            DecodeError: a frame can no longer be decoded; the message names it.
        """
        return self._tracked(start, stop, lambda frame: frame)

    def _tracked(self, start: int, stop: int | None, form: Callable[[Frame], T]) -> Generator[T]:
        self._check_open()
        if start < 0 or (stop is not None and stop < 0):
            raise ValueError(f"frames are numbered from 0, got start {start} and stop {stop}")
        frames = self._read(start, stop, form)
        self._open.add(frames)
        return frames

    def _read(self, start: int, stop: int | None, form: Callable[[Frame], T]) -> Generator[T]:
        self._check_open()
        decoded: Any = read_frames(self._stored, start, stop, self.index)
        try:
            for frame in decoded:
                yield form(frame)
        finally:
            decoded.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError(f"{self.info.path}: the video is closed")


def open_video(
    source: Path | str, *, options: EnhanceOptions | None = None, **keywords: Unpack[SourceKeywords]
) -> Video:
    """Open a video file to read its frames as arrays.

    >>> with open_video("clip.mp4") as video:  # doctest: +SKIP
    ...     for frame in video.frames(10, 20):
    ...         print(frame.seconds, frame.array.shape)

    Args:
        source: the video file; an address with ``allow_network=True``.
        options: all options in one object; only those of colour and source matter. Give either this or keywords.
        keywords: single options by name, such as ``hwaccel="auto"``.

    Raises:
        InputError: the file is missing, is not a video, or has no frame that can be decoded.
        OptionsError: an option is out of range, or both ``options`` and keywords were given.
    """
    chosen = chosen_options(options, keywords)
    return Video(probe(source, chosen.colour, chosen.source))


def rgb_frame(frame: Frame) -> VideoFrame:
    """A frame of planes as RGB, converted with its own matrix, range and chroma siting; alpha is left out."""
    import torch

    from vidsr.inference.colour import rgb_from_planes

    white, kind = (255, np.uint8) if frame.format.depth <= 8 else (65535, np.uint16)
    planes = [torch.from_numpy(np.ascontiguousarray(p).astype(np.int32))[None] for p in frame.planes]
    rgb = rgb_from_planes(planes, frame.format, frame.colour)[0].movedim(0, -1)
    array = (rgb.double() * white).round().clamp(0, white).numpy().astype(kind)
    return VideoFrame(array=array, index=frame.index, pts=frame.pts, time_base=frame.time_base, duration=frame.duration)
