"""How large a result will be: short samples of the real job, held against a cheap stand-in for the whole of it.

Samples alone mislead. A short one is encoded without what follows it, so that the encoder spends less on it than on the
same frames in a long segment, and it has too many keyframes; and a few places are not the whole video. So the video, or
as much of it as time allows, is also enlarged by plain interpolation and encoded in whole segments. What the network
adds is the ratio of both over the very same samples.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from vidsr.jobs.plan import Segment, plan_segments
from vidsr.jobs.trial import Sample, Trial
from vidsr.media.index import VideoIndex

#: The stand-in may take as long as the samples did, and this long in any case.
_LEAST_SECONDS = 10.0
#: Successive multiples of the golden ratio, taken modulo 1, are spread evenly wherever one stops.
_GOLDEN = 0.6180339887


def bytes_per_frame(trial: Trial, index: VideoIndex, done: Sequence[Sample], segment_frames: int) -> float:
    """Bytes of a frame of the encoded video, on average over the whole of it."""
    began = time.perf_counter()
    spent = sum(sample.stats.wall_seconds for sample in done)
    deadline = began + max(_LEAST_SECONDS, spent)
    sampled_plain = sum(trial.plain(index, sample.segment).total for sample in done)
    plain, frames = 0, 0
    for segment in spread(plan_segments(len(index), segment_frames)):
        packets = trial.plain(index, segment, deadline)
        plain, frames = plain + packets.total, frames + packets.count
        if time.perf_counter() > deadline:
            break
    ratio = sum(sample.packets.total for sample in done) / sampled_plain
    return ratio * plain / frames


def spread(segments: Sequence[Segment]) -> Iterator[Segment]:
    """The segments in an order whose beginnings are spread over the whole video."""
    return iter(sorted(segments, key=lambda segment: segment.number * _GOLDEN % 1))
