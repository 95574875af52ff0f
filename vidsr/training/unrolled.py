"""A generator over clips: whatever its kind, frames in order in, as many results out; and the stretches of a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from vidsr.filters.after.last_result import known_from
from vidsr.filters.flow import luma, optical_flow
from vidsr.models.known_architectures import architecture_of
from vidsr.training.terms.clips import mirrored


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is differentiated at once: a batch of pictures, or some frames of a batch of clips, and their part of a
    step.

    ``begins``: nothing runs on from the stretch before.
    """

    low: Tensor
    high: Tensor
    share: float
    begins: bool


def stretches_of(
    micro: Sequence[tuple[Tensor, Tensor]], through: int, *, there_and_back: bool = False
) -> Iterator[Stretch]:
    """The batches of a step; clips ``[B, T, 3, h, w]`` in stretches of ``through`` frames, 0: whole.

    ``there_and_back``: each clip is followed by itself in reverse, without its last frame twice.
    """
    for pair in micro:
        if pair[0].ndim == 4:
            yield Stretch(*pair, 1 / len(micro), True)
            continue
        low, high = (mirrored(clip) for clip in pair) if there_and_back else pair
        frames = low.shape[1]
        for first in range(0, frames, through or frames):
            part = slice(first, min(first + (through or frames), frames))
            share = (part.stop - part.start) / frames / len(micro)
            yield Stretch(low[:, part], high[:, part], share, first == 0)


@dataclass(frozen=True, slots=True)
class LastFrame:
    """The last frame ``[N, 3, h, w]`` and its result ``[N, 3, h·s, w·s]``, from which the next stretch goes on."""

    picture: Tensor
    result: Tensor


class Unrolled(nn.Module):
    """``(frames, carried)`` to ``(results, what is carried on)``; pictures or clips, RGB in 0..1.

    Pictures ``[N, 3, h, w]`` go through the network as they are. Of a clip ``[N, T, 3, h, w]``, a network of single
    frames sees each alone, a recurrent one all together, and one that takes its last result one after the other, from
    ``carried`` on. What is carried on is cut off from the gradient: back-propagation through time ends there.

    Args:
        network: the generator, or a compiled form of ``plain``.
        plain: the generator itself, by which its kind is known.
    """

    def __init__(self, network: nn.Module, plain: nn.Module | None = None) -> None:
        super().__init__()
        self.network: Any = network
        kind = architecture_of(network if plain is None else plain)
        self._sees_all, self._carries = kind.recurrent, kind.state_channels is not None

    def forward(self, frames: Tensor, carried: LastFrame | None = None) -> tuple[Tensor, LastFrame | None]:
        if frames.ndim == 4:
            return self.network(frames), None
        if self._sees_all:
            return self.network(frames, *_motions(frames)), None
        if not self._carries:
            results = self.network(_channels_last(frames.flatten(0, 1)))
            return results.unflatten(0, frames.shape[:2]), None
        made: list[Tensor] = []
        for picture in frames.unbind(1):
            given = picture if carried is None else known_from(picture, carried.picture, carried.result.float())
            result = self.network(_channels_last(given))
            made.append(result)
            carried = LastFrame(picture, result)
        assert carried is not None
        return torch.stack(made, 1), LastFrame(carried.picture, carried.result.detach())


def _channels_last(pictures: Tensor) -> Tensor:
    return pictures.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def _motions(frames: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """From each frame to the next, and back."""
    lumas = [luma(picture) for picture in frames.unbind(1)]
    pairs = list(pairwise(lumas))
    return [optical_flow(a, b) for a, b in pairs], [optical_flow(b, a) for a, b in pairs]
