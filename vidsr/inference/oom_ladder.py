"""Run a backend within the available memory: batches halve, then frames are cut into tiles; nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vidsr.errors import DeviceMemoryError
from vidsr.inference.backends.backend import Backend, Model
from vidsr.inference.device import free_bytes, is_out_of_memory, release_cache
from vidsr.inference.tiles import MIN_TILE_PX, run_tiled
from vidsr.models.known_architectures import architecture_of

_LARGEST_BATCH = 16
# Source pixels per step that keep a device busy; more frames per step only cost memory.
_BUSY_PIXELS = {"cuda": 1 << 20, "xpu": 1 << 19, "mps": 1 << 18, "cpu": 1 << 14}
#: Of the memory that is free, what a step may plan for: allocators fragment, and other programs need some.
MEMORY_SHARE = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """Memory around the network in bytes per source pixel of a frame: colour conversion, steps after the network, and
    results under way. ``busy`` is its peak, when no network runs; ``waiting`` is what is held while one does."""

    busy: float = 0.0
    waiting: float = 0.0


@dataclass(slots=True)
class _Room:
    """How much of the input goes into one step: frames per size (height, width), and the side of a tile."""

    tile: int | None
    batches: dict[tuple[int, int], int] = field(default_factory=dict)


class Fitted:
    """A backend that retries within less memory and remembers what worked.

    ``batch`` and ``tile`` are what the user fixed, or None to choose; ``around`` is the memory around the network.
    ``notes`` collects one sentence per fallback.
    """

    def __init__(
        self,
        backend: Backend,
        model: Model,
        device: torch.device,
        batch: int | None,
        tile: int | None,
        *,
        around: Around | None = None,
    ) -> None:
        self.backend = backend
        self.notes = backend.notes
        self._scale = model.scale
        self._overlap = architecture_of(model.network).overlap_px(model.network)
        self._device = device
        self._asked = batch
        self._around = around or Around()
        self._room = _Room(tile)
        # Repairs in fp32 take more memory: their smaller steps must not slow the other frames down.
        self._exact_room = _Room(tile)

    @property
    def tile(self) -> int | None:
        """Side of a tile in source pixels; None for whole frames."""
        return self._room.tile

    def batch_for(self, height: int, width: int) -> int:
        """Frames of this size per step: the user's number, or one that keeps the device busy and fits."""
        batches = self._room.batches
        if (height, width) not in batches:
            pixels = height * width
            busy = -(-_BUSY_PIXELS.get(self._device.type, 1 << 16) // pixels)
            room = MEMORY_SHARE * free_bytes(self._device)
            fits = int(room / (self.bytes_per_pixel(height, width) * pixels))
            if fits < 1 and self._room.tile is None:
                self._room.tile = self._tile_that_fits(height, width)
                self.notes.append(f"a whole {width}x{height} frame does not fit in memory: tiles of {self.tile} px")
            batches[height, width] = self._asked or max(1, min(busy, fits, _LARGEST_BATCH))
        return batches[height, width]

    def bytes_per_pixel(self, height: int, width: int) -> float:
        """Estimated peak memory in bytes per source pixel of frames of this size, network and all around it."""
        return max(self._around.busy, self._around.waiting + self.backend.bytes_per_pixel(height, width))

    @property
    def smallest_batch(self) -> int:
        """The fewest frames per step that any size was given so far; 0 before the first frame."""
        return min(self._room.batches.values(), default=0)

    def __call__(self, rgb: Tensor) -> Tensor:
        """The backend over ``[N, 3, h, w]`` float32, in as many steps as memory asks for.

        Raises:
            DeviceMemoryError: not even the smallest tile of one frame fits.
        """
        return self._fit(self.backend, rgb, self._room, self.batch_for(*rgb.shape[-2:]))

    def exact(self, rgb: Tensor) -> Tensor:
        """The same with the backend's fp32 path, one frame at a time."""
        return self._fit(self.backend.exact, rgb, self._exact_room, 1)

    def _fit(self, run: Callable[[Tensor], Tensor], rgb: Tensor, room: _Room, batch: int) -> Tensor:
        size = (rgb.shape[-2], rgb.shape[-1])
        done: list[Tensor] = []
        start, released = 0, False
        while start < len(rgb):
            count = min(room.batches.get(size, batch), len(rgb) - start)
            part = self._attempt(run, rgb[start : start + count], room)
            # Here, outside the except block, the failed attempt's tensors are free again.
            if part is None and count == 1 and not released and _next_tile(size, room) < MIN_TILE_PX:
                # Nothing smaller is left to try, but what is kept only for speed can be released.
                self.backend.release()
                release_cache(self._device)
                released = True
                continue
            if part is None:
                self._shrink(size, count, room)
                continue
            done.append(part)
            start += len(part)
        return done[0] if len(done) == 1 else torch.cat(done)

    def _attempt(self, run: Callable[[Tensor], Tensor], rgb: Tensor, room: _Room) -> Tensor | None:
        try:
            if room.tile is not None and max(rgb.shape[-2:]) > room.tile:
                return run_tiled(run, rgb, room.tile, self._scale, self._overlap)
            return run(rgb)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None

    def _shrink(self, size: tuple[int, int], tried: int, room: _Room) -> None:
        """Use less next time: half the batch, then tiles of half the frame, then half the tile."""
        release_cache(self._device)
        height, width = size
        what = "" if room is self._room else " for frames computed again in fp32"
        if tried > 1:
            room.batches[size] = tried // 2
            self.notes.append(f"out of memory: {tried // 2} frames per step from now on{what}")
            return
        smaller = _next_tile(size, room)
        if smaller < MIN_TILE_PX:
            raise DeviceMemoryError(
                f"out of memory on {self._device}: not even a tile of {room.tile or max(height, width)} px of a "
                f"{width}x{height} frame fits; close other programs, or use a smaller model or --device cpu"
            )
        room.tile = smaller
        self.notes.append(f"out of memory: tiles of {smaller} px from now on{what}")

    def relieve(self, tried: int) -> None:
        """Memory ran out outside the network while ``tried`` pictures were under way: release everything cached, and
        take half as many per step from now on."""
        self.backend.release()
        release_cache(self._device)
        for size, batch in self._room.batches.items():
            if tried > 1 and batch > tried // 2:
                self._room.batches[size] = tried // 2
                self.notes.append(f"out of memory: {tried // 2} frames per step from now on")

    def _tile_that_fits(self, height: int, width: int) -> int:
        """The largest tile side that fits in memory next to the whole frames held there."""
        room = MEMORY_SHARE * free_bytes(self._device) - self._around.waiting * height * width
        side = max(MIN_TILE_PX, max(height, width) // 16 * 16)
        while side > MIN_TILE_PX and self.backend.bytes_per_pixel(side, side) * side**2 > room:
            side -= 16
        return side


def _next_tile(size: tuple[int, int], room: _Room) -> int:
    """Side of a tile half as large as what fits into one step now."""
    return (min(room.tile or 1 << 30, max(size)) // 2 + 15) // 16 * 16
