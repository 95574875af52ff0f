"""Planes between host and device: page-locked, on streams of their own where the device has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vidsr.frames import Plane


def stack_planes(planes: Sequence[Plane], *, pin: bool = False) -> Tensor:
    """One plane of several frames as a host tensor ``[N, h, w]``, uint8, or int16 holding the bits of uint16.

    The planes are copied (they may be strided views of a decoder's memory); with ``pin`` into page-locked
    memory, from which copies to a CUDA device run asynchronously.
    """
    deep = planes[0].dtype != np.uint8
    staging = torch.empty((len(planes), *planes[0].shape), dtype=torch.int16 if deep else torch.uint8, pin_memory=pin)
    view = staging.numpy().view(np.uint16) if deep else staging.numpy()
    for slot, plane in zip(view, planes, strict=True):
        np.copyto(slot, plane)
    return staging


def array_from_codes(codes: Tensor) -> Plane:
    """A host tensor of code values as the numpy array of a frame's plane: uint8 or uint16, no copy."""
    array: Plane = codes.numpy()
    return array.view(np.uint16) if array.dtype == np.int16 else array


class Transfer:
    """Copies for one device. On CUDA each direction has its own stream, so that both overlap the computation."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.is_async = device.type == "cuda"
        self.is_cpu = device.type == "cpu"
        if self.is_async:
            self._up = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            self._down = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def upload(self, planes: Sequence[Sequence[Plane]]) -> list[Tensor]:
        """Frames' planes (frame by frame) as device tensors ``[N, h, w]``, one per plane number."""
        staged = [stack_planes(group, pin=self.is_async) for group in zip(*planes, strict=True)]
        if not self.is_async:
            return [s.to(self._device) for s in staged]
        compute = torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._up):
            arrived = [s.to(self._device, non_blocking=True) for s in staged]
        compute.wait_stream(self._up)
        for tensor in arrived:
            tensor.record_stream(compute)
        return arrived

    def download(self, tensors: Sequence[Tensor]) -> tuple[list[Tensor], Callable[[], Any]]:
        """Host copies of device tensors, and what to call before reading them."""
        if not self.is_async:
            return [t.cpu() for t in tensors], _nothing
        compute = torch.cuda.current_stream(self._device)
        self._down.wait_stream(compute)
        landed = []
        with torch.cuda.stream(self._down):
            for tensor in tensors:
                host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
                landed.append(host.copy_(tensor, non_blocking=True))
                tensor.record_stream(self._down)
            # Blocking: a spinning wait would take a core from the encoder.
            done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            done.record(self._down)
        return landed, done.synchronize


def _nothing() -> None:
    """Nothing to wait for."""
