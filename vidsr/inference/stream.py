"""One stream of frames through the network: which batch is at which stage when, and what happens if memory runs out.

Each batch goes through the three stages of :class:`~vidsr.inference.batch_stages.BatchStages`. On CUDA a stage runs one
batch behind the one before it, so that the host never waits for a kernel that it has just queued: copies overlap with
the computation, and whether a result is finite is known by the time the host asks. On a CPU a batch is finished in a
thread of its own while the next one is computed.

Running out of memory in any stage costs time but no frame: what is under way is finished, then the batch is repeated
picture by picture.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import torch

from vidsr.errors import DeviceMemoryError
from vidsr.frames import Frame, FrameRange
from vidsr.inference.alongside import Alongside
from vidsr.inference.batch_stages import BatchStages, ComputedBatch, FinishedBatch, named
from vidsr.inference.batches import Batch, InferenceStats, batches
from vidsr.inference.device_copy import Transfer
from vidsr.inference.oom_ladder import Fitted
from vidsr.inference.recurrent import NeighbourMixer

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """Batches whose network is queued, and those whose results are on their way; the first of ``computed`` may be being
    finished. None as the result of ``finishing``: memory ran out."""

    finishing: Alongside[FinishedBatch | None]
    computed: deque[ComputedBatch] = field(default_factory=deque)
    finished: deque[FinishedBatch] = field(default_factory=deque)


class Stream:
    """An ``Upscale``: an iterator of frames in, as many frames out, same order, same pts and index."""

    def __init__(
        self,
        stages: BatchStages,
        fitted: Fitted,
        stats: InferenceStats,
        transfer: Transfer,
        reuse_threshold: float = 0.0,
        neighbours: NeighbourMixer | None = None,
        span: FrameRange | None = None,
    ) -> None:
        self._stages = stages
        self._fitted = fitted
        self._stats = stats
        self._transfer = transfer
        self._reuse_threshold = reuse_threshold
        self._neighbours = neighbours
        self._span = span

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Enlarge every frame; see the class.

        Raises:
            InferenceError: a frame could not be computed after every fallback; the message names it.
        """
        work = _UnderWay(Alongside(self._has_finishing_thread()))
        behind = int(self._transfer.is_async)
        if self._neighbours is not None:
            frames = self._neighbours.ahead(frames)
        elif self._span is not None:
            frames = _wanted(frames, self._span)
        with work.finishing:
            for batch in batches(frames, self._batch_size, self._stats, self._reuse_threshold):
                made = self._timed(self._stages.compute, batch)
                if made is None:
                    yield from self._recover(work, batch)
                    continue
                work.computed.append(made)
                if len(work.computed) > behind and not self._finish_next(work):
                    yield from self._recover(work)
                while len(work.finished) > behind:
                    yield from self._hand_out(work.finished.popleft())
            while work.computed:
                if not self._finish_next(work):
                    yield from self._recover(work)
            while work.finished:
                yield from self._hand_out(work.finished.popleft())
            waiting = None if self._neighbours is None else self._neighbours.waiting()
            if waiting is not None:
                yield from self._hand_out(self._retried(self._stages.finish_last, waiting, waiting.frame))

    def _has_finishing_thread(self) -> bool:
        """On a CPU with cores to share. What neighbouring frames show is known to the computing thread alone."""
        return self._transfer.is_cpu and self._neighbours is None and torch.get_num_threads() > 1

    def _finish_next(self, work: _UnderWay) -> bool:
        """Pass on the batch being finished, and start finishing the oldest of the others. False if memory ran out; then
        that batch stays where it was."""
        if not self._timed(self._settled, work):
            return False
        if work.computed:
            oldest = work.computed[0]
            self._timed(work.finishing.start, lambda: self._stages.finish(oldest))
            if not work.finishing.is_threaded:
                return self._settled(work)
        return True

    @staticmethod
    def _settled(work: _UnderWay) -> bool:
        """Wait for the batch that is being finished; False if memory ran out."""
        if not work.finishing.is_busy:
            return True
        made = work.finishing.result()
        if made is None:
            return False
        work.computed.popleft()
        work.finished.append(made)
        return True

    def _recover(self, work: _UnderWay, batch: Batch | None = None) -> Iterator[Frame]:
        """Memory ran out: release everything held, then repeat what was under way, one picture at a time.

        Raises:
            InferenceError: one picture alone does not fit either.
        """
        self._timed(self._settled, work)
        while work.finished:
            yield from self._hand_out(work.finished.popleft())
        again = [c.batch for c in work.computed] + ([] if batch is None else [batch])
        if work.computed:
            self._stages.forget(work.computed[0])
        work.computed.clear()
        self._relieve(max(len(b.distinct) for b in again))
        for single in (one for whole in again for one in whole.singles()):
            frame = single.entries[0][0]
            made = self._retried(self._stages.finish, self._retried(self._stages.compute, single, frame), frame)
            yield from self._hand_out(made)

    def _retried(self, attempt: Callable[[_Given], _Made | None], argument: _Given, frame: Frame) -> _Made:
        for _ in range(2):
            made = self._timed(attempt, argument)
            if made is not None:
                return made
            self._relieve(1)
        raise DeviceMemoryError(
            f"{named(frame)}: out of memory outside the network, for a single frame of {frame.width}x{frame.height}; "
            "close other programs, or use a smaller --scale or --device cpu"
        )

    def _relieve(self, tried: int) -> None:
        """Release everything held for speed, and take fewer than ``tried`` pictures at once."""
        self._stages.release()
        self._fitted.relieve(tried)

    def _batch_size(self, frame: Frame) -> int:
        return self._fitted.batch_for(frame.height, frame.width)

    def _timed(self, step: Callable[[_Given], _Made], argument: _Given) -> _Made:
        """``step(argument)``, its time counted as inference; only in the thread that computes."""
        started = time.perf_counter()
        try:
            return step(argument)
        finally:
            self._stats.infer_seconds += time.perf_counter() - started

    def _hand_out(self, finished: FinishedBatch) -> Iterator[Frame]:
        started = time.perf_counter()
        frames = self._stages.collect(finished)
        self._stats.infer_seconds += time.perf_counter() - started
        for frame in frames:
            started = time.perf_counter()
            yield frame
            self._stats.wait_out_seconds += time.perf_counter() - started


def _wanted(frames: Iterator[Frame], span: FrameRange) -> Iterator[Frame]:
    """Those of the frames that are to be enlarged; all are taken, because whoever feeds them need not know."""
    yield from (frame for number, frame in enumerate(frames, span.first) if span.start <= number < span.stop)
