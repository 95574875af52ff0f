"""What neighbouring frames show, mixed into what the network of single frames draws: ``--multiframe``.

A recurrent network (:mod:`vidsr.models.architectures.basicvsr`) runs over windows that lie at fixed frame numbers, with
more frames on either side (:mod:`vidsr.filters.after.propagation`). The single-frame result of each frame is averaged
with those of the frames before and after it, carried along the motion where the source bears that out, and the two are
mixed. All of it depends on the frames and their numbers only, so a result is the same wherever a segment begins or
ends. Cuts end both propagation and average; a frame that repeats the one before it is not computed again.

Where the share is left open, each frame's follows from how sound the source is around it
(:mod:`vidsr.filters.after.soundness`), and it rises where the neighbouring frames, carried along the motion, fit that
source well. Where its finest detail does not follow the motion, it is restored from the single frame
(:mod:`vidsr.filters.after.finest_detail`). Where the fidelity is left open too, a source that is trusted is followed as
far at its own resolution, however soft it is. Where nothing but noise speaks against it, the recurrent network sees the
source cleaned of noise along the motion, and its result has a share up to the source's Nyquist frequency only: above
that it would draw what is left of the noise. A frame whose share is 0 is what the single-frame network drew, bit for
bit, and a window without any other is not seen by the recurrent network.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.errors import InferenceError
from vidsr.filters.after import soundness
from vidsr.filters.after.fidelity import Fidelity, intact
from vidsr.filters.after.finest_detail import restored
from vidsr.filters.after.propagation import FADE, REACH, WINDOW, FrameWindow, MotionPair, Propagation, Recurrent
from vidsr.filters.after.soundness import Judgement, Look, judge, look
from vidsr.filters.after.stabilise import CUT_SHARE, Stabilise
from vidsr.filters.before.denoise import Denoise
from vidsr.filters.flow import luma, optical_flow, resize_flow, warp
from vidsr.filters.resample import area_down, cubic_up
from vidsr.frames import Frame, FrameRange
from vidsr.models.zoo import RECURRENT_MODEL

#: Frames on either side whose single-frame results are averaged in.
AROUND = 1
#: Weight of each of them where it fits perfectly; that of the frame itself is 1.
NEIGHBOUR_WEIGHT = 0.5
#: The recurrent network's share in a sound source where the options leave it open, and where neighbours fit perfectly.
AUTO_SHARE = 0.52
AUTO_MOST = 0.6
#: Fit of the neighbouring frames' sources, 0 to 1 on average, from which on the share rises.
AUTO_FIT = 0.9
#: Its share in a noisy source, up to the source's Nyquist frequency; above that it has none.
NOISY_SHARE = 0.35
#: Why the finest detail of a frame is restored, said where at least this much of it is.
NEW_DETAIL = "finest detail that does not follow the motion"
_NAMED = 0.5


class Drawn(Protocol):
    """A frame, its source ``[1, 3, h, w]`` and its result ``[1, 3, H, W]``."""

    @property
    def frame(self) -> Frame:
        """The frame."""

    @property
    def source(self) -> Tensor:
        """Its RGB."""

    @property
    def out(self) -> Tensor:
        """Its result."""

    def with_out(self, out: Tensor) -> Self:
        """The same with another result."""


DrawnT = TypeVar("DrawnT", bound=Drawn)


@dataclass(frozen=True, slots=True)
class Multiframe:
    """What the options ask for: the recurrent network's ``share`` in a result, 0 to 1, or None: judged for each frame;
    and the fidelity of the rest (as of :class:`~vidsr.filters.after.fidelity.Fidelity`)."""

    share: float | None
    fidelity: float | None
    model: str = RECURRENT_MODEL

    def over(
        self,
        span: FrameRange,
        network: Recurrent,
        dtype: torch.dtype,
        rgb: Callable[[Frame], Tensor],
        sized: Callable[[Tensor, Frame], Tensor],
        spent: Callable[[float], None],
        chose: Callable[[int, str], None],
    ) -> Neighbours:
        """Its part in one stream; see :class:`Neighbours`."""
        return Neighbours(self, span, network, dtype, rgb=rgb, sized=sized, spent=spent, chose=chose)


@dataclass(frozen=True, slots=True)
class _Fed:
    """A frame that the recurrent network sees: RGB ``[1, 3, h, w]``; ``repeats`` the frame before it. ``look`` is what
    it shows, where the share is to be judged and it can be."""

    frame: Frame
    rgb: Tensor
    repeats: bool
    look: Look | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is known of a frame from its neighbours: the recurrent result (None where its share is 0), where its pixels
    are in the next frame and in the one before (None beyond a cut and at the ends), and how far the source is sound."""

    result: Tensor | None
    to_next: Tensor | None
    to_last: Tensor | None
    judged: Judgement


