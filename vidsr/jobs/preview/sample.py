"""A job tried out on a few frames: everything the real one uses, without its folder."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from vidsr.frames import Colour, Frame, PixelFormat
from vidsr.inference.identity_backend import NoModel, Unchanged
from vidsr.inference.upscaler import Upscaler
from vidsr.jobs.filter_chain import compose
from vidsr.jobs.recipe import open_source
from vidsr.jobs.restoration_plan import as_decoded, resolve, restored, tried_out
from vidsr.jobs.state.segments import Segment
from vidsr.media.decode import read_frames
from vidsr.media.encode.encoder import SegmentEncoder
from vidsr.media.encode.encoder_plan import prepare
from vidsr.media.index import VideoIndex
from vidsr.media.probe import probe
from vidsr.media.samples import VideoPackets, frames_near, video_packets
from vidsr.models.zoo import load_chosen
from vidsr.options import EnhanceOptions
from vidsr.pipeline.segment import SegmentStats, Upscale, run_segment

#: Twice what x264 looks ahead by default.
_LIKE_WHOLE_FRAMES = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The frames of ``segment``, enhanced and encoded: what it took.

    ``computed`` frames went through the network, those that only settle its steps included. ``seek_seconds`` were spent
    on the way to the first frame, which a job that reads on from segment to segment hardly has.
    """

    segment: Segment
    stats: SegmentStats
    packets: VideoPackets
    computed: int
    seek_seconds: float
    decode_back_seconds: float


class Trial:
    """The source, model, filters and encoder of a job.

    Raises:
        VidsrError: whatever would stop the job before its first frame.
    """

    def __init__(self, source: Path, options: EnhanceOptions) -> None:
        begin = time.perf_counter()
        model = load_chosen(options.model)
        probed = open_source(source, options)
        self.planned = resolve(options, probed)
        options = tried_out(self.planned)
        shaped = restored(probed, options)
        settled = prepare(shaped, options, model.scale)
        self.info = as_decoded(settled.info, probed)
        self.notes = settled.notes
        self.settings = settled.settings
        self.chain = compose(options)
        self.upscaler = Upscaler(options.model, model=model, post=self.chain.after)
        self.setup_seconds = time.perf_counter() - begin
        self._first_seconds: list[float] = []
        self._plain = Upscaler(options.model, model=NoModel(model.network), backend=Unchanged())

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the result."""
        return self.settings.width, self.settings.height

    def moment(self, seconds: float, format: PixelFormat, colour: Colour) -> tuple[Frame, Frame]:
        """The source's frame at a moment, and the enhanced one in ``format`` and ``colour``."""
        around = self.chain.lookaround
        frames = frames_near(self.info, seconds, around.before + around.settle, 1 + around.after)
        number = max(0, len(frames) - 1 - around.after)
        segment = Segment(number=0, start=number, stop=number + 1)

        def read(first: int, stop: int) -> Iterator[Frame]:
            return iter(frames[first:stop])

        upscale = self.chain.result(self.upscaler.stream(self.size, format, colour), segment)
        enhanced = list(upscale(self.chain.source(read, segment, len(frames))))
        return self._shaped(frames[number]), enhanced[0]

    def _shaped(self, frame: Frame) -> Frame:
        """A source frame cut to the shape that goes into the network."""
        crops = [f for f in self.chain.before if getattr(f, "name", "") == "crop"]
        for crop in crops:
            (frame,) = crop(iter([frame]))
        return frame

    def frames(self, index: VideoIndex, segment: Segment) -> Iterator[Frame]:
        """The frames of a segment as they go into the network, filters done."""

        def read(first: int, last: int) -> Iterator[Frame]:
            return self._timed(read_frames(self.info, first, last, index))

        return self.chain.source(read, segment, len(index))

    def _timed(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The same frames; notes how long the first one took beyond what the second did."""
        begin = time.perf_counter()
        marks: list[float] = []
        for frame in frames:
            if len(marks) < 2:
                marks.append(time.perf_counter() - begin)
            yield frame
            if len(marks) == 1:
                begin = time.perf_counter()
        self._first_seconds.append(max(0.0, marks[0] - marks[-1]) if len(marks) == 2 else 0.0)

    def upscale(self, segment: Segment, format: PixelFormat, colour: Colour | None) -> Upscale:
        """What enlarges those frames, steps after the network included."""
        return self.chain.result(self.upscaler.stream(self.size, format, colour), segment)

    def sample(self, index: VideoIndex, start: int, stop: int) -> Sample:
        """Enhance and encode frames ``start`` to ``stop`` (not included) as one segment, and throw it away."""
        segment = Segment(number=0, start=start, stop=stop)

        with tempfile.TemporaryDirectory(prefix="vidsr-plan-") as folder:
            path = Path(folder) / segment.file_name
            self._first_seconds.clear()
            with SegmentEncoder(path, self.settings) as encoder:
                format, colour = self.settings.format.frames, self.settings.format.colour
                stats = run_segment(self.frames(index, segment), self.upscale(segment, format, colour), encoder)
            begin = time.perf_counter()
            for _ in read_frames(probe(path)):
                pass
            back = time.perf_counter() - begin
            packets = video_packets(path)
        first, last = self.chain.lookaround.computed(segment)
        return Sample(
            segment=segment,
            stats=stats,
            packets=packets,
            computed=last - first,
            seek_seconds=sum(self._first_seconds),
            decode_back_seconds=back / 2,
        )

    def plain(self, index: VideoIndex, segment: Segment, deadline: float = math.inf) -> VideoPackets:
        """The packets of a segment that is enlarged by interpolation in place of the network. Behind ``deadline``, on
        the clock of ``time.perf_counter``, it ends early, but not before it has frames enough to be like a whole one.
        """
        format, colour = self.settings.format.frames, self.settings.format.colour
        frames = self.chain.source(lambda a, b: read_frames(self.info, a, b, index), segment, len(index))
        upscale = self.chain.result(self._plain.stream(self.size, format, colour), segment)
        with tempfile.TemporaryDirectory(prefix="vidsr-plan-") as folder:
            path = Path(folder) / segment.file_name
            with SegmentEncoder(path, self.settings) as encoder:
                run_segment(_until(deadline, frames), upscale, encoder)
            return video_packets(path)


def _until(deadline: float, frames: Generator[Frame]) -> Iterator[Frame]:
    """The frames up to the deadline, and at least as many as an encoder looks at together."""
    with closing(frames):
        for number, frame in enumerate(frames):
            if number >= _LIKE_WHOLE_FRAMES and time.perf_counter() > deadline:
                return
            yield frame
