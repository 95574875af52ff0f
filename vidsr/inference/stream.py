"""One stream of frames through the network: planes to the device, colour, network, colour, planes back.

On CUDA the copies run beside the computation: while batch n is computed, batch n + 1 is staged and queued, and
results are waited for one batch later. On a CPU each batch is finished before the next one starts, and each picture
is computed by itself, so that no bit of a result depends on the batch.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from vidsr.errors import InferenceError
from vidsr.frames import Colour, Frame, PixelFormat, Plane
from vidsr.inference import colour as colours
from vidsr.inference.batches import CARRIED, Batch, InferenceStats, batches
from vidsr.inference.device_copy import Transfer, array_from_codes
from vidsr.inference.oom_ladder import Fitted
from vidsr.inference.resize import resize


class PostStep(Protocol):
    """Something done to results on the device, after the network and the resize, before quantising.

    Called with the source RGB ``[N, 3, h, w]``, the result RGB ``[N, 3, H, W]`` (float32, not clamped) and the N
    frames in order; returns the new result RGB. ``reset`` forgets what it remembers of earlier frames.
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


@dataclass(frozen=True, slots=True)
class _Pictures:
    """N pictures on the device: source RGB, result RGB, and result alpha ``[N, H, W]`` where there is any."""

    source: Tensor
    out: Tensor
    alpha: Tensor | None

    def take(self, index: Sequence[int]) -> _Pictures:
        where = torch.tensor(index, device=self.source.device)
        alpha = None if self.alpha is None else self.alpha[where]
        return _Pictures(self.source[where], self.out[where], alpha)

    def after(self, other: _Pictures) -> _Pictures:
        """The other's pictures, then these."""
        alpha = None
        if self.alpha is not None and other.alpha is not None:
            alpha = torch.cat((other.alpha, self.alpha))
        return _Pictures(torch.cat((other.source, self.source)), torch.cat((other.out, self.out)), alpha)