@dataclass(frozen=True, slots=True)
class _Held(Generic[DrawnT]):
    """A frame as it was drawn, and true to its source once that was needed."""

    drawn: DrawnT
    faithful: DrawnT | None = None


_SOUND = Judgement(1.0, "")


class Neighbours:
    """The neighbours' part in one stream of frames.

    Args:
        wanted: what the options ask for.
        span: which frames come in, and which of them are to be enlarged.
        network: the recurrent network, of numbers of ``dtype``.
        rgb: a frame as RGB ``[1, 3, h, w]`` float32 on the device.
        sized: (result, frame) → the result at the size and with the neutrality of the stream's target.
        spent: receives the seconds that each result of the recurrent network took.
        chose: receives the number of each finished frame and the reason against its neighbours, "" without one.
    """

    def __init__(
        self,
        wanted: Multiframe,
        span: FrameRange,
        network: Recurrent,
        dtype: torch.dtype,
        *,
        rgb: Callable[[Frame], Tensor],
        sized: Callable[[Tensor, Frame], Tensor],
        spent: Callable[[float], None],
        chose: Callable[[int, str], None] = lambda number, against: None,
    ) -> None:
        self._network, self._span = network, span
        self._propagation = Propagation(network, dtype)
        self._judges, self._share = wanted.share is None, AUTO_SHARE if wanted.share is None else wanted.share
        self._rgb, self._sized, self._spent, self._chose = rgb, sized, spent, chose
        self._fidelity = Fidelity(wanted.fidelity)
        self._follows_sound = self._judges and wanted.fidelity is None
        self._seen: dict[int, _Seen] = {}
        self._motions: dict[int, MotionPair] = {}
        # Replaced, never written into: a step that ran out of memory is repeated from the state before it.
        self.state: tuple[int, tuple[Any, ...]] = (self._drawn.start, ())

    @property
    def _drawn(self) -> range:
        """The frames that the single-frame network has to draw: those to be enlarged and those around them."""
        return range(max(self._span.first, self._span.start - AROUND), self._span.stop + AROUND)

    def ahead(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The frames to be drawn, each after the recurrent network has seen its window.

        Raises:
            InferenceError: frames of one stream differ in size.
        """
        held: deque[tuple[int, _Fed]] = deque()
        number = self._span.first
        start = self._drawn.start // WINDOW * WINDOW
        while start < self._drawn.stop:
            while number < start + WINDOW + REACH and (frame := next(frames, None)) is not None:
                held.append((number, self._fed(frame, held[-1][1] if held else None)))
                number += 1
            while held and held[0][0] < start - REACH:
                held.popleft()
            self._motions = {n: motion for n, motion in self._motions.items() if n >= start - REACH}
            window = list(held)
            if window and window[0][1].repeats:  # what it repeats is not part of this window
                window[0] = (window[0][0], replace(window[0][1], repeats=False))
            results = self._results(window, start)
            while (found := self._timed(results)) is not None:
                at, seen, frame = found
                waiting = self.state[0] - AROUND
                self._seen = {n: s for n, s in self._seen.items() if n >= waiting} | {at: seen}
                yield frame
            start += WINDOW
        for _ in frames:  # whoever feeds this need not know where it ends
            pass

    def _timed(self, results: Iterator[tuple[int, _Seen, Frame]]) -> tuple[int, _Seen, Frame] | None:
        """The next result."""
        started = time.perf_counter()
        found = next(results, None)
        self._spent(time.perf_counter() - started)
        return found

    def _fed(self, frame: Frame, last: _Fed | None) -> _Fed:
        if last is not None and last.frame.planes[0].shape != frame.planes[0].shape:
            raise InferenceError(
                f"frame {frame.index} (pts {frame.pts}) is {frame.width}x{frame.height}, the one before it "
                f"{last.frame.width}x{last.frame.height}: --multiframe needs frames of one size; leave it out"
            )
        if last is not None and all(np.array_equal(a, b) for a, b in zip(last.frame.planes, frame.planes, strict=True)):
            return _Fed(frame, last.rgb, True)
        with torch.inference_mode():
            rgb = self._rgb(frame)
            return _Fed(frame, rgb, False, look(rgb) if self._judges else None)

    def _results(self, window: list[tuple[int, _Fed]], start: int) -> Iterator[tuple[int, _Seen, Frame]]:
        """What the window shows of its own frames that are to be drawn, in order."""
        fed = [entry for _, entry in window]
        own = range(max(start, self._drawn.start), min(start + WINDOW, self._drawn.stop, window[-1][0] + 1))
        first = window[0][0]
        if not own:
            return
        if own.start >= self._span.stop or own.stop <= self._span.start:
            # Drawn for the average of a frame that another window shows.
            for n in own:
                yield n, _Seen(None, None, None, _SOUND), fed[n - first].frame
            return
        with torch.inference_mode():
            doubtful = self._judges and soundness.hopeless([entry.look for entry in fed if not entry.repeats])
            motion = [] if doubtful else self._motion_of(fed, first)
            joined = [True] * len(fed) if doubtful else [pair[0] is not None for pair in motion]
            judged = [self._judged(fed, joined, i) for i in range(len(fed))]
            if not any(judged[n - first].is_used for n in own):
                for n in own:
                    yield n, _Seen(None, None, None, judged[n - first]), fed[n - first].frame
                return
            noisy = any(one.noisy for one in judged)
            if noisy:
                fed = self._cleaned(fed, judged)
                motion = [self._motion(a, b) for a, b in pairwise(fed)]
        pictures, repeats = [entry.rgb for entry in fed], [entry.repeats for entry in fed]
        steps = self._propagation.through(FrameWindow(start, first, pictures, repeats, motion, own, altered=noisy))
        result: Tensor | None = None
        while True:
            with torch.inference_mode():
                features = next(steps, None)
                if features is None:
                    return
                i = features.number - first
                if not features.same:
                    result = None
                if result is None and judged[i].is_used:
                    picture = self._propagation.seen(fed[i].rgb)
                    enlarged = self._network.enlarge(picture, features.backward, features.forward)
                    result = self._sized(enlarged.float(), fed[i].frame)
                seen = _Seen(
                    result if judged[i].is_used else None,
                    motion[i][0] if i + 1 < len(fed) else None,
                    motion[i - 1][1] if i else None,
                    judged[i],
                )
                number = features.number
                del features
            yield number, seen, fed[i].frame

    def _motion_of(self, fed: Sequence[_Fed], first: int) -> list[MotionPair]:
        """The motion between each two frames as they are, the first of number ``first``; measured once per stream."""
        for number, (a, b) in enumerate(pairwise(fed), first):
            if number not in self._motions:
                self._motions[number] = self._motion(a, b)
        return [self._motions[number] for number in range(first, first + len(fed) - 1)]

    def _judged(self, fed: Sequence[_Fed], joined: Sequence[bool], at: int) -> Judgement:
        """How far the source can be trusted around one frame, within its scene; ``joined`` frames are of one with the
        next."""
        if not self._judges:
            return _SOUND
        first = last = at
        while first > 0 and at - first < soundness.AROUND and joined[first - 1]:
            first -= 1
        while last + 1 < len(fed) and last - at < soundness.AROUND and joined[last]:
            last += 1
        scene = fed[first : last + 1]
        return judge([entry.look for n, entry in enumerate(scene) if n == 0 or not entry.repeats])

    def _cleaned(self, fed: Sequence[_Fed], judged: Sequence[Judgement]) -> list[_Fed]:
        """The frames as the recurrent network sees them: the noisy ones without their noise."""
        cleaned: list[_Fed] = []
        for entry, frame, one in zip(fed, Denoise(1.0)(entry.frame for entry in fed), judged, strict=True):
            rgb = cleaned[-1].rgb if entry.repeats else self._rgb(frame) if one.noisy else entry.rgb
            cleaned.append(replace(entry, rgb=rgb))
        return cleaned

    @staticmethod
    def _motion(a: _Fed, b: _Fed) -> MotionPair:
        """Where pixels of ``a`` are in ``b``, and the reverse; None at a cut."""
        if b.repeats:
            still = a.rgb.new_zeros(1, 2, *a.rgb.shape[-2:])
            return still, still
        first, second = luma(a.rgb), luma(b.rgb)
        forth, back = optical_flow(first, second), optical_flow(second, first)
        if float(Stabilise.fit(b.rgb, a.rgb, back).mean()) < CUT_SHARE:
            return None, None
        return forth, back

    def mix(self, drawn: Sequence[DrawnT]) -> list[DrawnT]:
        """The frames that are complete now that ``drawn`` are known too: all but the last, which waits for the next."""
        done = []
        for given in drawn:
            number, held = self.state
            entries = (*held, _Held(given))
            if len(entries) > 1 and number - 1 in range(self._span.start, self._span.stop):
                before = None if len(entries) == 2 else 0
                mixed, entries = self._mixed(number - 1, entries, before, len(entries) - 2, len(entries) - 1)
                done.append(mixed)
            self.state = (number + 1, entries[-2:])
        return done

    def waiting(self) -> Any:
        """When the stream has ended: the frame that is to be enlarged and after which nothing came; None if none is."""
        number, held = self.state
        return held[-1].drawn if held and number - 1 in range(self._span.start, self._span.stop) else None

    def last(self, drawn: DrawnT) -> DrawnT:
        """The frame of :meth:`waiting`, mixed with what there is."""
        number, held = self.state
        mixed: DrawnT = self._mixed(number - 1, held, 0 if len(held) == 2 else None, len(held) - 1, None)[0]
        return mixed

    def _mixed(
        self, number: int, entries: tuple[_Held[DrawnT], ...], before: int | None, now: int, after: int | None
    ) -> tuple[DrawnT, tuple[_Held[DrawnT], ...]]:
        """The frame that is entry ``now``, and the entries with what was computed of them."""
        seen = self._seen[number]
        if seen.result is None or seen.judged.noisy:
            self._chose(number, seen.judged.words)
        if seen.result is None:
            return entries[now].drawn, entries
        if seen.judged.noisy:
            share = NOISY_SHARE * seen.judged.noisy
            return _with_low_frequencies(entries[now].drawn, seen.result, share), entries
        entries = tuple(self._faithful(entry) for entry in entries)
        ready = [entry.faithful or entry.drawn for entry in entries]
        size = (ready[now].out.shape[-2], ready[now].out.shape[-1])
        total, weights = ready[now].out, torch.ones_like(ready[now].out[:, :1])
        fits: list[Tensor] = []
        carried: list[tuple[Tensor, Tensor]] = []
        for place, motion in ((before, seen.to_last), (after, seen.to_next)):
            if place is None or motion is None or ready[place].out.shape != ready[now].out.shape:
                continue
            fit = Stabilise.fit(ready[now].source, ready[place].source, motion)
            fits.append(fit.mean())
            large = F.interpolate(fit, size=size, mode="bilinear", align_corners=False)
            carried.append((large, warp(ready[place].out, resize_flow(motion, size, "bicubic"))))
            weight = NEIGHBOUR_WEIGHT * seen.judged.trust * large
            total = total + weight * carried[-1][1]
            weights = weights + weight
        taken = torch.full_like(total[0, 0, 0, 0], self._share)
        if self._judges and fits:
            taken = taken + (AUTO_MOST - AUTO_SHARE) * _risen(fits).to(taken)
        mixed = torch.lerp(total / weights, seen.result, taken * seen.judged.trust)
        new = 0.0
        if self._judges:
            low = (ready[now].source.shape[-2], ready[now].source.shape[-1])
            mixed, new = restored(mixed, ready[now].out, carried, low)
        if self._follows_sound and float(intact(ready[now].source)) < seen.judged.trust:
            follow = Fidelity(least=seen.judged.trust)
            mixed = follow(ready[now].source, mixed, [ready[now].frame])
        self._chose(number, _words(seen.judged, new))
        return ready[now].with_out(mixed), entries

    def _faithful(self, entry: _Held[DrawnT]) -> _Held[DrawnT]:
        if entry.faithful is not None:
            return entry
        drawn = entry.drawn
        return replace(entry, faithful=drawn.with_out(self._fidelity(drawn.source, drawn.out, [drawn.frame])))


def steps_for(part: range, frames: int) -> int:
    """Steps of the recurrent network's trunks, and frames that it enlarges, for the frames ``part`` of a stream of
    ``frames``: no cut, no repeat, no noise, all of them sound. Each takes about the same time."""
    steps, goes_on = 0, False
    for start in range(part.start // WINDOW * WINDOW, part.stop, WINDOW):
        end, first, stop = start + WINDOW, max(0, start - REACH), min(frames, start + WINDOW + REACH)
        own = range(max(start, part.start - AROUND), min(end, part.stop + AROUND, stop))
        steps += len(own) + stop - own.start + own.stop - (start if goes_on else first)
        if not goes_on and first < start and own.start < start + FADE:
            steps += min(stop, start + REACH) - own.start
        if stop > end and own.stop > end - FADE:
            steps += own.stop - max(first, end - REACH)
        goes_on = stop > end and own.stop == end
    return steps


def _words(judged: Judgement, restored_share: float) -> str:
    """What speaks against the neighbours of a frame whose finest detail was restored this far."""
    if restored_share < _NAMED:
        return judged.words
    return f"{judged.words}, {NEW_DETAIL}" if judged.words else f"partly: {NEW_DETAIL}"


def _risen(fits: Sequence[Tensor]) -> Tensor:
    """How far the share of a frame rises whose neighbours' sources fit it this well on average, 0 to 1."""
    return ((torch.stack(tuple(fits)).mean() - AUTO_FIT) / (1 - AUTO_FIT)).clamp(0, 1)


def _with_low_frequencies(drawn: DrawnT, recurrent: Tensor, share: float) -> DrawnT:
    """A frame with ``share`` of the recurrent network's result up to the source's Nyquist frequency."""
    size = (drawn.out.shape[-2], drawn.out.shape[-1])
    small = (min(size[0], drawn.source.shape[-2]), min(size[1], drawn.source.shape[-1]))
    missing = area_down(recurrent - drawn.out, small)
    return drawn.with_out(drawn.out + share * cubic_up(missing, size))
