"""Reading a source that cannot be sought in, segment after segment, without starting from its beginning each time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from vidsr.frames import Frame
from vidsr.media.decode import read_frames
from vidsr.media.index import VideoIndex
from vidsr.media.source import SourceInfo


class SequentialReader:
    """Keeps one decoder open between reads. A read that begins where the last one ended, or later, goes on from
    there; ``keep`` frames before that are remembered; anything earlier starts a new decoder."""

    def __init__(self, info: SourceInfo, index: VideoIndex, keep: int = 0) -> None:
        self._info = info
        self._index = index
        self._recent: deque[Frame] = deque(maxlen=keep)
        self._frames: Iterator[Frame] | None = None
        self._position = 0

    def read(self, first: int, stop: int) -> Iterator[Frame]:
        """Frames ``first`` to ``stop`` (not included), as :func:`vidsr.media.decode.read_frames` gives them."""
        if self._frames is None or first < self._position - len(self._recent):
            self._frames, self._position = read_frames(self._info, 0, None, self._index), 0
            self._recent.clear()
        for frame in list(self._recent):
            if first <= frame.index < stop:
                yield frame
        while self._position < stop:
            frame = next(self._frames)
            self._position += 1
            self._recent.append(frame)
            if frame.index >= first:
                yield frame
