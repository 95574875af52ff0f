"""What happens to a segment's frames besides the network: filters before it and steps after it, from the options.

Everything is chosen by name and plain parameters of :class:`~vidsr.options.EnhanceOptions`, which travel with
every order; so a segment is composed in the same way by whichever worker makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from vidsr.frames import Frame
from vidsr.jobs.state.segments import Lookaround, Segment
from vidsr.options import EnhanceOptions
from vidsr.pipeline.segment import Upscale

if TYPE_CHECKING:
    from vidsr.inference.stream import PostStep

#: Filters that change frames or times: their table is read through before these filters (see jobs.restoring).
RETIMING = ("ivtc", "dedupe")

ReadFrames = Callable[[int, int], Iterator[Frame]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Filters ahead of the network, in order, and steps after it; ``lookaround`` is what they need together."""

    before: Sequence[Upscale] = ()
    after: Sequence[PostStep] = ()
    lookaround: Lookaround = field(default_factory=Lookaround)

    def source(self, read: ReadFrames, segment: Segment, frames: int) -> Generator[Frame]:
        """The frames that go through the network for ``segment``: decoded with their surroundings, filtered, cut.

        ``read(first, stop)`` decodes a half-open range of a source that has ``frames`` frames.
        """
        first, stop = self.lookaround.decoded(segment, frames)
        low, high = self.lookaround.computed(segment)
        streams = [read(first, stop)]
        for filter_ in self.before:
            streams.append(filter_(streams[-1]))
        try:
            yield from islice(streams[-1], low - first, high - first)
        finally:
            _close(streams)

    def result(self, upscale: Upscale, segment: Segment) -> Upscale:
        """``upscale`` without the frames that only served to settle the steps after the network."""
        low, _ = self.lookaround.computed(segment)

        def cut(frames: Iterator[Frame]) -> Iterator[Frame]:
            stream = upscale(frames)
            try:
                yield from islice(stream, segment.start - low, None)
            finally:
                _close([stream])

        return cut


def _close(streams: Sequence[Iterator[Frame]]) -> None:
    """End generators in the thread that runs them, the last one first, so that decoders are freed there."""
    for stream in reversed(streams):
        close = getattr(stream, "close", None)
        if close is not None:
            close()


def compose(options: EnhanceOptions) -> Chain:
    """The chain that these options ask for; every filter is named and has its parameter."""
    from vidsr.filters.after.post import PostSettings, post_steps, warmup
    from vidsr.filters.before.chain import lookaround, make_filter

    wanted = options.restore
    named = [(name, parameter) for name, parameter in wanted.named() if name not in RETIMING]
    if wanted.fields == "double":
        named = [(name, parameter) for name, parameter in named if name != "deinterlace"]
    filters = [make_filter(name, parameter) for name, parameter in named]
    before, after = lookaround(filters)
    steps = post_steps(
        PostSettings(
            fidelity=wanted.fidelity_share(),
            stabilize=wanted.stabilize,
            strength=wanted.strength,
            colour_lock=wanted.colour_lock,
            grain=wanted.grain,
        )
    )
    around = Lookaround(before=before, after=after, settle=warmup(steps))
    return Chain(before=filters, after=steps, lookaround=around)
