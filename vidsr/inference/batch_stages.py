"""The stages of one batch on a device: **compute**, **finish** and **collect**.

Computing uploads planes, converts their colour and runs the network; finishing repairs what is not finite, runs the
steps after the network, quantises and starts the download; collecting makes frames of the planes that arrived. On a CPU
each picture is computed by itself, so that no bit of a result depends on the batch. A stage that ran out of memory
leaves no trace: the same call can be made again. When each stage runs is decided in :mod:`vidsr.inference.stream`.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from vidsr.errors import InferenceError
from vidsr.frames import Colour, Frame, PixelFormat, Plane
from vidsr.inference import colour as colours
from vidsr.inference.batches import CARRIED, Batch, InferenceStats
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
    but the two pictures: it is not called again for a frame that repeats the one before. One with a true
    ``data_dependent`` looks at the pictures on the host to decide what to do: no CUDA graph can hold it.
    """

    def __call__(self, source_rgb: Tensor, out_rgb: Tensor, frames: Sequence[Frame], /) -> Tensor:
        """The new result RGB."""

    def reset(self) -> None:
        """Forget earlier frames: another stream begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a stream's results look like. ``colour`` None keeps the source's."""

    width: int
    height: int
    format: PixelFormat
    colour: Colour | None = None

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
class ComputedBatch:
    """A batch whose network is queued; ``finite`` ``[N]`` on the host is valid after ``wait``. ``before`` is what a
    network that takes its last result remembered before it."""

    batch: Batch
    pictures: _Pictures | None = None
    finite: Tensor | None = None
    wait: Callable[[], Any] = lambda: None
    before: Any = None


@dataclass(slots=True)
class FinishedBatch:
    """Results whose planes are on their way to the host; they are valid after ``wait``. See :class:`Batch`."""

    entries: Sequence[tuple[Frame, int]]
    planes: Sequence[Tensor] = ()
    wait: Callable[[], Any] = lambda: None


