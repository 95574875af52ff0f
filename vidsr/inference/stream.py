"""One stream of frames through the network: planes to the device, colour, network, colour, planes back.

Each batch goes through three stages: **compute** (upload, colour, network), **finish** (repair, post steps, quantise,
start of the download) and **collect** (frames of host planes). On CUDA a stage runs one batch behind the one before it,
so that the host never waits for a kernel that it has just queued: copies overlap with the computation, and whether a
result is finite is known by the time the host asks. On a CPU a batch is finished in a thread of its own while the next
one is computed, and each picture is computed by itself, so that no bit of a result depends on the batch.

Running out of memory in any stage costs time but no frame: what is under way is finished, then the batch is repeated
picture by picture.
"""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from vidsr.errors import DeviceMemoryError, InferenceError
from vidsr.frames import Colour, Frame, FrameRange, PixelFormat, Plane
from vidsr.inference import colour as colours
from vidsr.inference.alongside import Alongside
from vidsr.inference.batches import CARRIED, Batch, InferenceStats, batches
from vidsr.inference.device import is_out_of_memory
from vidsr.inference.device_copy import Transfer, array_from_codes
from vidsr.inference.forms.graphed_steps import GraphedSteps
from vidsr.inference.limits.held_to import HeldTo
from vidsr.inference.oom_ladder import Fitted
from vidsr.inference.recurrent import Carrying, DrawnFrame, NeighbourMixer
from vidsr.inference.resize import resize

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


class PostStep(Protocol):
    """Something done to results on the device, after the network and the resize, before quantising.

    Called with the source RGB ``[N, 3, h, w]``, the result RGB ``[N, 3, H, W]`` (float32, not clamped) and the N
    frames in order; returns the new result RGB. ``reset`` forgets what it remembers of earlier frames. Its memory
    lies in its attributes, and tensors among them are replaced, never written into: a call that ran out of memory is
    repeated on a copy of the step from before. A step with an attribute ``stateless`` that is true depends on nothing
    but the two pictures: it is not called again for a frame that repeats the one before.
    """

    def __call__(self, source_rgb: Tensor, out_rgb: Tensor, frames: Sequence[Frame], /) -> Tensor:
        """The new result RGB."""

    def reset(self) -> None:
        """Forget earlier frames: another stream begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a stream's results look like. ``colour`` None keeps the source's; see ``batches`` for the threshold."""

    width: int
    height: int
    format: PixelFormat
    colour: Colour | None = None
    reuse_threshold: float = 0.0

    def sized(self, out: Tensor, frame: Frame) -> Tensor:
        """A network's result ``[N, 3, H, W]`` at the target's size; grey sources stay exactly neutral."""
        if frame.format.family == "gray":
            out = out.mean(1, keepdim=True)
        out = _each(lambda one: resize(one, (self.height, self.width)), out)
        return out.expand(-1, 3, -1, -1)


