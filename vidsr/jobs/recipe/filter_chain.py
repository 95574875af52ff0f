"""The filters before the network and the steps after it that the options ask for, in one chain for a segment.

Everything is chosen by the values of :class:`~vidsr.options.enhance_options.EnhanceOptions`, which travel with every
order; so a segment is composed in the same way by whichever worker makes it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from vidsr.filters.before.crop import Crop
from vidsr.filters.before.filter import Filter
from vidsr.filters.undo.change_count import FilterChanges, watched
from vidsr.filters.undo.mask import FrameMask, MaskOf
from vidsr.frames import Frame, ReadFrames
from vidsr.jobs.state.segments import Lookaround, Segment
from vidsr.media.pictures.masks import MaskFolder
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.pipeline.segment import Upscale

if TYPE_CHECKING:
    from vidsr.filters.after.last_result import LastResult
    from vidsr.filters.after.multiframe import Multiframe
    from vidsr.filters.between.made_frames import FramesBetween
    from vidsr.inference.batch_stages import PostStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Filters ahead of the network, in order, and steps after it; ``lookaround`` is what they need together.

    ``resizing`` are those of the filters that change the size of frames.
    ``multiframe`` mixes in what neighbouring frames show, between the network and those steps. ``carrying`` makes of a
    network that takes its own last result one over a stream of frames.
    ``masks`` say which parts of a frame the filters may change, as far as parts of it can be left.
    """

    before: Sequence[Filter] = ()
    resizing: Sequence[Upscale] = ()
    after: Sequence[PostStep] = ()
    lookaround: Lookaround = field(default_factory=Lookaround)
    multiframe: Multiframe | None = None
    carrying: type[LastResult] | None = None
    masks: MaskOf | None = None

    def source(
        self,
        read: ReadFrames,
        segment: Segment,
        frames: int,
        between: FramesBetween | None = None,
        changes: list[FilterChanges] | None = None,
    ) -> Generator[Frame]:
        """The frames that the network needs for ``segment``: decoded with their surroundings, filtered, trimmed.

        ``read(first, stop)`` decodes a half-open range of a source that has ``frames`` frames. With ``between``,
        segments count the ``frames`` of its table, which it makes of the filtered ones. What each filter changed in the
        segment is put into ``changes``.
        """
        low, high = self.lookaround.fed(segment, frames)
        start, end, total = low, high, frames
        if between is not None:
            start, end = between.table.needed(low, high)
            total = between.table.sources
        first, stop = self.lookaround.filtered(start, end, total)
        streams = [read(first, stop)]
        own = self._own(segment, frames, between)
        masks = self.masks
        for filter_ in self.before:
            kept = None if is_whole(filter_) else masks
            count = None if changes is None else FilterChanges(name=filter_.name)
            streams.append(watched(filter_, streams[-1], first, mask=kept, counted=own, into=count))
            if count is not None and changes is not None:
                changes.append(count)
            if isinstance(filter_, Crop) and masks is not None:
                masks = _cropped(masks, filter_)
        try:
            made = islice(streams[-1], start - first, end - first)
            yield from made if between is None else between.frames(made, low, high)
        finally:
            _close(streams)

    @staticmethod
    def _own(segment: Segment, frames: int, between: FramesBetween | None) -> range:
        """The numbers of the filtered frames that are counted for ``segment``, and for no other one."""
        if between is None:
            return range(segment.start, segment.stop)
        edges = (
            between.table.needed(place, place + 1)[0] if place < frames else between.table.sources
            for place in (segment.start, segment.stop)
        )
        return range(*edges)

    def result(self, upscale: Upscale, segment: Segment) -> Upscale:
        """``upscale`` without the frames that only settle the steps after the network."""
        low, _ = self.lookaround.computed(segment)

        def cut(frames: Iterator[Frame]) -> Iterator[Frame]:
            stream = upscale(frames)
            try:
                yield from islice(stream, segment.start - low, None)
            finally:
                _close([stream])

        return cut


def is_whole(filter_: Filter) -> bool:
    """Whether no part of a picture can be left out of what the filter does."""
    from vidsr.filters.before.descriptor import descriptor

    return descriptor(filter_.name).whole


def mask_of(folder: MaskFolder, width: int, height: int) -> MaskOf:
    """From a frame's number to its mask, whose size in pixels is given.

    The latest one is kept, so that one for all frames is read once.
    """
    single = len(folder.files) == 1

    @lru_cache(maxsize=1)
    def read(number: int) -> FrameMask:
        return FrameMask(folder.share(number, width, height))

    return lambda number: read(0 if single else number)


def _cropped(masks: MaskOf, crop: Crop) -> MaskOf:
    """The masks of cropped frames. One mask for all is cropped once."""
    last: list[tuple[FrameMask, FrameMask]] = []

    def of(number: int) -> FrameMask:
        mask = masks(number)
        if not last or last[0][0] is not mask:
            last[:] = [(mask, mask.cropped(crop.left, crop.top, crop.width, crop.height))]
        return last[0][1]

    return of


def _close(streams: Sequence[Iterator[Frame]]) -> None:
    """End generators in the thread that runs them, the last one first, so that decoders are freed there."""
    for stream in reversed(streams):
        close = getattr(stream, "close", None)
        if close is not None:
            close()


def compose(options: EnhanceOptions, masks: MaskOf | None = None, *, remembers: bool = False) -> Chain:
    """The chain that these options ask for; every filter is named and has its parameter.

    ``remembers``: the network takes its own last result.
    """
    from vidsr.filters.after.last_result import WARMUP, LastResult
    from vidsr.filters.after.multiframe import AROUND, Multiframe
    from vidsr.filters.after.post import post_steps, warmup
    from vidsr.filters.after.propagation import REACH, WINDOW
    from vidsr.filters.before.descriptor import descriptor, lookaround, make_filter

    wanted = options.restore
    # Frames are read through the table of a filter that retimes (see restoration_plan): it has no place here.
    choices = [c for c in wanted.restore.choices if descriptor(c.name).retimes(wanted.fields) is None]
    filters = {choice.name: make_filter(choice, wanted.keep_original_below) for choice in choices}
    before, after = lookaround(list(filters.values()))
    steps = post_steps(wanted)
    settle = max(warmup(steps), WARMUP if remembers else 0)
    around = Lookaround(before=before, after=after, settle=settle)
    multiframe = None if wanted.multiframe == 0 else Multiframe(wanted.multiframe, wanted.fidelity)
    if multiframe is not None:
        around = replace(around, window=WINDOW, reach=REACH, around=AROUND)
    return Chain(
        before=list(filters.values()),
        resizing=[made for name, made in filters.items() if descriptor(name).resize is not None],
        after=steps,
        lookaround=around,
        multiframe=multiframe,
        carrying=LastResult if remembers else None,
        masks=masks,
    )