class BatchStages:
    """The three stages of the batches of one stream, and what they remember from one batch to the next.

    Each of :meth:`compute`, :meth:`finish` and :meth:`finish_last` returns None if memory ran out, and then no state
    has changed.
    """

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
    ) -> None:
        self._network = network if carrying is None else carrying
        self._carrying = carrying
        self._fitted = fitted
        self._post = list(post)
        self._stats = stats
        self._target = target
        self._transfer = transfer
        self._neighbours = neighbours
        self._stateless = all(getattr(step, "stateless", False) for step in self._post)
        dependent = [n for n, step in enumerate(self._post) if getattr(step, "data_dependent", False)]
        #: Steps up to the last one that decides by what it sees run before the graph of the others.
        self._ahead = dependent[-1] + 1 if dependent else 0
        rest = self._post[self._ahead :]
        self._graphed = graphed if all(getattr(step, "stateless", False) for step in rest) else None
        self._held_to = held_to
        self._carried: _Pictures | None = None
        self._carried_planes: tuple[Plane, ...] = ()

    def compute(self, batch: Batch) -> ComputedBatch | None:
        """The network over a batch."""
        if self._carrying is None:
            return self._attempt(self._compute, batch)
        before = self._carrying.state
        made = self._attempt(self._compute, batch)
        if made is None:
            self._carrying.state = before
        else:
            made.before = before
        return made

    def forget(self, computed: ComputedBatch) -> None:
        """Take back what a network that takes its last result remembers of this batch and of those after it."""
        if self._carrying is not None:
            self._carrying.state = computed.before

    def finish(self, computed: ComputedBatch) -> FinishedBatch | None:
        """The results of a batch."""
        return self._unless_undone(self._finish, computed)

    def finish_last(self, drawn: DrawnFrame) -> FinishedBatch | None:
        """The result of a frame that waited for one that did not come."""
        return self._unless_undone(self._finish_last, drawn)

    def collect(self, finished: FinishedBatch) -> list[Frame]:
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

    def release(self) -> None:
        """Free what is held for speed."""
        if self._graphed is not None:
            self._graphed.release()

    def _unless_undone(self, stage: Callable[[_Given], FinishedBatch], argument: _Given) -> FinishedBatch | None:
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

    def _compute(self, batch: Batch) -> ComputedBatch:
        """Queue the network over the distinct frames of a batch; nothing is waited for on CUDA."""
        if not batch.distinct:
            return ComputedBatch(batch)
        pictures, finite = self._enlarged(batch.distinct)
        if not self._transfer.is_async:  # nothing to wait for: the network stays in the thread that computes
            return ComputedBatch(batch, self._repaired(pictures, finite, batch.distinct))
        (landed,), wait = self._transfer.download([finite])
        return ComputedBatch(batch, pictures, landed, wait)

    def _finish(self, computed: ComputedBatch) -> FinishedBatch:
        """Queue all that comes after the network. Steps with state run for every frame, repeated ones too."""
        batch, pictures = computed.batch, computed.pictures
        if pictures is not None and computed.finite is not None:
            computed.wait()
            pictures = self._repaired(pictures, computed.finite, batch.distinct)
        if not self._stateless or self._neighbours is not None:
            return self._finished(self._shown(batch, pictures), [frame for frame, _ in batch.entries])
        if pictures is None:
            return FinishedBatch(batch.entries)
        planes, wait = self._transfer.download(self._planes(pictures, batch.distinct))
        return FinishedBatch(batch.entries, planes, wait)

    def _finished(self, shown: _Pictures, frames: Sequence[Frame]) -> FinishedBatch:
        """One picture for each frame, mixed with what its neighbours show, as the post steps leave it."""
        if self._neighbours is not None:
            drawn = self._neighbours.mix([DrawnFrame(frame, *shown.single(n)) for n, frame in enumerate(frames)])
            if not drawn:
                return FinishedBatch(())
            shown, frames = _together(drawn), [d.frame for d in drawn]
        return self._after_steps(shown, frames)

    def _finish_last(self, drawn: DrawnFrame) -> FinishedBatch:
        """As :meth:`_finished`, for a frame that waited for one that did not come."""
        assert self._neighbours is not None
        return self._after_steps(_together([self._neighbours.last(drawn)]), [drawn.frame])

    def _after_steps(self, shown: _Pictures, frames: Sequence[Frame]) -> FinishedBatch:
        planes, wait = self._transfer.download(self._planes(shown, frames))
        return FinishedBatch([(frame, n) for n, frame in enumerate(frames)], planes, wait)

    def _planes(self, pictures: _Pictures, frames: Sequence[Frame]) -> list[Tensor]:
        """The target's planes of these pictures, after the post steps; as one CUDA graph where that is possible."""
        if self._graphed is None or pictures.alpha is not None:
            return self._quantise(self._after(pictures, frames, self._post), frames[0])
        first, rest = frames[0], self._post[self._ahead :]
        pictures = self._after(pictures, frames, self._post[: self._ahead])

        def steps(source: Tensor, out: Tensor) -> list[Tensor]:
            return self._quantise(self._after(_Pictures(source, out, None), [first] * len(out), rest), first)

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

    @staticmethod
    def _after(shown: _Pictures, frames: Sequence[Frame], post: Sequence[PostStep]) -> _Pictures:
        """The pictures as these steps leave them."""
        if not post:
            return shown

        def steps(source: Tensor, out: Tensor, frames: Sequence[Frame]) -> Tensor:
            for step in post:
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
            raise InferenceError(f"{named(first)}: {error}") from error
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
                raise InferenceError(f"{named(frames[i])}: the network's result is not finite, even in fp32")
            out[i : i + 1] = self._held(pictures.source[i : i + 1], again, frames[i])
        return replace(pictures, out=out)


def rgb_on_device(frame: Frame, transfer: Transfer) -> Tensor:
    """A frame as RGB ``[1, 3, h, w]`` float32 on the device, not clamped."""
    return _rgb(transfer.upload([frame.planes]), frame)


def _rgb(codes: Sequence[Tensor], first: Frame) -> Tensor:
    """The RGB ``[N, 3, h, w]`` of planes of code values."""
    return _each(lambda *planes: colours.rgb_from_planes(planes, first.format, first.colour), *codes)


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


def named(frame: Frame) -> str:
    """A frame as messages call it."""
    return f"frame {frame.index} (pts {frame.pts})"


def _together(drawn: Sequence[DrawnFrame]) -> _Pictures:
    alphas = [d.alpha for d in drawn if d.alpha is not None]
    alpha = torch.cat(alphas) if alphas else None
    return _Pictures(torch.cat([d.source for d in drawn]), torch.cat([d.out for d in drawn]), alpha)