@dataclass(frozen=True, slots=True)
class _Pictures:
    """N pictures on the device: source RGB, result RGB, and result alpha ``[N, H, W]`` where there is any."""

    source: Tensor
    out: Tensor
    alpha: Tensor | None

    def take(self, index: Sequence[int]) -> _Pictures:
        """The pictures of these numbers. No index goes to the device: that copy would wait for it."""
        if list(index) == list(range(len(self.out))):
            return self
        alpha = None if self.alpha is None else _taken(self.alpha, index)
        return _Pictures(_taken(self.source, index), _taken(self.out, index), alpha)

    def single(self, number: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Source, result and alpha of one picture, ``[1, …]`` each."""
        alpha = None if self.alpha is None else self.alpha[number : number + 1]
        return self.source[number : number + 1], self.out[number : number + 1], alpha

    def after(self, other: _Pictures) -> _Pictures:
        """The other's pictures, then these."""
        alpha = None
        if self.alpha is not None and other.alpha is not None:
            alpha = torch.cat((other.alpha, self.alpha))
        return _Pictures(torch.cat((other.source, self.source)), torch.cat((other.out, self.out)), alpha)


@dataclass(slots=True)
class _Computed:
    """A batch whose network is queued; ``finite`` ``[N]`` on the host is valid after ``wait``. ``before`` is what a
    network that takes its last result remembered before it."""

    batch: Batch
    pictures: _Pictures | None = None
    finite: Tensor | None = None
    wait: Callable[[], Any] = lambda: None
    before: Any = None


@dataclass(slots=True)
class _Finished:
    """Results whose planes are on their way to the host; they are valid after ``wait``. See :class:`Batch`."""

    entries: Sequence[tuple[Frame, int]]
    planes: Sequence[Tensor] = ()
    wait: Callable[[], Any] = lambda: None


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """Batches whose network is queued, and those whose results are on their way; the first of ``computed`` may be being
    finished. None as the result of ``finishing``: memory ran out."""

    finishing: Alongside[_Finished | None]
    computed: deque[_Computed] = field(default_factory=deque)
    finished: deque[_Finished] = field(default_factory=deque)


class Stream:
    """An ``Upscale``: an iterator of frames in, as many frames out, same order, same pts and index."""

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        fitted: Fitted,
        post: Sequence[PostStep],
        stats: InferenceStats,
        target: Target,
        transfer: Transfer,
        neighbours: NeighbourMixer | None = None,
        carrying: Carrying | None = None,
        graphed: GraphedSteps | None = None,
        held_to: HeldTo | None = None,
        span: FrameRange | None = None,
    ) -> None:
        self._network = network if carrying is None else carrying
        self._carrying = carrying
        self._fitted = fitted
        self._post = list(post)
        self._stats = stats
        self._target = target
        self._transfer = transfer
        self._neighbours = neighbours
        self._span = span
        self._stateless = all(getattr(step, "stateless", False) for step in self._post)
        self._graphed = graphed if self._stateless else None
        self._held_to = held_to
        self._carried: _Pictures | None = None
        self._carried_planes: tuple[Plane, ...] = ()

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
            for batch in batches(frames, self._batch_size, self._stats, self._target.reuse_threshold):
                made = self._timed(self._try_compute, batch)
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
                yield from self._hand_out(self._retried(self._try_last, waiting, waiting.frame))

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
            self._timed(work.finishing.start, lambda: self._try_finish(oldest))
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
        if self._carrying is not None and work.computed:
            self._carrying.state = work.computed[0].before
        work.computed.clear()
        self._relieve(max(len(b.distinct) for b in again))
        for single in (one for whole in again for one in whole.singles()):
            frame = single.entries[0][0]
            made = self._retried(self._try_finish, self._retried(self._try_compute, single, frame), frame)
            yield from self._hand_out(made)

    def _retried(self, attempt: Callable[[_Given], _Made | None], argument: _Given, frame: Frame) -> _Made:
        for _ in range(2):
            made = self._timed(attempt, argument)
            if made is not None:
                return made
            self._relieve(1)
        raise DeviceMemoryError(
            f"{_name(frame)}: out of memory outside the network, for a single frame of {frame.width}x{frame.height}; "
            "close other programs, or use a smaller --scale or --device cpu"
        )

    def _relieve(self, tried: int) -> None:
        """Release everything held for speed, and take fewer than ``tried`` pictures at once."""
        if self._graphed is not None:
            self._graphed.release()
        self._fitted.relieve(tried)

    def _batch_size(self, frame: Frame) -> int:
        return self._fitted.batch_for(frame.height, frame.width)

    def _try_compute(self, batch: Batch) -> _Computed | None:
        """The network over a batch; None if memory ran out, and then no state has changed."""
        if self._carrying is None:
            return self._attempt(self._compute, batch)
        before = self._carrying.state
        made = self._attempt(self._compute, batch)
        if made is None:
            self._carrying.state = before
        else:
            made.before = before
        return made

    def _try_finish(self, computed: _Computed) -> _Finished | None:
        """The results of a batch; None if memory ran out, and then no state has changed."""
        return self._unless_undone(self._finish, computed)

    def _try_last(self, drawn: DrawnFrame) -> _Finished | None:
        """The result of the last frame; None if memory ran out, and then no state has changed."""
        return self._unless_undone(self._finish_last, drawn)

    def _unless_undone(self, stage: Callable[[_Given], _Finished], argument: _Given) -> _Finished | None:
        """The result of a stage that changes state; None if memory ran out, and then it is as before."""
        before = (self._carried, [copy.copy(step) for step in self._post])
        mixing = None if self._neighbours is None else self._neighbours.state
        made = self._attempt(stage, argument)
        if made is None:
            self._carried, self._post = before
            if self._neighbours is not None and mixing is not None:
                self._neighbours.state = mixing
        return made

    @staticmethod
    def _attempt(stage: Callable[[_Given], _Made], argument: _Given) -> _Made | None:
        """The result of a stage; None if memory ran out, and then the failed attempt's tensors are free again."""
        try:
            # Not around the yields: inference mode is per thread, and the thread belongs to the consumer.
            with torch.inference_mode():
                return stage(argument)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        return None

    def _timed(self, step: Callable[[_Given], _Made], argument: _Given) -> _Made:
        """``step(argument)``, its time counted as inference; only in the thread that computes."""
        started = time.perf_counter()
        try:
            return step(argument)
        finally:
            self._stats.infer_seconds += time.perf_counter() - started

    def _hand_out(self, finished: _Finished) -> Iterator[Frame]:
        started = time.perf_counter()
        frames = self._collect(finished)
        self._stats.infer_seconds += time.perf_counter() - started
        for frame in frames:
            started = time.perf_counter()
            yield frame
            self._stats.wait_out_seconds += time.perf_counter() - started

    def _compute(self, batch: Batch) -> _Computed:
        """Queue the network over the distinct frames of a batch; nothing is waited for on CUDA."""
        if not batch.distinct:
            return _Computed(batch)
        pictures, finite = self._enlarged(batch.distinct)
        if not self._transfer.is_async:  # nothing to wait for: the network stays in the thread that computes
            return _Computed(batch, self._repaired(pictures, finite, batch.distinct))
        (landed,), wait = self._transfer.download([finite])
        return _Computed(batch, pictures, landed, wait)

    def _finish(self, computed: _Computed) -> _Finished:
        """Queue all that comes after the network. Steps with state run for every frame, repeated ones too."""
        batch, pictures = computed.batch, computed.pictures
        if pictures is not None and computed.finite is not None:
            computed.wait()
            pictures = self._repaired(pictures, computed.finite, batch.distinct)
        if not self._stateless or self._neighbours is not None:
            return self._finished(self._shown(batch, pictures), [frame for frame, _ in batch.entries])
        if pictures is None:
            return _Finished(batch.entries)
        planes, wait = self._transfer.download(self._planes(pictures, batch.distinct))
        return _Finished(batch.entries, planes, wait)

    def _finished(self, shown: _Pictures, frames: Sequence[Frame]) -> _Finished:
        """One picture for each frame, mixed with what its neighbours show, as the post steps leave it."""
        if self._neighbours is not None:
            drawn = self._neighbours.mix([DrawnFrame(frame, *shown.single(n)) for n, frame in enumerate(frames)])
            if not drawn:
                return _Finished(())
            shown, frames = _together(drawn), [d.frame for d in drawn]
        return self._after_steps(shown, frames)

    def _finish_last(self, drawn: DrawnFrame) -> _Finished:
        """As :meth:`_finished`, for a frame that waited for one that did not come."""
        assert self._neighbours is not None
        return self._after_steps(_together([self._neighbours.last(drawn)]), [drawn.frame])

    def _after_steps(self, shown: _Pictures, frames: Sequence[Frame]) -> _Finished:
        planes, wait = self._transfer.download(self._planes(shown, frames))
        return _Finished([(frame, n) for n, frame in enumerate(frames)], planes, wait)

    def _planes(self, pictures: _Pictures, frames: Sequence[Frame]) -> list[Tensor]:
        """The target's planes of these pictures, after the post steps; as one CUDA graph where that is possible."""
        if self._graphed is None or pictures.alpha is not None:
            return self._quantise(self._after(pictures, frames), frames[0])
        first = frames[0]

        def steps(source: Tensor, out: Tensor) -> list[Tensor]:
            return self._quantise(self._after(_Pictures(source, out, None), [first] * len(out)), first)

        kind = (self._target, first.colour, first.width, first.height)
        return self._graphed(steps, pictures.source, pictures.out, kind)

    def _shown(self, batch: Batch, pictures: _Pictures | None) -> _Pictures:
        """One picture for each entry of the batch."""
        slots = [slot for _, slot in batch.entries]
        if CARRIED in slots:
            assert self._carried is not None
            pictures = self._carried if pictures is None else pictures.after(self._carried)
            slots = [slot + 1 for slot in slots]
        assert pictures is not None
        self._carried = pictures.take([len(pictures.out) - 1])
        return pictures.take(slots)

    def _after(self, shown: _Pictures, frames: Sequence[Frame]) -> _Pictures:
        """The pictures as the post steps leave them."""

        def steps(source: Tensor, out: Tensor, frames: Sequence[Frame]) -> Tensor:
            for step in self._post:
                out = step(source, out, frames)
            return out

        if not _alone(shown.out):
            return replace(shown, out=steps(shown.source, shown.out, frames))
        singles = zip(torch.split(shown.source, 1), torch.split(shown.out, 1), frames, strict=True)
        return replace(shown, out=torch.cat([steps(source, out, [frame]) for source, out, frame in singles]))

    def _enlarged(self, frames: Sequence[Frame]) -> tuple[_Pictures, Tensor]:
        """Network and resize over distinct frames of one shape; and which of the results are finite ``[N]``."""
        first = frames[0]
        codes = self._transfer.upload([f.planes for f in frames])
        source = _rgb(codes, first)
        started = time.perf_counter()
        try:
            out = self._network(source)
            held = self._held(source, out, first)
        except InferenceError as error:
            raise InferenceError(f"{_name(first)}: {error}") from error
        self._stats.network_seconds += time.perf_counter() - started
        # A sum is finite only if all its terms are, and takes a tenth of the time of testing each value.
        finite = torch.isfinite(out.flatten(1).sum(1))
        return _Pictures(source, held, self._alpha(codes, first)), finite

    def _held(self, source: Tensor, out: Tensor, frame: Frame) -> Tensor:
        """The network's result at the target's size, held to what supports it."""
        sized = self._target.sized(out, frame)
        if self._held_to is None:
            return sized
        return self._held_to(source, sized, lambda supported: self._target.sized(supported, frame))

    def _alpha(self, codes: Sequence[Tensor], frame: Frame) -> Tensor | None:
        """Alpha ``[N, H, W]``, resized on its own; opaque where only the target has it."""
        if not self._target.format.alpha:
            return None
        size = (self._target.height, self._target.width)
        if not frame.format.alpha:
            return torch.ones((len(codes[0]), *size), device=codes[0].device)
        unit = colours.unit_from_codes(codes[-1], frame.format, frame.colour, alpha=True)
        return _each(lambda one: resize(one, size), unit.unsqueeze(1)).squeeze(1)

    def _quantise(self, pictures: _Pictures, frame: Frame) -> list[Tensor]:
        """The target's planes ``[N, h, w]`` of code values, on the device."""
        target = self._target
        colour = target.colour or frame.colour
        exact = (target.height, target.width) == (frame.height, frame.width)
        singles = torch.split(pictures.out, 1) if _alone(pictures.out) else (pictures.out,)
        made = [colours.planes_from_rgb(one, target.format, colour, exact=exact) for one in singles]
        planes = made[0] if len(made) == 1 else [torch.cat(same) for same in zip(*made, strict=True)]
        if pictures.alpha is not None:
            planes.append(colours.alpha_codes(pictures.alpha, target.format))
        return planes

    def _repaired(self, pictures: _Pictures, finite: Tensor, frames: Sequence[Frame]) -> _Pictures:
        """The pictures, with those that are not finite computed again in fp32."""
        bad = [number for number, fine in enumerate(finite.tolist()) if not fine]
        if not bad:
            return pictures
        if not self._stats.fp32_reruns:
            self._stats.notes.append("results overflowed in half precision: those frames are computed in fp32")
        out = pictures.out.contiguous()
        for i in bad:
            self._stats.fp32_reruns += 1
            again = self._fitted.exact(pictures.source[i : i + 1])
            if not bool(torch.isfinite(again).all()):
                raise InferenceError(f"{_name(frames[i])}: the network's result is not finite, even in fp32")
            out[i : i + 1] = self._held(pictures.source[i : i + 1], again, frames[i])
        return replace(pictures, out=out)

    def _collect(self, finished: _Finished) -> list[Frame]:
        """Wait for a batch's results and make frames of them."""
        finished.wait()
        planes = finished.planes
        arrays = [array_from_codes(p) for p in planes]
        pictures_made = [tuple(a[i] for a in arrays) for i in range(len(arrays[0]) if arrays else 0)]
        frames = []
        for frame, slot in finished.entries:
            made = self._carried_planes if slot == CARRIED else pictures_made[slot]
            colour = self._target.colour or frame.colour
            frames.append(replace(frame, planes=made, format=self._target.format, colour=colour))
        if pictures_made:
            self._carried_planes = pictures_made[-1]
        return frames


