"""Results that two streams over the same frames need: computed by the one, handed on to the other.

With ``--masters`` and a limit to what is invented, the access copy is held to the result of the very network that makes
the master. The access copy's stream computes it first; the master's takes it from here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor


class SharedResults:
    """A network on a CPU whose results are kept until they are asked for a second time.

    A picture is recognised by its values, so that a result is handed on only where it is the right one: whatever is
    not known is computed. On a GPU a comparison would make the host wait for every frame; do not use it there.

    Args:
        network: ``[1, 3, h, w]`` to ``[1, 3, H, W]``, finite; the same bits for the same picture.
        most: how many results are kept of pictures of a height and width; the oldest make room.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], most: Callable[[int, int], int]) -> None:
        self._network = network
        self._most = most
        self._kept: deque[tuple[Tensor, Tensor]] = deque()
        self.handed_on = 0

    def enlarge(self, rgb: Tensor) -> Tensor:
        """The results ``[N, 3, H, W]`` of ``rgb`` ``[N, 3, h, w]``, one picture at a time, and keep them."""
        made = []
        for one in torch.split(rgb, 1):
            out = self._network(one)
            self._kept.append((one, out))
            made.append(out)
        while len(self._kept) > self._most(rgb.shape[-2], rgb.shape[-1]):
            self._kept.popleft()
        return torch.cat(made)

    def take(self, rgb: Tensor) -> Tensor | None:
        """The kept results of all of ``rgb`` ``[N, 3, h, w]``, which are kept no longer; None if one is missing."""
        found = [self._of(one) for one in torch.split(rgb, 1)]
        if any(entry is None for entry in found):
            return None
        taken = [entry for entry in found if entry is not None]
        numbers = {id(out) for _, out in taken}
        self._kept = deque(entry for entry in self._kept if id(entry[1]) not in numbers)
        self.handed_on += len(taken)
        return torch.cat([out for _, out in taken])

    def close(self) -> None:
        """Forget all results. The network belongs to another."""
        self._kept.clear()

    def _of(self, rgb: Tensor) -> tuple[Tensor, Tensor] | None:
        for kept, out in self._kept:
            if kept.shape == rgb.shape and torch.equal(kept, rgb):
                return kept, out
        return None
