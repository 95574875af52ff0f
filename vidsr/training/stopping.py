"""Orderly stop: the current step is finished and saved."""

from __future__ import annotations

import time
from contextlib import ExitStack
from types import FrameType, TracebackType

import torch
from torch import distributed

from vidsr.stop_signals import handled_by
from vidsr.training.distributed import joined

STEPS_BETWEEN_QUESTIONS = 5
"""Steps between two checks among processes whether to stop; each check waits for all of them."""

SAME_REQUEST_SECONDS = 1.0
"""Signals nearer than this are one request: a terminal and a launcher such as torchrun may both pass on a Ctrl-C."""


class StopRequest:
    """While the block runs, the first Ctrl-C or SIGTERM only sets :attr:`asked`; a second one interrupts at once.

    Outside the main thread, where Python allows no signal handlers, nothing changes.
    """

    def __init__(self) -> None:
        self.asked = False
        self._asked_at = 0.0
        self._handlers = ExitStack()

    def __enter__(self) -> StopRequest:
        self._handlers.enter_context(handled_by(self._note))
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.asked and now - self._asked_at > SAME_REQUEST_SECONDS:
            raise KeyboardInterrupt
        if not self.asked:
            self.asked, self._asked_at = True, now

    def agreed(self, step: int, device: torch.device) -> bool:
        """Whether to stop before this step; among several processes, whether any of them was asked to.

        They must stop together: a process left alone would wait forever for the others' gradients.
        """
        if not joined():
            return self.asked
        if step % STEPS_BETWEEN_QUESTIONS:
            return False
        flag = torch.tensor([int(self.asked)], dtype=torch.int32, device=device)
        distributed.all_reduce(flag, distributed.ReduceOp.MAX)
        return bool(flag.item())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handlers.close()