@dataclass(slots=True)
class _Launched:
    """A batch whose results are being computed and copied on the device's own time."""

    batch: Batch
    pictures: _Pictures | None = None
    planes: Sequence[Tensor] = ()
    finite: Tensor | None = None
    wait: Callable[[], Any] = lambda: None


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
    ) -> None:
        self._network = network
        self._fitted = fitted
        self._post = post
        self._stats = stats
        self._target = target
        self._transfer = transfer
        self._carried: _Pictures | None = None
        self._carried_planes: tuple[Plane, ...] = ()

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Enlarge every frame; see the class.

        Raises:
            InferenceError: a frame could not be computed after every fallback; the message names it.
        """
        pending: deque[_Launched] = deque()
        for batch in batches(frames, self._batch_size, self._stats, self._target.reuse_threshold):
            pending.append(self._timed(self._launch, batch))
            while len(pending) > self._transfer.is_async:
                yield from self._hand_out(self._timed(self._collect, pending.popleft()))
        while pending:
            yield from self._hand_out(self._timed(self._collect, pending.popleft()))

    def _batch_size(self, frame: Frame) -> int:
        return self._fitted.batch_for(frame.height, frame.width)

    def _timed(self, step: Callable[[Any], Any], argument: Any) -> Any:
        started = time.perf_counter()
        try:
            # Not around the yields: inference mode belongs to the thread, and the thread to whoever takes frames.
            with torch.inference_mode():
                return step(argument)
        finally:
            self._stats.infer_seconds += time.perf_counter() - started

    def _hand_out(self, frames: list[Frame]) -> Iterator[Frame]:
        for frame in frames:
            started = time.perf_counter()
            yield frame
            self._stats.wait_out_seconds += time.perf_counter() - started

    def _launch(self, batch: Batch) -> _Launched:
        """Queue all work for a batch; nothing is waited for where the device computes on its own time."""
        pictures, finite = self._compute(batch.distinct) if batch.distinct else (None, None)
        if self._post:
            return self._launch_post(batch, pictures, finite)
        if pictures is None:
            return _Launched(batch)
        planes, wait = self._transfer.download(self._quantise(pictures, batch.distinct[0]))
        return _Launched(batch, pictures, planes, finite, wait)

    def _launch_post(self, batch: Batch, pictures: _Pictures | None, finite: Tensor | None) -> _Launched:
        """As :meth:`_launch` with post steps, which run for every frame, repeated ones too."""
        if pictures is not None and finite is not None:
            pictures = self._repaired(pictures, finite, batch.distinct)
        slots = [slot for _, slot in batch.entries]
        if CARRIED in slots:
            assert self._carried is not None
            pictures = self._carried if pictures is None else pictures.after(self._carried)
            slots = [slot + 1 for slot in slots]
        assert pictures is not None
        self._carried = pictures.take([len(pictures.out) - 1])
        shown = pictures.take(slots)
        frames = [frame for frame, _ in batch.entries]
        planes, wait = self._transfer.download(self._quantise(self._after(shown, frames), frames[0]))
        return _Launched(batch, None, planes, None, wait)

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

    def _compute(self, frames: Sequence[Frame]) -> tuple[_Pictures, Tensor]:
        """Network and resize over distinct frames of one shape; and which of the results are finite ``[N]``."""
        first = frames[0]
        codes = self._transfer.upload([f.planes for f in frames])
        source = _each(lambda *planes: colours.rgb_from_planes(planes, first.format, first.colour), *codes)
        started = time.perf_counter()
        try:
            out = self._network(source)
        except InferenceError as error:
            raise InferenceError(f"{_name(first)}: {error}") from error
        self._stats.network_seconds += time.perf_counter() - started
        # A sum is finite only if all that went into it is, and takes a tenth of the time of asking each value.
        finite = torch.isfinite(out.flatten(1).sum(1))
        return _Pictures(source, self._sized(out, first), self._alpha(codes, first)), finite

    def _sized(self, out: Tensor, frame: Frame) -> Tensor:
        """The network's result at the target's size; grey sources stay exactly neutral."""
        if frame.format.family == "gray":
            out = out.mean(1, keepdim=True)
        out = _each(lambda one: resize(one, (self._target.height, self._target.width)), out)
        return out.expand(-1, 3, -1, -1)

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
            planes.append(colours.codes_from_unit(pictures.alpha, target.format, colour, alpha=True))
        return planes

    def _repaired(self, pictures: _Pictures, finite: Tensor, frames: Sequence[Frame]) -> _Pictures:
        """The pictures, with those that are not finite computed again in fp32."""
        bad = (~finite).nonzero().flatten().tolist()
        if not bad:
            return pictures
        if not self._stats.fp32_reruns:
            self._stats.notes.append("results overflowed in half precision: those frames are computed in fp32")
        out = pictures.out.contiguous()
        for i in bad:
            self._stats.fp32_reruns += 1
            again = self._fitted.exact(pictures.source[i : i + 1])
            if not bool(torch.isfinite(again).all()):
                raise InferenceError(f"{_name(frames[i])}: the network's result is not finite, in fp32 either")
            out[i : i + 1] = self._sized(again, frames[i])
        return replace(pictures, out=out)

    def _collect(self, launched: _Launched) -> list[Frame]:
        """Wait for a batch's results and make frames of them."""
        launched.wait()
        batch, planes = launched.batch, launched.planes
        if launched.pictures is not None and launched.finite is not None and not bool(launched.finite.all()):
            pictures = self._repaired(launched.pictures, launched.finite, batch.distinct)
            planes, wait = self._transfer.download(self._quantise(pictures, batch.distinct[0]))
            wait()
        arrays = [array_from_codes(p) for p in planes]
        pictures_made = [tuple(a[i] for a in arrays) for i in range(len(arrays[0]) if arrays else 0)]
        frames = []
        for number, (frame, slot) in enumerate(batch.entries):
            if self._post:
                made = pictures_made[number]
            else:
                made = self._carried_planes if slot == CARRIED else pictures_made[slot]
            colour = self._target.colour or frame.colour
            frames.append(replace(frame, planes=made, format=self._target.format, colour=colour))
        if pictures_made:
            self._carried_planes = pictures_made[-1]
        return frames


def _alone(batch: Tensor) -> bool:
    """Whether these pictures are to be computed one by one: on a CPU, whose kernels add up in another order from one
    batch size to another, and which gains nothing by a batch."""
    return batch.device.type == "cpu" and len(batch) > 1


def _each(step: Callable[..., Tensor], *batches: Tensor) -> Tensor:
    """``step`` over tensors ``[N, …]``, picture by picture where :func:`_alone` says so."""
    if not _alone(batches[0]):
        return step(*batches)
    return torch.cat([step(*one) for one in zip(*(torch.split(b, 1) for b in batches), strict=True)])


def _name(frame: Frame) -> str:
    return f"frame {frame.index} (pts {frame.pts})"