def rgb_on_device(frame: Frame, transfer: Transfer) -> Tensor:
    """A frame as RGB ``[1, 3, h, w]`` float32 on the device, not clamped."""
    return _rgb(transfer.upload([frame.planes]), frame)


def _rgb(codes: Sequence[Tensor], first: Frame) -> Tensor:
    """The RGB ``[N, 3, h, w]`` of planes of code values."""
    return _each(lambda *planes: colours.rgb_from_planes(planes, first.format, first.colour), *codes)


def _wanted(frames: Iterator[Frame], span: FrameRange) -> Iterator[Frame]:
    """Those of the frames that are to be enlarged; all are taken, because whoever feeds them need not know."""
    yield from (frame for number, frame in enumerate(frames, span.first) if span.start <= number < span.stop)


def _alone(batch: Tensor) -> bool:
    """Whether to compute these pictures one by one: on a CPU, whose kernels sum in an order that depends on the batch
    size, and which gains nothing from batches."""
    return batch.device.type == "cpu" and len(batch) > 1


def _each(step: Callable[..., Tensor], *batches: Tensor) -> Tensor:
    """``step`` over tensors ``[N, …]``, picture by picture where :func:`_alone` says so."""
    if not _alone(batches[0]):
        return step(*batches)
    return torch.cat([step(*one) for one in zip(*(torch.split(b, 1) for b in batches), strict=True)])


def _taken(pictures: Tensor, index: Sequence[int]) -> Tensor:
    return torch.cat([pictures[i : i + 1] for i in index])


def _name(frame: Frame) -> str:
    return f"frame {frame.index} (pts {frame.pts})"


def _together(drawn: Sequence[DrawnFrame]) -> _Pictures:
    alphas = [d.alpha for d in drawn if d.alpha is not None]
    alpha = torch.cat(alphas) if alphas else None
    return _Pictures(torch.cat([d.source for d in drawn]), torch.cat([d.out for d in drawn]), alpha)
