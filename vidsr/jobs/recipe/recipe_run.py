"""A recipe at work in one process: reads the source, filters and enlarges its frames, and writes segments."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Generator, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from vidsr.filters.before.timeline import Timeline
from vidsr.filters.between.rate_table import RateTable
from vidsr.filters.undo.change_count import FilterChanges
from vidsr.frames import Colour, Frame, FrameRange, PixelFormat
from vidsr.jobs.invention.masters import with_masters
from vidsr.jobs.recipe.recipe import Recipe
from vidsr.jobs.recipe.restoration_plan import reader
from vidsr.jobs.state.segments import Segment
from vidsr.media.decode import SequentialReader, read_frames
from vidsr.media.index import VideoIndex
from vidsr.options.enhance_options import ModelOptions
from vidsr.pipeline.segment import SegmentStats, Sink, Upscale, run_segment

if TYPE_CHECKING:
    from vidsr.filters.between.made_frames import FramesBetween
    from vidsr.inference.upscaler import Upscaler

#: Wraps the decoder's frames, for example to measure it.
Watch = Callable[[Iterator[Frame]], Iterator[Frame]]


class RecipeRun:
    """A recipe at work in one process: its filters, its network, and how it reads the source.

    ``index`` is made on first use where it is not given. Segments count the frames of ``table``, else those of
    ``timeline``, else those of the index. With ``in_order`` no two segments are read at once, and the decoder continues
    where one follows the other.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        index: VideoIndex | None = None,
        timeline: Timeline | None = None,
        table: RateTable | None = None,
        device: str | None = None,
        in_order: bool = False,
    ) -> None:
        model = recipe.options.model
        self.recipe = recipe
        self.model_options = model if device is None else dataclasses.replace(model, device=device)
        self.chain = recipe.chain()
        self._master = None if recipe.master is None else RecipeRun(recipe.master, index=index, device=device)
        self.upscaler = self.upscaler_with(self.model_options)
        self._timeline = timeline
        self._in_order = in_order
        self.between = None if table is None else self.between_of(table)
        if index is not None:
            self.index = index

    @cached_property
    def index(self) -> VideoIndex:
        """The frames of the source as decoded."""
        return self.recipe.index()

    @property
    def count(self) -> int:
        """How many frames the network gets from the whole source."""
        if self.between is not None:
            return len(self.between.table)
        return len(self.index if self._timeline is None else self._timeline.entries)

    def between_of(self, table: RateTable) -> FramesBetween:
        """What makes the frames of ``table``, on the device of the network."""
        from vidsr.filters.between.made_frames import FramesBetween
        from vidsr.inference.colour import rgb_of
        from vidsr.models.ifnet import load

        device = self.upscaler.device
        return FramesBetween(table=table, device=device, network=load().to(device), rgb=rgb_of)

    def upscaler_with(self, options: ModelOptions, *, alone: bool = False) -> Upscaler:
        """The recipe's network under other options: smaller batches, tiles, another precision; ``alone`` without
        neighbouring frames."""
        from vidsr.inference.upscaler import Upscaler
        from vidsr.jobs.invention.limit import limit_of

        chain = self.chain
        return Upscaler(
            options,
            model=self.recipe.model,
            post=chain.after,
            multiframe=None if alone else chain.multiframe,
            carrying=chain.carrying,
            limit=limit_of(self.recipe.options.restore),
            alongside=None if self._master is None else self._master.upscaler,
        )

    def frames(
        self, segment: Segment, watch: Watch | None = None, changes: list[FilterChanges] | None = None
    ) -> Generator[Frame]:
        """The frames of a segment as they enter the network: decoded with their look-around, filtered, cut.

        What each filter changed in them is put into ``changes``.
        """

        def read(first: int, stop: int) -> Iterator[Frame]:
            frames = self._read(first, stop)
            return frames if watch is None else watch(frames)

        return self.chain.source(reader(self._timeline, read), segment, self.count, self.between, changes)

    def upscale(
        self,
        segment: Segment,
        upscaler: Upscaler | None = None,
        format: tuple[PixelFormat, Colour | None] | None = None,
    ) -> Upscale:
        """The transformer that enlarges those frames, steps after the network included.

        ``upscaler`` and ``format`` take the place of the recipe's own network and frame format.
        """
        chosen = upscaler or self.upscaler
        low, high = self.chain.lookaround.computed(segment)
        span = FrameRange(first=self.chain.lookaround.fed(segment, high)[0], start=low, stop=high)
        stream = chosen.stream(self.recipe.size, *(format or self.recipe.frame_format), span=span)
        access = self.chain.result(stream, segment)
        if self._master is None or format is not None:
            return access
        return with_masters(access, self._master.upscale(segment))

    def run(
        self,
        segment: Segment,
        sink: Sink,
        *,
        upscaler: Upscaler | None = None,
        on_frame: Callable[[Frame], None] | None = None,
        stop: threading.Event | None = None,
        watch: Watch | None = None,
    ) -> SegmentStats:
        """Decode, filter, enlarge and write one segment.

        Raises:
            Interrupted: ``stop`` was set.
            Exception: whatever a stage raised first.
        """
        frames, upscale = self.frames(segment, watch), self.upscale(segment, upscaler)
        return run_segment(frames, upscale, sink, on_frame=on_frame, stop=stop)

    def close(self) -> None:
        """Close the source, where it was kept open between segments, and the network of the master."""
        if self._master is not None:
            self._master.upscaler.close()
        if self._sequential is not None:
            self._sequential.close()

    def _read(self, first: int, stop: int) -> Iterator[Frame]:
        if self._sequential is not None:
            return self._sequential.read(first, stop)
        return read_frames(self.recipe.decoded, first, stop, self.index)

    @cached_property
    def _sequential(self) -> SequentialReader | None:
        """The reader that continues from segment to segment: where they are read in order, or seeking is impossible."""
        stride = 1 if self.between is None else self.between.table.stride
        keep = (self.chain.lookaround.frames * 2 + 6) * stride  # a table may reach a little further
        sequential = self._in_order or self.index.linear
        return SequentialReader(self.recipe.decoded, self.index, keep) if sequential else None
