"""A stage that several segments share: it works on one of them at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from vidsr.errors import Interrupted

#: How often a segment that waits for its turn looks whether it should stop.
_LOOK_SECONDS = 0.1


class Turn:
    """The right to use a stage. Threads may wait for it; it goes to one of them when it is free."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: object | None = None

    @contextmanager
    def taken(self, holder: object, stop: threading.Event) -> Iterator[float]:
        """Wait until the stage is free and hold it for ``holder``; gives the seconds spent waiting.

        Raises:
            Interrupted: ``stop`` was set before the stage was free.
        """
        begin = time.perf_counter()
        while not self._lock.acquire(timeout=_LOOK_SECONDS):
            if stop.is_set():
                raise Interrupted("stopped on request")
        self._holder = holder
        try:
            if stop.is_set():
                raise Interrupted("stopped on request")
            yield time.perf_counter() - begin
        finally:
            self.leave(holder)

    def leave(self, holder: object) -> None:
        """Free the stage if ``holder`` has it; for generators inside :meth:`taken` that nobody ended or closed."""
        if self._holder is holder:
            self._holder = None
            self._lock.release()
