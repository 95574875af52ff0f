"""Run a backend within the available memory: batches halve, then frames are cut into tiles; nothing is lost."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vidsr.errors import InferenceError
from vidsr.inference.backend import Backend, Model
from vidsr.inference.device import free_bytes, is_out_of_memory
from vidsr.inference.tiles import MIN_TILE_PX, run_tiled
from vidsr.models.known_architectures import architecture_of

_LARGEST_BATCH = 16
# Source pixels per step from which a device is busy; more frames per step than that only cost memory.
_BUSY_PIXELS = {"cuda": 1 << 20, "mps": 1 << 18, "cpu": 1 << 14}
# Share of the free memory that a step may use: allocators fragment, and other programs need memory too.
_MEMORY_SHARE = 0.6


class Fitted:
    """A backend that retries within less memory and remembers what worked.

    ``batch`` and ``tile`` are what the user fixed, or None to choose. ``notes`` collects one sentence per
    fallback.
    """

    def __init__(
        self, backend: Backend, model: Model, device: torch.device, batch: int | None, tile: int | None
    ) -> None:
        self.backend = backend
        self.notes: list[str] = []
        self.tile = tile
        self._scale = model.scale
        self._overlap = architecture_of(model.network).overlap_px(model.network)
        self._device = device
        self._asked = batch
        self._batches: dict[tuple[int, int], int] = {}

    def batch_for(self, height: int, width: int) -> int:
        """Frames of this size per step: the user's number, or one that keeps the device busy and fits."""
        if (height, width) not in self._batches:
            pixels = height * width
            busy = -(-_BUSY_PIXELS.get(self._device.type, 1 << 16) // pixels)
            fits = int(_MEMORY_SHARE * free_bytes(self._device) / (self.backend.bytes_per_pixel() * pixels))
            if fits < 1 and self.tile is None:
                self.tile = self._tile_that_fits()
                self.notes.append(f"a whole {width}x{height} frame does not fit in memory: tiles of {self.tile} px")
            self._batches[height, width] = self._asked or max(1, min(busy, fits, _LARGEST_BATCH))
        return self._batches[height, width]

    @property
    def smallest_batch(self) -> int:
        """The fewest frames per step that any size was given so far; 0 before the first frame."""
        return min(self._batches.values(), default=0)

    def __call__(self, rgb: Tensor) -> Tensor:
        """The backend over ``[N, 3, h, w]`` float32, in as many steps as memory asks for.

        Raises:
            InferenceError: not even the smallest tile of one frame fits.
        """
        return self._fit(self.backend, rgb)

    def exact(self, rgb: Tensor) -> Tensor:
        """The same with the backend's fp32 path."""
        return self._fit(self.backend.exact, rgb)

    def _fit(self, run: Callable[[Tensor], Tensor], rgb: Tensor) -> Tensor:
        height, width = rgb.shape[-2:]
        done: list[Tensor] = []
        start = 0
        while start < len(rgb):
            batch = min(self.batch_for(height, width), len(rgb) - start)
            part = self._attempt(run, rgb[start : start + batch])
            # Here, outside the except block, the failed attempt's tensors are free again.
            if part is None:
                self._shrink(height, width, batch)
                continue
            done.append(part)
            start += len(part)
        return done[0] if len(done) == 1 else torch.cat(done)

    def _attempt(self, run: Callable[[Tensor], Tensor], rgb: Tensor) -> Tensor | None:
        try:
            if self.tile is not None and max(rgb.shape[-2:]) > self.tile:
                return run_tiled(run, rgb, self.tile, self._scale, self._overlap)
            return run(rgb)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None

    def _shrink(self, height: int, width: int, tried: int) -> None:
        """Ask for less next time: half the batch, then tiles of half the frame, then half the tile."""
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if tried > 1:
            self._batches[height, width] = tried // 2
            self.notes.append(f"out of memory: {tried // 2} frames per step from here on")
            return
        smaller = (min(self.tile or 1 << 30, max(height, width)) // 2 + 15) // 16 * 16
        if smaller < MIN_TILE_PX:
            raise InferenceError(
                f"out of memory on {self._device}: not even a tile of {self.tile or max(height, width)} px of a "
                f"{width}x{height} frame fits; close other programs, or take a smaller model or --device cpu"
            )
        self.tile = smaller
        self.notes.append(f"out of memory: tiles of {smaller} px from here on")

    def relieve(self, tried: int) -> None:
        """Memory ran out outside the network while ``tried`` pictures were under way: give back all that is cached
        here, and take half as many per step from now on."""
        release = getattr(self.backend, "release", None)
        if release is not None:
            release()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        for size, batch in self._batches.items():
            if tried > 1 and batch > tried // 2:
                self._batches[size] = tried // 2
                self.notes.append(f"out of memory: {tried // 2} frames per step from here on")

    def _tile_that_fits(self) -> int:
        pixels = _MEMORY_SHARE * free_bytes(self._device) / self.backend.bytes_per_pixel()
        return max(MIN_TILE_PX, int(pixels**0.5) // 16 * 16)
