"""Grouping a stream of frames into batches, computing each distinct frame once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from vidsr.frames import Frame

#: The slot of a frame that repeats the last distinct frame of the batch before.
CARRIED = -1


@dataclass(slots=True)
class Batch:
    """Frames in order, each with the slot in ``distinct`` of the picture that it shows."""

    distinct: list[Frame] = field(default_factory=list)
    entries: list[tuple[Frame, int]] = field(default_factory=list)

    def singles(self) -> Iterator[Batch]:
        """The same frames as batches of one entry each."""
        shown = CARRIED
        for frame, slot in self.entries:
            if slot == shown:
                yield Batch([], [(frame, CARRIED)])
            else:
                yield Batch([self.distinct[slot]], [(frame, 0)])
                shown = slot


@dataclass(slots=True)
class NeighbourRuns:
    """Runs of frames [first, stop, why their neighbours were left out], in order; "" where they were mixed in."""

    runs: list[tuple[int, int, str]] = field(default_factory=list)

    def note(self, number: int, against: str) -> None:
        """Frame ``number`` is done; one that is done again is not counted again."""
        if not self.runs or number > self.runs[-1][1] or self.runs[-1][2] != against:
            if not self.runs or number >= self.runs[-1][1]:
                self.runs.append((number, number + 1, against))
            return
        first, stop, _ = self.runs[-1]
        self.runs[-1] = (first, max(stop, number + 1), against)


@dataclass(slots=True, kw_only=True)
class InferenceStats:
    """What inference did, and where its time went (wall-clock seconds).

    ``wait_in_seconds``: for the decoder; ``wait_out_seconds``: for the consumer of results; ``infer_seconds``:
    everything between, of which ``network_seconds`` is the network alone (on CUDA: the time to queue it).
    ``ahead_seconds`` of both were spent on neighbouring frames, ahead of that network.
    ``reused`` frames repeated their predecessor and were not computed; ``unchanged_frames`` is how many frames'
    worth of pixels ``--reuse-regions`` kept; ``fp32_reruns`` overflowed in half precision; ``notes`` lists what was
    done to fit in memory; ``neighbours`` are the choices of ``--multiframe``.
    """

    frames: int = 0
    reused: int = 0
    unchanged_frames: float = 0.0
    fp32_reruns: int = 0
    wait_in_seconds: float = 0.0
    wait_out_seconds: float = 0.0
    infer_seconds: float = 0.0
    network_seconds: float = 0.0
    ahead_seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    neighbours: NeighbourRuns = field(default_factory=NeighbourRuns)

    def spent_ahead(self, seconds: float) -> None:
        """Count time that passed while a stream waited for frames as inference."""
        self.ahead_seconds += seconds
        self.infer_seconds += seconds
        self.network_seconds += seconds
        self.wait_in_seconds -= seconds


def batches(
    frames: Iterator[Frame], size_for: Callable[[Frame], int], stats: InferenceStats, threshold: float = 0.0
) -> Iterator[Batch]:
    """Batches of at most ``size_for(frame)`` distinct frames, in order.

    A frame equal to the last distinct one, in every plane, becomes an entry without a computation. With a
    ``threshold`` above 0 so does one that nearly equals it, see :func:`difference`. Frames of another size,
    format or colour start a new batch. The last distinct frame is kept until the next one comes.
    """
    last: Frame | None = None
    batch = Batch()
    while True:
        started = time.perf_counter()
        frame = next(frames, None)
        stats.wait_in_seconds += time.perf_counter() - started
        if frame is None:
            break
        stats.frames += 1
        repeat = last is not None and _alike(last, frame) and _repeats(last, frame, threshold)
        if repeat:
            stats.reused += 1
            batch.entries.append((frame, len(batch.distinct) - 1 if batch.distinct else CARRIED))
        else:
            if batch.entries and last is not None and not _alike(last, frame):
                yield batch
                batch = Batch()
            batch.entries.append((frame, len(batch.distinct)))
            batch.distinct.append(frame)
            last = frame
        size = size_for(frame)
        if len(batch.distinct) >= size or len(batch.entries) >= 4 * size:
            yield batch
            batch = Batch()
    if batch.entries:
        yield batch


def _alike(a: Frame, b: Frame) -> bool:
    return a.format == b.format and a.colour == b.colour and a.planes[0].shape == b.planes[0].shape


def _repeats(a: Frame, b: Frame, threshold: float) -> bool:
    if threshold > 0:
        return difference(a, b) <= threshold
    return all(np.array_equal(p, q) for p, q in zip(a.planes, b.planes, strict=True))


def difference(a: Frame, b: Frame, block_px: int = 16) -> float:
    """How far two frames of one shape differ: the largest mean absolute difference over any 16×16 block of any
    plane, in code values of 8 bits. Small moving objects count as much as the whole picture.
    """
    worst = 0.0
    for p, q in zip(a.planes, b.planes, strict=True):
        gap = np.abs(p.astype(np.int32) - q.astype(np.int32))
        rows = np.add.reduceat(gap, np.arange(0, gap.shape[0], block_px), axis=0)
        sums = np.add.reduceat(rows, np.arange(0, gap.shape[1], block_px), axis=1)
        heights = np.minimum(block_px, gap.shape[0] - np.arange(0, gap.shape[0], block_px))
        widths = np.minimum(block_px, gap.shape[1] - np.arange(0, gap.shape[1], block_px))
        worst = max(worst, float((sums / np.outer(heights, widths)).max()))
    return worst / (1 << (a.format.depth - 8))
