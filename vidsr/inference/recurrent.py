"""The recurrent network of ``--multiframe`` on a device, and the protocols of the objects that step it, or a network
that takes its own last result, through a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from vidsr.frames import Frame, FrameRange
from vidsr.inference.forms import winograd_library
from vidsr.inference.forms.winograd_basicvsr import WinogradBasicVSR
from vidsr.models.architectures.basicvsr import SCALE, BasicVSR, BasicVSRConfig

#: Memory of the weights: as tiles of 6x6 frequencies with the checkpoint next to them, and in fp32.
_PACKED_BYTES, _PLAIN_BYTES = 190 << 20, 32 << 20


def _is_winograd(device: torch.device, dtype: torch.dtype) -> bool:
    return device.type == "cpu" and dtype == torch.float32 and winograd_library.library() is not None


def recurrent_form(network: BasicVSR, device: torch.device, dtype: torch.dtype) -> BasicVSR | WinogradBasicVSR:
    """The network in its fastest form there: the Winograd kernels in fp32 on a CPU, else PyTorch, channels last."""
    library = winograd_library.library() if _is_winograd(device, dtype) else None
    if library is not None:
        return WinogradBasicVSR(network, library)
    placed: BasicVSR = network.to(device=device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed


def recurrent_bytes(config: BasicVSRConfig, device: torch.device, dtype: torch.dtype, size: tuple[int, int]) -> int:
    """Memory of that form beyond what a window keeps, for frames of ``size`` (width, height): weights and buffers."""
    width, height = size
    if _is_winograd(device, dtype):
        return _PACKED_BYTES + WinogradBasicVSR.buffer_bytes(config.num_feat, height, width)
    # In PyTorch the tail's widest tensors exist three times: before and after the pixel shuffle, and activated.
    return _PLAIN_BYTES + 3 * config.num_feat * SCALE**2 * dtype.itemsize * width * height


class Carrying(Protocol):
    """A network over frames in order, each with what is known from the one before;
    ``vidsr.filters.after.last_result.LastResult`` is one."""

    #: What it remembers; replaced, never written into, so that a failed step can be repeated.
    state: Any

    def __call__(self, rgb: Tensor) -> Tensor:
        """``[N, 3, h, w]`` to ``[N, 3, h·scale, w·scale]``."""


@dataclass(frozen=True, slots=True)
class DrawnFrame:
    """A frame with its source ``[1, 3, h, w]``, its result ``[1, 3, H, W]``, and its alpha where there is one."""

    frame: Frame
    source: Tensor
    out: Tensor
    alpha: Tensor | None

    def with_out(self, out: Tensor) -> DrawnFrame:
        """The same frame with a different result."""
        return replace(self, out=out)


class NeighbourMixer(Protocol):
    """The neighbours' part in one stream; ``vidsr.filters.after.multiframe.Neighbours`` is one."""

    #: What :meth:`mix` remembers; replaced, never written into, so that a failed step can be repeated.
    state: Any

    def ahead(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Those of ``frames`` that the single-frame network must enlarge."""

    def mix(self, drawn: Sequence[DrawnFrame]) -> list[DrawnFrame]:
        """The frames that are complete now that ``drawn``, the next in order, are known."""

    def waiting(self) -> DrawnFrame | None:
        """At the end of the stream: the frame still waiting for its successor; None if there is none."""

    def last(self, drawn: DrawnFrame) -> DrawnFrame:
        """The frame that waited, enlarged."""


class NeighbourMixing(Protocol):
    """A way to mix in what neighbouring frames show; ``vidsr.filters.after.multiframe.Multiframe`` is one."""

    @property
    def model(self) -> str:
        """Name of the recurrent network in the zoo."""

    def over(
        self,
        span: FrameRange,
        network: BasicVSR | WinogradBasicVSR,
        dtype: torch.dtype,
        rgb: Callable[[Frame], Tensor],
        sized: Callable[[Tensor, Frame], Tensor],
        spent: Callable[[float], None],
        chose: Callable[[int, str], None],
    ) -> NeighbourMixer:
        """Its part in one stream; the parameters are those of ``vidsr.filters.after.multiframe.Neighbours``."""
