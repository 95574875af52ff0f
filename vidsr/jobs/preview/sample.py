"""A job tried on a few of its frames: the real recipe, without a job folder."""

from __future__ import annotations

import math
import tempfile
import time
from bisect import bisect_left
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from vidsr.filters.between.rate_table import RateEntry, RateTable
from vidsr.frames import Colour, Frame, PixelFormat
from vidsr.inference.backends.identity_backend import NoModel, Unchanged
from vidsr.inference.upscaler import Upscaler
from vidsr.jobs.choosing.neighbour_memory import with_memory_checked
from vidsr.jobs.recipe.recipe import Recipe
from vidsr.jobs.recipe.recipe_run import RecipeRun
from vidsr.jobs.state.segments import Segment, master_file
from vidsr.media.decode import read_frames
from vidsr.media.index import VideoIndex
from vidsr.media.pictures.files import read_picture
from vidsr.media.pictures.frame_files import stored_pictures, unpack
from vidsr.media.probe import probe
from vidsr.media.samples import VideoPackets, frames_near, video_packets
from vidsr.media.span import Span
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.pipeline.segment import SegmentStats, run_segment

#: Twice what x264 looks ahead by default.
_LIKE_WHOLE_FRAMES = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What it took to enhance and encode the frames of ``segment``.

    ``computed`` counts the frames that went through the network, including those that only settle its steps.
    ``seek_seconds`` were spent reaching the first frame; a job that reads from segment to segment hardly
    spends any. ``ahead_seconds`` were spent on the windows of ``--multiframe``. ``master_bytes`` is the size of the
    preservation master's video, 0 without one.
    """

    segment: Segment
    stats: SegmentStats
    packets: VideoPackets
    computed: int
    seek_seconds: float
    decode_back_seconds: float
    ahead_seconds: float = 0.0
    master_bytes: int = 0


class Sampler:
    """Enhances single moments and short stretches of a source.

    ``job`` is the recipe of the job itself, ``recipe`` that of the samples: see :meth:`Recipe.for_moments`. ``index``
    is the source's, where it is known from another sampler.

    Raises:
        VidsrError: whatever would stop the job before its first frame.
    """

    def __init__(
        self, source: Path, options: EnhanceOptions, recipe: Recipe | None = None, index: VideoIndex | None = None
    ) -> None:
        begin = time.perf_counter()
        self.job = recipe or with_memory_checked(Recipe.of(source, options))
        self.recipe = self.job.for_moments()
        self._run = RecipeRun(self.recipe, index=index)
        self.setup_seconds = time.perf_counter() - begin
        self._first_seconds: list[float] = []
        network = self.recipe.model.network
        self._interpolation = Upscaler(self.recipe.options.model, model=NoModel(network), backend=Unchanged())

    @property
    def index(self) -> VideoIndex:
        """The frames of the source; made on first use, by a pass over its packets."""
        return self._run.index

    @cached_property
    def span(self) -> Span | None:
        """The part of the source that the job works on; None for all of it."""
        return self.recipe.span(self.index)

    @property
    def part(self) -> range:
        """The numbers of the source frames that the job works on."""
        return range(len(self.index)) if self.span is None else range(self.span.first, self.span.stop)

    @property
    def upscaler(self) -> Upscaler:
        """The network."""
        return self._run.upscaler

    @property
    def window(self) -> int:
        """How many frames are seen at once; 0 where each is enlarged alone."""
        return self._run.chain.lookaround.window

    def close(self) -> None:
        """Free the networks and their memory."""
        self._run.close()
        self.upscaler.close()
        self._interpolation.close()

    def computed(self, segment: Segment) -> int:
        """How many frames go through the network for a segment."""
        first, stop = self._run.chain.lookaround.computed(segment)
        return stop - first

    def steps(self, segment: Segment) -> int:
        """The work on neighbouring frames for a segment, as :func:`vidsr.filters.after.multiframe.steps_for`; 0 where
        each frame is enlarged alone."""
        from vidsr.filters.after.multiframe import steps_for

        return steps_for(range(*self._run.chain.lookaround.computed(segment)), self._run.count) if self.window else 0

    def moment(self, seconds: float, format: PixelFormat, colour: Colour) -> tuple[Frame, Frame]:
        """The source's frame at a moment, cropped, and the enhanced one in ``format`` and ``colour``."""
        chain = self._run.chain
        around = chain.lookaround
        frames = frames_near(self.recipe.decoded, seconds, around.earlier, 1 + around.later)
        number = max(0, len(frames) - 1 - around.later)
        segment = Segment(number=0, start=number, stop=number + 1)

        def read(first: int, stop: int) -> Iterator[Frame]:
            return iter(frames[first:stop])

        upscale = self._run.upscale(segment, format=(format, colour))
        if chain.masks is not None:
            # The frames in hand are numbered from 0, masks from the source's first frame.
            shown, masks = bisect_left(self.index.pts, frames[0].pts), chain.masks
            chain = replace(chain, masks=lambda n: masks(min(shown + n, len(self.index) - 1)))
        enhanced = list(upscale(chain.source(read, segment, len(frames))))
        return self._cropped(frames[number]), enhanced[0]

    def _cropped(self, frame: Frame) -> Frame:
        """A source frame with the crop that comes before the network, if there is one."""
        for resizing in self._run.chain.resizing:
            (frame,) = resizing(iter([frame]))
        return frame

    def sample(self, start: int, stop: int) -> Sample:
        """Enhance and encode frames ``start`` to ``stop`` (not included) as one segment, and discard the file."""
        segment = Segment(number=0, start=start, stop=stop)
        with tempfile.TemporaryDirectory(prefix="vidsr-plan-") as folder:
            path = Path(folder) / segment.file_name
            self._first_seconds.clear()
            ahead = self.upscaler.stats.ahead_seconds
            with self.recipe.sink(path) as encoder:
                stats = self._run.run(segment, encoder, watch=self._timed)
            begin = time.perf_counter()
            self._decode(path)
            if self.recipe.master is not None:
                self._decode(master_file(path))
            back = time.perf_counter() - begin
            packets = self._packets(path)
            master = 0 if self.recipe.master is None else video_packets(master_file(path)).total
        return Sample(
            segment=segment,
            stats=stats,
            packets=packets,
            computed=self.computed(segment),
            seek_seconds=sum(self._first_seconds),
            decode_back_seconds=back / 2,
            ahead_seconds=self.upscaler.stats.ahead_seconds - ahead,
            master_bytes=master,
        )

    def between_seconds(self) -> float:
        """What it takes to make one frame in between two others, in the middle of the part; 0 where the part is too
        short."""
        first = self.part[len(self.part) // 2] - 1
        pair = list(read_frames(self.recipe.decoded, max(0, first), first + 2, self.index))
        if len(pair) < 2:
            return 0.0
        entries = (RateEntry(0, Fraction(1, 2), 0, 1), RateEntry(0, Fraction(1, 2), 1, 1))
        making = self._run.between_of(RateTable(entries, Fraction(1), 2)).frames(iter(pair), 0, 2)
        next(making)  # loads, allocates, and looks for a cut
        begin = time.perf_counter()
        next(making)
        return time.perf_counter() - begin

    def _timed(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The same frames; notes how much longer the first one took than the second."""
        begin = time.perf_counter()
        marks: list[float] = []
        for frame in frames:
            if len(marks) < 2:
                marks.append(time.perf_counter() - begin)
            yield frame
            if len(marks) == 1:
                begin = time.perf_counter()
        self._first_seconds.append(max(0.0, marks[0] - marks[-1]) if len(marks) == 2 else 0.0)

    def interpolated(self, segment: Segment, deadline: float = math.inf) -> VideoPackets:
        """The packets, or numbered pictures, of a segment that is enlarged by interpolation in place of the network.

        After ``deadline``, on the clock of ``time.perf_counter``, it ends early, but not before it has enough frames
        for the encoder to work as it does on a whole segment.
        """
        # With a format: without the master, whose network would have to run.
        upscale = self._run.upscale(segment, self._interpolation, self.recipe.frame_format)
        with tempfile.TemporaryDirectory(prefix="vidsr-plan-") as folder:
            path = Path(folder) / segment.file_name
            with replace(self.recipe, master=None).sink(path) as encoder:
                run_segment(_until(deadline, self._run.frames(segment)), upscale, encoder)
            return self._packets(path)

    def _packets(self, path: Path) -> VideoPackets:
        """The packets of a sample, or its files where the result is numbered pictures."""
        return video_packets(path) if self.recipe.picture is None else stored_pictures(path)

    def _decode(self, path: Path) -> None:
        """Read a sample back, as verification reads the result."""
        if self.recipe.picture is None:
            for _ in read_frames(probe(path)):
                pass
            return
        suffix = self.recipe.picture.suffix
        files = [path.with_name(f"{number}{suffix}") for number in range(stored_pictures(path).count)]
        unpack(path, files)
        for file in files:
            read_picture(file).close()


def _until(deadline: float, frames: Generator[Frame]) -> Iterator[Frame]:
    """The frames up to the deadline, and at least as many as an encoder looks at together."""
    with closing(frames):
        for number, frame in enumerate(frames):
            if number >= _LIKE_WHOLE_FRAMES and time.perf_counter() > deadline:
                return
            yield frame
