"""From the frames of a source to those of a table of another rate: taken as they are, repeated, or made in between."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from vidsr.filters.between.interpolation import best_way, is_cut
from vidsr.filters.between.rate_table import RateTable
from vidsr.frames import Frame, Plane
from vidsr.models.ifnet import IFNet


@dataclass(slots=True)
class _Pair:
    """Two frames that follow each other, and what is known of them: RGB ``[1, 3, H, W]`` of each, and whether anything
    can be made between them."""

    before: Frame
    after: Frame
    pictures: tuple[Tensor, Tensor] | None


@dataclass(slots=True, kw_only=True)
class FramesBetween:
    """Makes the frames of ``table``.

    A new frame depends on its two neighbours and its share of the way alone, so segments, and a job that is resumed,
    come out the same wherever they begin. Nothing is made across a cut: the nearer of the two frames is shown.

    Attributes:
        table: which frames to make.
        device: where to compute.
        network: RIFE's, on the device.
        rgb: RGB ``[1, 3, H, W]``, float32, about 0 to 1, of a frame, on the CPU.
        held: numbers of the frames that should have been made and repeat a neighbour, because of a cut.
    """

    table: RateTable
    device: torch.device
    network: IFNet
    rgb: Callable[[Frame], Tensor]
    held: list[int] = field(default_factory=list)

    def frames(self, stream: Iterator[Frame], first: int, stop: int) -> Generator[Frame]:
        """Frames ``first`` to ``stop`` (not included) of the table.

        ``stream`` gives the frames of the range :meth:`RateTable.needed` names, in order; their own numbers and times
        do not matter.
        """
        low, _ = self.table.needed(first, stop)
        window: list[Frame] = []  # frames low, low + 1, ...
        pair: _Pair | None = None
        for number, entry in enumerate(self.table.entries[first:stop], first):
            while low < entry.source:
                if window:
                    window.pop(0)
                else:
                    next(stream)
                low += 1
            while len(window) < (2 if entry.share else 1):
                window.append(next(stream))
            frame = window[0]
            if entry.share:
                if pair is None or pair.before is not window[0]:
                    pair = self._pair(window[0], window[1])
                frame = self._between(pair, float(entry.share), number)
            yield replace(frame, index=number, pts=entry.pts, duration=entry.duration, time_base=self.table.time_base)

    @torch.inference_mode()
    def _pair(self, before: Frame, after: Frame) -> _Pair:
        alike = all(np.array_equal(a, b) for a, b in zip(before.planes, after.planes, strict=True))
        if alike:
            return _Pair(before, before, None)
        pictures = self.rgb(before).to(self.device), self.rgb(after).to(self.device)
        return _Pair(before, after, None if is_cut(*pictures) else pictures)

    @torch.inference_mode()
    def _between(self, pair: _Pair, share: float, number: int) -> Frame:
        if pair.pictures is None:
            if pair.before is not pair.after:
                self.held.append(number)
            return pair.before if share <= 0.5 else pair.after
        way = best_way(*pair.pictures, share, self.network)
        planes = [
            _codes(way.of(self._plane(a), self._plane(b)), pair.before)
            for a, b in zip(pair.before.planes, pair.after.planes, strict=True)
        ]
        return replace(pair.before, planes=tuple(planes))

    def _plane(self, plane: Plane) -> Tensor:
        """Code values as float32 ``[1, 1, h, w]`` on the device."""
        values = torch.from_numpy(np.ascontiguousarray(plane).astype(np.float32))
        return values[None, None].to(self.device)


def _codes(values: Tensor, like: Frame) -> Plane:
    """Float code values ``[1, 1, h, w]`` as a plane of ``like``'s sample type."""
    codes: Plane = values[0, 0].round().clamp(0, like.format.max_code).cpu().numpy().astype(like.format.dtype)
    return codes
